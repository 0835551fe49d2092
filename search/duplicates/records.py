"""Records: what the search for duplicates answers with."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from indexer.store.records import StoredImage


class Level(StrEnum):
    """How alike two images are; each level holds those before it."""

    EXACT = "exact"  # the same bytes
    PIXEL = "pixel"  # the same decoded, upright pixels
    NEAR = "near"  # the same picture: resized, recompressed, recoloured, cropped a little, marked, turned
    SIMILAR = "similar"  # the same scene: a burst, another frame, or much alike to the encoder

    @property
    def rank(self) -> int:
        """Give 0 for the strictest."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why two images are held to be duplicates; None where that was not looked at."""

    hash_distance: int | None = None  # of PDQ's 256 bits
    cosine: float | None = None  # of the encoder's vectors
    nearness: float | None = None  # how far apart the vectors are, 1 being as far as from strangers
    seconds_apart: float | None = None  # told where that they were taken together is a reason
    inliers: int | None = None  # local features that agree on how one lies in the other
    agreement: float | None = None  # share of the cells they have in common that show the same
    covered: float | None = None  # share of this image that the kept one shows
    turned: str = ""  # "mirrored", "rotated 90", ...
    framed: bool = False  # this image is the kept one with a frame around it
    coloured: bool = False  # this image has colours, the kept one hardly any
    marked: bool = False  # the two are the same but for something put on one of them: a label, a watermark
    altered: bool = False  # where the two differ, this image seems to be the one that was changed
    damaged: bool = False  # of this image's file only a part could be decoded

    def as_dict(self) -> dict[str, Any]:
        """Give what is known, as plain values."""
        known = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in known.items()
            if value is not None and value is not False and value != ""  # 0 is known too
        }


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two contents that are duplicates at a level."""

    first: int  # content id; the smaller
    second: int
    level: Level
    confidence: float  # 0 to 1
    first_in_second: Evidence  # with `covered` of the first
    second_in_first: Evidence

    @property
    def pair(self) -> frozenset[int]:
        """Give the two contents."""
        return frozenset((self.first, self.second))

    @property
    def by_vectors(self) -> bool:
        """Tell whether no pixels were compared: vectors and time alone say so."""
        return self.first_in_second.inliers is None and self.first_in_second.agreement is None

    def towards(self, keeper: int) -> Evidence:
        """Give the evidence for the other one, when this content is kept."""
        return self.second_in_first if keeper == self.first else self.first_in_second


@dataclass(frozen=True, slots=True)
class Member:
    """A file that could go, and why."""

    image: StoredImage
    level: Level  # towards the kept file
    confidence: float
    evidence: Evidence
    reason: str  # in words for a person
    linked: bool = False  # a hard link to the kept file: it takes no room
    identity: tuple[int, int] | None = None  # what all names of one file share; None where not looked at


@dataclass(frozen=True, slots=True)
class Group:
    """A file to keep and its duplicates, each of which is one of the kept file itself."""

    keep: StoredImage
    members: tuple[Member, ...]

    @property
    def level(self) -> Level:
        """Give the loosest level in the group."""
        return max((member.level for member in self.members), key=lambda level: level.rank)

    @property
    def freed(self) -> int:
        """Give the bytes that its members take beside the kept file; all names of one file take them once."""
        sizes = {
            member.identity or number: member.image.size
            for number, member in enumerate(self.members)
            if not member.linked
        }
        return sum(sizes.values())
