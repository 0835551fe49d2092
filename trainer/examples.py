"""Examples: images where they lie, with the texts that say what is in them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import PairsInvalid

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """Where the bytes of an image are: a file of its own, or a part of a tar shard."""

    path: Path  # the image file, or the shard
    member: str = ""  # the name within the shard; "" for a file of its own
    offset: int = 0  # bytes, within the shard
    size: int = 0  # bytes, within the shard

    @property
    def name(self) -> str:
        """Name it for a message."""
        return f"{self.path}: {self.member}" if self.member else str(self.path)

    def read(self) -> bytes:
        """Read the file's bytes; raises OSError."""
        if not self.member:
            return self.path.read_bytes()
        with self.path.open("rb") as shard:
            shard.seek(self.offset)
            return shard.read(self.size)


@dataclass(frozen=True, slots=True)
class Example:
    """One image and what may be said of it."""

    image: ImagePlace
    captions: tuple[str, ...]  # each a full description; at least one
    label: str | None = None  # the class, where there are classes; its captions come from its name
    photo: str | None = None  # the same for copies byte for byte; None where no other is known


def caption_key(caption: str) -> str:
    """Give what captions share that say the same: case, spaces and a final stop make no difference.

    Marks and symbols do: they are a part of the word in Thai and Hindi, and of C# and -5 °C.
    """
    return " ".join(caption.casefold().split()).rstrip(" .!")


def open_image(place: ImagePlace, *, target: tuple[int, int] | None = None) -> "Image.Image":
    """Decode to upright RGB, as indexing does; raises Undecodable with the reason, or OSError.

    An image of which only a part can be rescued is refused: its captions would be those of grey; so is a HEIC
    of which the thumbnail alone is whole. With a
    target (width, height) in pixels the image may come reduced, but not below twice its longer side.
    """
    from indexer.opening import Undecodable, open_upright

    name = place.member or place.path.name
    image, facts = open_upright(place.read(), target=target, name=name, thumbnails=False)
    if facts.damaged:
        raise Undecodable("damaged: only a part of it can be decoded")
    return image


def open_again(place: ImagePlace, *, target: tuple[int, int] | None = None) -> "Image.Image":
    """Decode an image that could be decoded before; raises PairsInvalid when it has changed since."""
    from indexer.opening import Undecodable

    try:
        return open_image(place, target=target)
    except (Undecodable, OSError) as error:
        reason = error.reason if isinstance(error, Undecodable) else error.strerror or str(error)
        raise PairsInvalid(
            None,
            f"{place.name}: {reason.lower()}; it could be read before: put it back as it was (a training "
            "goes on with --resume), or leave it out and start again",
        ) from error
