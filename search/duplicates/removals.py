"""Removals: a report of duplicates to what is to be done to which file."""

from indexer.actions.records import Action, Removal
from indexer.store.records import StoredImage

from .records import Group, Level


def plan_removals(groups: tuple[Group, ...], action: Action) -> tuple[list[Removal], int]:
    """Give what is to be done, and how many duplicates are left alone.

    A link takes only the place of a file with the same bytes: else it would change what the file shows.
    """
    pairs = [(group.keep, member) for group in groups for member in group.members]
    chosen = [
        _removal(member.image, keep)
        for keep, member in pairs
        if not action.links or member.level is Level.EXACT
    ]
    return chosen, len(pairs) - len(chosen)


def _removal(image: StoredImage, keep: StoredImage) -> Removal:
    return Removal(
        path=image.path,
        sha256=image.content_hash,
        keeper=keep.path,
        keeper_sha256=keep.content_hash,
        relative=image.relative,
    )
