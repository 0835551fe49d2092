"""What acting on a file with several names says it frees."""

import os

import pytest

from indexer.actions.records import Action

from .acting import Album


def link_and_plan(album: Album, name: str, *others: str) -> None:
    """Give a file other names, and plan to get rid of these as well."""
    for other in others:
        os.link(album.root / name, album.root / other)
        album.plan(album.root / other, album.root / "a.jpg")


@pytest.mark.parametrize("action", Action)
def test_the_last_of_several_names_frees_what_the_file_takes(empty: Album, action: Action):
    empty.group("a.jpg", "b.jpg")
    link_and_plan(empty, "b.jpg", "c.jpg", "d.jpg")
    assert [outcome.bytes_freed for outcome in empty.apply(action)] == [0, 0, 500]


@pytest.mark.parametrize("action", Action)
def test_a_name_that_stays_keeps_the_room_taken(empty: Album, action: Action):
    empty.group("a.jpg", "b.jpg")
    link_and_plan(empty, "b.jpg", "c.jpg")
    os.link(empty.root / "b.jpg", empty.root / "stays.jpg")
    assert [outcome.bytes_freed for outcome in empty.apply(action)] == [0, 0]


def test_each_file_with_several_names_is_counted_for_itself(empty: Album):
    empty.group("a.jpg", "b.jpg", "x.jpg")
    link_and_plan(empty, "b.jpg", "c.jpg")
    link_and_plan(empty, "x.jpg", "y.jpg")
    empty.removals.sort(key=lambda removal: removal.path.name)
    assert [outcome.bytes_freed for outcome in empty.apply(Action.TRASH)] == [0, 500, 0, 500]
