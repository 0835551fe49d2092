"""Writing: a file is put in its place whole, or what was there stays."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Write text as UTF-8; raises OSError that names the file."""
    with written_whole(file) as beside:
        beside.write_text(text, encoding="utf-8")


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """Give a path to write to, with the suffix of `file`; what is written there takes the place of `file`."""
    if file.exists() and not file.is_file():  # /dev/stdout, a pipe: it is written to, never replaced
        yield file
        return
    target = Path(os.path.realpath(file))  # a link stays a link
    beside = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
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
