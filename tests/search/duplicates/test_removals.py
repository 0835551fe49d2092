from dataclasses import replace

import pytest

from indexer.actions.records import Action
from search.duplicates.records import Group, Level
from search.duplicates.removals import plan_removals

from .test_records import image, member

GROUPS = (
    Group(image("a.jpg", 900), (replace(member("same.jpg", 900, None), level=Level.EXACT),)),
    Group(image("b.jpg", 900), (member("small.jpg", 30, None),)),
)


@pytest.mark.parametrize("action", [Action.TRASH, Action.MOVE, Action.DELETE])
def test_every_duplicate_is_removed_for_the_file_that_its_group_keeps(action: Action) -> None:
    removals, left_alone = plan_removals(GROUPS, action)
    planned = [(removal.path.name, removal.keeper.name) for removal in removals]
    assert (planned, left_alone) == ([("same.jpg", "a.jpg"), ("small.jpg", "b.jpg")], 0)


@pytest.mark.parametrize("action", [Action.HARDLINK, Action.SYMLINK])
def test_a_link_takes_no_place_of_other_bytes(action: Action) -> None:
    removals, left_alone = plan_removals(GROUPS, action)
    assert ([removal.path.name for removal in removals], left_alone) == (["same.jpg"], 1)


def test_a_removal_knows_both_files_by_their_bytes() -> None:
    [first, *_], _ = plan_removals(GROUPS, Action.TRASH)
    assert (first.sha256, first.keeper_sha256) == (
        image("same.jpg", 1).content_hash,
        GROUPS[0].keep.content_hash,
    )
