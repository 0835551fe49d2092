"""Actions on links: what takes no room of its own stays, and no link is left leading nowhere."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.actions.journal import newest_to_undo
from indexer.actions.records import Action, Result

from .acting import Album, only, refusal, results

LINKING = [action for action in Action if action.links]
TAKING = [action for action in Action if not action.links]


def hard_link(path: Path, keeper: Path) -> None:
    os.link(keeper, path)


def symbolic_link(path: Path, keeper: Path) -> None:
    path.symlink_to(keeper.name)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("link", [hard_link, symbolic_link])
def test_a_link_to_the_kept_file_stays_without_a_word(empty: Album, action: Action, link):
    kept = empty.write("a.jpg", b"same")
    link(empty.root / "b.jpg", kept)
    empty.plan(empty.root / "b.jpg", kept)
    outcome = only(empty.apply(action))
    assert (outcome.result, outcome.reason, outcome.bytes_freed) == (Result.ALREADY, "", 0)
    assert (empty.root / "b.jpg").samefile(kept)
    assert newest_to_undo(empty.library) is None


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("link", LINKING)
def test_what_was_replaced_by_a_link_stays_in_later_runs(empty: Album, link: Action, action: Action):
    empty.group("a.jpg", "b.jpg")
    empty.apply(link)
    assert only(empty.apply(action)).result is Result.ALREADY


def test_a_link_to_the_kept_file_protects_what_it_leads_to(empty: Album):
    empty.group("a.jpg", "b.jpg", "c.jpg", content=b"same")
    (empty.root / "link.jpg").symlink_to("b.jpg")
    empty.removals[1] = replace(empty.removals[1], keeper=empty.root / "link.jpg")
    assert results(empty.apply(Action.DELETE)) == [Result.REFUSED, Result.DONE]
    assert (empty.root / "link.jpg").read_bytes() == b"same"


@pytest.mark.parametrize("action", TAKING)
def test_a_duplicate_that_another_one_is_a_link_to_stays(empty: Album, action: Action):
    empty.group("a.jpg", "b.jpg")
    symbolic_link(empty.root / "c.jpg", empty.root / "b.jpg")
    empty.plan(empty.root / "c.jpg", empty.root / "a.jpg")
    target, link = empty.apply(action)
    assert target.reason == f"a symbolic link would lead nowhere: {empty.root}/c.jpg"
    assert link.reason == "a symbolic link, not a file of its own"
    assert (empty.root / "c.jpg").is_file()


@pytest.mark.parametrize("action", LINKING)
def test_a_duplicate_that_another_one_is_a_link_to_may_become_a_link_itself(empty: Album, action: Action):
    empty.group("a.jpg", "b.jpg")
    symbolic_link(empty.root / "c.jpg", empty.root / "b.jpg")
    empty.plan(empty.root / "c.jpg", empty.root / "a.jpg")
    assert empty.apply(action)[0].result is Result.DONE
    assert (empty.root / "c.jpg").is_file()


@pytest.mark.parametrize("action", LINKING)
def test_near_duplicates_are_not_linked(empty: Album, action: Action):
    empty.group("a.jpg")
    empty.plan(empty.write("b.jpg", b"near"), empty.root / "a.jpg")
    assert "another picture" in refusal(empty.apply(action))
    assert (empty.root / "b.jpg").read_bytes() == b"near"


def test_hard_links_do_not_leave_a_file_system(empty: Album, other_disk: Path):
    empty.group("a.jpg", "b.jpg")
    kept = Path(shutil.copy(empty.root / "a.jpg", other_disk))
    empty.removals[0] = replace(empty.removals[0], keeper=kept)
    assert "file system" in refusal(empty.apply(Action.HARDLINK))


def test_a_file_with_another_name_elsewhere_frees_nothing(empty: Album):
    empty.group("a.jpg", "b.jpg")
    os.link(empty.root / "b.jpg", empty.root / "second name.jpg")
    outcome = only(empty.apply(Action.DELETE))
    assert (outcome.size, outcome.bytes_freed) == (500, 0)


@pytest.mark.parametrize("action", [Action.DELETE, Action.HARDLINK])
def test_two_names_of_one_duplicate_free_it_once(empty: Album, action: Action):
    empty.group("a.jpg", "b.jpg")
    os.link(empty.root / "b.jpg", empty.root / "c.jpg")
    empty.plan(empty.root / "c.jpg", empty.root / "a.jpg")
    assert [outcome.bytes_freed for outcome in empty.apply(action)] == [0, 500]


def test_two_names_of_one_duplicate_lie_in_the_trash_each_with_its_note(empty: Album, trash: Path):
    empty.group("a.jpg", "1/b.jpg")
    (empty.root / "2").mkdir()
    os.link(empty.root / "1/b.jpg", empty.root / "2/b.jpg")
    empty.plan(empty.root / "2/b.jpg", empty.root / "a.jpg")
    places = [outcome.place for outcome in empty.apply(Action.TRASH)]
    assert places == [trash / "files/b.jpg", trash / "files/b 1.jpg"]
    empty.undo()
    assert not list(trash.glob("*/*"))


def test_a_name_put_back_by_hand_does_not_cost_the_other_name_in_the_trash(empty: Album):
    empty.group("a.jpg", "b.jpg")
    os.link(empty.root / "b.jpg", empty.root / "c.jpg")
    empty.plan(empty.root / "c.jpg", empty.root / "a.jpg")
    before = empty.seen()
    place = empty.apply(Action.TRASH)[1].place
    assert place is not None
    place.rename(empty.root / "c.jpg")
    assert results(empty.undo()) == [Result.ALREADY, Result.DONE]
    assert empty.seen() == before


@pytest.mark.parametrize("action", [Action.TRASH, Action.MOVE])
def test_two_names_of_one_duplicate_come_back_as_two_names(empty: Album, action: Action):
    empty.group("a.jpg", "b.jpg")
    os.link(empty.root / "b.jpg", empty.root / "c.jpg")
    empty.plan(empty.root / "c.jpg", empty.root / "a.jpg")
    before = empty.seen()
    empty.apply(action)
    assert results(empty.undo()) == [Result.DONE, Result.DONE]
    assert empty.seen() == before
    assert (empty.root / "b.jpg").samefile(empty.root / "c.jpg")


@pytest.mark.parametrize("action", [Action.TRASH, Action.MOVE])
def test_a_duplicate_with_another_name_elsewhere_comes_back_as_that_file(empty: Album, action: Action):
    empty.group("a.jpg", "b.jpg")
    os.link(empty.root / "b.jpg", empty.root / "second name.jpg")
    empty.apply(action)
    empty.undo()
    assert (empty.root / "b.jpg").samefile(empty.root / "second name.jpg")
