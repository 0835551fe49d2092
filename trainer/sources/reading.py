"""Reading: finds out what form a source has, and reads it."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from indexer.errors import FolderMissing, PairsInvalid
from indexer.paths import home_expanded_or_kept
from indexer.store.files import LIBRARY_NAME, catalog_file

from .columns import NamedColumns
from .folders import read_folder
from .library import read_library
from .records import Reading
from .shards import expand_shards, is_pattern, is_shard, read_shards
from .tables import ENDINGS, read_table
from .wording import readable, says_something

FORMS = "a CSV, TSV, JSONL or Parquet file, tar shards, a folder, or a library's .sightline folder"

TABLE_FORMS = frozenset(["CSV", "TSV", "JSONL", "Parquet"])


def read_examples(
    source: Path,
    *,
    image_column: str | None = None,
    caption_column: str | None = None,
    label_column: str | None = None,
) -> Reading:
    """Read images and texts in whatever form they are kept.

    source: a CSV, TSV, JSONL or Parquet file; webdataset tar shards, by one file, a folder of them, or a
    pattern such as shards-{000..004}.tar or shards-*.tar; a folder of images with .txt files of the same
    names, or one folder for each class; a Sightline library. The columns of a table are guessed
    when not named, label_column holds class names; of shards with .json, caption_column is the key.

    Raises PairsInvalid when nothing can be learned from it, FolderMissing when it is not there.
    """
    named = NamedColumns(image_column, caption_column, label_column)
    try:
        return _with_unused_told(_read(home_expanded_or_kept(source).absolute(), named), named)
    except OSError as error:
        place = Path(error.filename) if error.filename else source
        raise PairsInvalid(place, f"cannot be read: {(error.strerror or str(error)).lower()}") from error


def _with_unused_told(reading: Reading, named: NamedColumns) -> Reading:
    """Add a note of options that only tables heed; no refusal, since validation may be of another form."""
    options = {"--image-column": named.image, "--label-column": named.label}
    unused = [option for option, column in options.items() if column is not None]
    if not unused or reading.form in TABLE_FORMS:
        return reading
    note = f"{' and '.join(unused)} not heeded: {reading.form}, and only a table has columns"
    return replace(reading, notes=(note, *reading.notes))


def _read(source: Path, named: NamedColumns) -> Reading:
    if source.is_dir():
        return _read_folder(source, named)
    if is_shard(source) or is_pattern(source):
        return read_shards(expand_shards(source), named.caption)
    if not source.exists():
        raise FolderMissing(source) if not source.suffix else PairsInvalid(source, "no such file")
    if source.suffix.lower() in ENDINGS:
        return read_table(source, named)
    raise PairsInvalid(source, f"of no form that is known here; give {FORMS}")


def _read_folder(folder: Path, named: NamedColumns) -> Reading:
    if folder.name == LIBRARY_NAME or catalog_file(folder).exists():
        return read_library(folder)
    for ending in (".csv", ".jsonl", ".parquet"):  # the form of Hugging Face's image folders
        table = folder / f"metadata{ending}"
        if table.is_file():
            return read_table(table, named)
    shards = sorted(path for path in folder.glob("*.tar") if path.is_file())
    if shards:
        return read_shards(shards, named.caption)
    if not catalog_file(folder / LIBRARY_NAME).exists():
        return read_folder(folder)
    with suppress(PairsInvalid):
        reading = read_folder(folder)
        if _says_something(reading):
            return reading
    return read_library(folder / LIBRARY_NAME)


def _says_something(reading: Reading) -> bool:
    """Tell whether the captions are more than class names such as 2019 and 2020."""
    return any(e.label is None or says_something(readable(e.label)) for e in reading.examples)
