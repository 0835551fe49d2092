"""Splitting: which groups of images are for validation, the same today and when there are more."""

import hashlib
import math
from collections.abc import Sequence

from indexer.errors import PairsInvalid

GROUPS_MIN = 3  # different images: two to tell apart, and one to validate on


def split(groups: Sequence[bytes], sizes: Sequence[int], *, share: float, seed: int) -> list[bool]:
    """Tell for each group whether it is for validation; at least one is, and at least two are not.

    groups: one key each, of its content; sizes: how many images each has. A group's lot depends on its key
    and the seed alone, so it stays where it is when others are added or files are renamed. One with more
    images than the share of all is learned from, unless all are so large: else the many shots of one thing
    might be all that is validated on. Raises PairsInvalid for fewer than GROUPS_MIN.
    """
    if not share:
        return [False] * len(groups)
    if len(groups) < GROUPS_MIN:
        raise PairsInvalid(
            None,
            f"{len(groups):,} different images are too few to learn from and to validate on: at least "
            f"{GROUPS_MIN} are needed, and some hundreds to learn anything",
        )
    largest = max(share * sum(sizes), min(sizes))
    lots = [_lot(key, seed) if size <= largest else math.inf for key, size in zip(groups, sizes, strict=True)]
    ranked = sorted(lots)
    bar = min(max(share, ranked[0]), ranked[-GROUPS_MIN])  # the extremes of small sets
    return [lot <= bar for lot in lots]


def _lot(key: bytes, seed: int) -> float:
    """Draw a number from 0 to 1."""
    digest = hashlib.sha256(f"{seed}:".encode() + key).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
