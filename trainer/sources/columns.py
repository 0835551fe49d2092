"""Columns: which of a table's hold the images and the captions, by their names or by what is in them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import PairsInvalid
from indexer.formats import IMAGE_EXTENSIONS, RAW_EXTENSIONS, extension

from .wording import says_something

# Letters alone, in lower case; the likeliest first.
IMAGE_NAMES = (
    "imagepath", "filepath", "imagefile", "filename", "imagefilename", "file", "path", "image", "img",
    "imgpath", "photo", "picture", "pathtoimage", "imgfile", "imagename", "imageid",
)  # fmt: skip
CAPTION_NAMES = (
    "captions", "caption", "texts", "text", "descriptions", "description", "sentences", "sentence",
    "rawcaption", "alttext", "alt", "prompt", "title", "comment",
)  # fmt: skip
LABEL_NAMES = ("label", "class", "classname", "category", "name")
SAMPLE_ROWS = 200
MOST = 0.8  # of a column's values that must look like image files
# Of a column's texts those that have a space, and those that differ: "train" and "web page" describe nothing.
SENTENCES_MIN = 0.5

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NamedColumns:
    """The columns that a person has named; None: to be guessed."""

    image: str | None = None
    caption: str | None = None
    label: str | None = None  # class names, in the place of captions


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is which."""

    image: str
    caption: str
    is_label: bool  # the caption column has class names, not sentences
    note: str  # how they were chosen

    @property
    def holds(self) -> str:
        """Tell in a word what the caption column has."""
        return "class" if self.is_label else "caption"

    def texts(self, cell: object) -> list[str]:
        """Give the texts of a caption's cell, which may be a list; of classes also the whole numbers."""
        if self.is_label:
            return _class_names(cell)
        return [text for text in _values(cell) if isinstance(text, str)]


def choose_columns(table: Path, names: Sequence[str], sample: Sequence[Row], named: NamedColumns) -> Columns:
    """Take the columns that were named, guess the others; raises PairsInvalid when that is not possible."""
    _check_named(table, names, named)
    told = named.label or named.caption
    chosen_image = named.image or _image_column([name for name in names if name != told], sample)
    if chosen_image is None:
        raise PairsInvalid(
            table, f"no column looks like image files in {_listed(names)}; name it with --image-column"
        )
    chosen = told or _caption_column([name for name in names if name != chosen_image], sample)
    if chosen is None:
        raise PairsInvalid(
            table,
            f"no column looks like captions in {_listed(names)}; name it with --caption-column, or a column "
            "of class names with --label-column",
        )
    is_label = named.label is not None or (named.caption is None and _letters(chosen) in LABEL_NAMES)
    kind = "class names" if is_label else "captions"
    options = "--image-column, --caption-column and --label-column"
    how = "" if named.image and told else f", guessed; settable with {options}"
    return Columns(
        chosen_image, chosen, is_label, f"images from {chosen_image!r}, {kind} from {chosen!r}{how}"
    )


def _check_named(table: Path, names: Sequence[str], named: NamedColumns) -> None:
    for name in (named.image, named.caption, named.label):
        if name is not None and name not in names:
            raise PairsInvalid(table, f"has no column {name!r}; it has {_listed(names)}")
    if named.caption is not None and named.label is not None:
        raise PairsInvalid(
            table, "is read for its captions or for its classes; leave --caption-column or --label-column out"
        )


def looks_like_image(value: object) -> bool:
    """Tell whether a cell names a file with an image's extension."""
    if not isinstance(value, str):
        return False
    kind = extension(value.strip().replace("\\", "/").rpartition("/")[2])
    return kind in IMAGE_EXTENSIONS or kind in RAW_EXTENSIONS


def _image_column(names: Sequence[str], sample: Sequence[Row]) -> str | None:
    """Prefer what is in the columns: a "path" may be a web page and a "photo" a number."""
    shares = {name: _share(name, sample) for name in names}
    best = [name for name in names if shares[name] >= MOST]
    return _by_name(best, IMAGE_NAMES) or (best[0] if best else _by_name(names, IMAGE_NAMES))


def _caption_column(names: Sequence[str], sample: Sequence[Row]) -> str | None:
    """Take a column of a usual name, unless it is empty or holds bare codes (IMG_0012); else the wordiest.

    Codes that come again may be class numbers; those that do not stand back for nothing less than sentences.
    """
    texts = {name: _texts([row.get(name) for row in sample]) for name in names}
    worded = [name for name in names if any(map(_says_something, texts[name]))]
    coded = [name for name in names if any(_class_names(row.get(name)) for row in sample)]
    return (
        _by_name(worded, CAPTION_NAMES)
        or _by_name(worded, LABEL_NAMES)
        or _by_name([name for name in coded if _come_again(name, sample)], LABEL_NAMES)
        or _wordiest([name for name in worded if _are_sentences(texts[name])], sample)
        or _by_name(coded, LABEL_NAMES)
        or _wordiest(worded, sample)
        or _by_name(names, CAPTION_NAMES)
        or _by_name(names, LABEL_NAMES)
    )


def _says_something(text: str) -> bool:
    return says_something(text) or not text.isascii()  # a picture may be worth the word


def _come_again(name: str, sample: Sequence[Row]) -> bool:
    """Tell whether each code of a column stands in two rows on average."""
    codes = [code for row in sample for code in _class_names(row.get(name))]
    return 2 * len(set(codes)) <= len(codes)


def _are_sentences(texts: Sequence[str]) -> bool:
    spaced = sum(" " in text.strip() for text in texts)
    return min(spaced, len(set(texts))) >= SENTENCES_MIN * len(texts)


def _share(name: str, sample: Sequence[Row]) -> float:
    values = [row[name] for row in sample if row.get(name) not in (None, "")]
    return sum(map(looks_like_image, values)) / len(values) if values else 0.0


def _by_name(names: Sequence[str], usual: Sequence[str]) -> str | None:
    ranked = [(usual.index(_letters(name)), name) for name in names if _letters(name) in usual]
    return min(ranked)[1] if ranked else None


def _wordiest(names: Sequence[str], sample: Sequence[Row]) -> str | None:
    """Choose the column with the most words a cell; numbers and other files are no captions."""
    words = {name: _words_per_cell([row.get(name) for row in sample]) for name in names}
    best = max(names, key=lambda name: words[name], default=None)
    return best if best is not None and words[best] >= 1 else None


def _words_per_cell(values: Sequence[object]) -> float:
    said = [text for text in _texts(values) if not looks_like_image(text)]
    return sum(len(re.findall(r"[^\W\d_]{2,}", text)) for text in said) / max(len(values), 1)


def _texts(values: Sequence[object]) -> list[str]:
    """Give the cells that are text, or a list of texts, and not empty."""
    texts = [" ".join(map(str, v)) if isinstance(v, (list, tuple)) else v for v in values]
    return [text for text in texts if isinstance(text, str) and text.strip()]


def _values(cell: object) -> Sequence[object]:
    return cell if isinstance(cell, (list, tuple)) else [cell]


def _class_names(cell: object) -> list[str]:
    """Give the texts and whole numbers of a cell that are not empty."""
    return [name for name in map(_class_name, _values(cell)) if isinstance(name, str) and name.strip()]


def _class_name(value: object) -> object:
    """Write a whole number as CSV does; a column of them that lacks some is read as 7.0 by what wrote it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) else value


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "no columns at all"
