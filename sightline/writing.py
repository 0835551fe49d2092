"""Writing: a file is put in its place whole, or what was there stays."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

SUFFIX_LETTERS_MAX = 16


def write_picture(image: "Image.Image", file: Path) -> None:
    """Write a picture that the program drew, marked as such; raises UsageError as `check_drawing` does."""
    from indexer.own_pictures import mark

    check_drawing(file)
    with written_whole(file) as beside:
        image.save(beside, exif=mark())


def check_drawing(file: Path, option: str = "") -> None:
    """Refuse a name under which no drawn picture can be written, or would replace what we did not draw.

    Raises UsageError. Commands ask before any work is done; of a link, it is what it points to that counts.
    """
    named, target = f"{option} {file}".strip(), Path(os.path.realpath(file))
    if target.is_dir():
        raise UsageError(f"{named} is a folder; give the name of a file")
    if not target.parent.is_dir():
        raise UsageError(f"{named}: there is no folder {target.parent}; make it, or name another")
    if not file.exists():
        return
    from indexer.own_pictures import may_be_replaced  # Pillow takes its time

    if not may_be_replaced(file):
        raise UsageError(
            f"{named} is a file that sightline did not draw, so it is not replaced; give another name"
        )


def write_whole(file: Path, text: str) -> None:
    """Write text as UTF-8; raises OSError that names the file."""
    with written_whole(file) as beside:
        beside.write_text(text, encoding="utf-8")


def _short_name(suffix: str) -> str:
    """Give a name that no one else has, and that a disk takes whatever the final one's length is."""
    return f".sightline-{os.getpid()}-{secrets.token_hex(4)}{suffix[:SUFFIX_LETTERS_MAX]}"


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """Give a path to write to, with the suffix of `file`; what is written there takes the place of `file`.

    A suffix that is no format's but the end of a long name, as in "No. 5 of all my holidays", may be cut.
    """
    if file.exists() and not file.is_file():  # /dev/stdout, a pipe: it is written to, never replaced
        yield file
        return
    target = Path(os.path.realpath(file))  # a link stays a link
    beside = target.with_name(_short_name(target.suffix))
    try:
        yield beside
        beside.replace(target)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(file)  # which is the name that was asked for
        raise
    finally:
        with suppress(OSError):
            beside.unlink()
