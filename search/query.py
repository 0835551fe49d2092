"""Queries: what a person types, as weighted parts, and those parts as one unit vector.

How words on a command line are read:

    a dog on the beach          plain words side by side are one phrase
    "a dog" "a red ball"        a quoted argument of several words is a part of its own
    dog + ball                  a lone + ends a phrase
    2:sunset                    a number and a colon weigh the part that follows (one argument)
    ./cat.jpg  photos/cat.jpg   a part that is a file, or begins with / ./ ../ ~ or file://, is an example
                                image
"""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from indexer.encoders.texts import valid_unicode
from indexer.errors import ExampleMissing, QueryInvalid, UsageError
from indexer.paths import home_expanded
from indexer.typed_paths import FILE_ADDRESS, from_address, rejoined, rejoined_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.encoders.base import Encoder
    from indexer.records import Vectors

# 16:9 and 10:30 are words: what is weighted does not begin with a digit.
_WEIGHT = re.compile(r"(?P<weight>\d+(?:\.\d*)?|\.\d+):(?P<rest>(?!\d).*)", re.DOTALL | re.ASCII)
WEIGHT_MAX = 1000.0
_PATH_STARTS = ("/", "./", "../", "~/", ".\\", "..\\")
_URL_STARTS = ("http://", "https://", "data:")
_IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".heif",
)
# Below this many images a spread of scores says more about chance than about the part (see `mix`).
BALANCE_IMAGES_MIN = 20


@dataclass(frozen=True, slots=True)
class QueryPart:
    """A text or an example image, and how much it counts; a negative weight takes it away."""

    weight: float
    text: str | None = None
    path: Path | None = None

    def __str__(self) -> str:
        name = self.text if self.path is None else self.path.name
        return f"{name}" if abs(self.weight) == 1 else f"{abs(self.weight):g}:{name}"


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: one part or several."""

    parts: tuple[QueryPart, ...]

    @property
    def texts(self) -> tuple[QueryPart, ...]:
        """Give the parts that are words."""
        return tuple(part for part in self.parts if part.text is not None)

    @property
    def examples(self) -> tuple[QueryPart, ...]:
        """Give the parts that are images."""
        return tuple(part for part in self.parts if part.path is not None)

    def __str__(self) -> str:
        wanted = " + ".join(str(part) for part in self.parts if part.weight > 0)
        unwanted = "".join(f" \N{MINUS SIGN} {part}" for part in self.parts if part.weight < 0)
        return (wanted + unwanted).strip()


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query's parts as vectors."""

    vectors: "Vectors"  # (parts, dim), unit rows
    weights: "NDArray[np.float32]"  # (parts,)
    is_example: "NDArray[np.bool_]"  # (parts,)
    example_hashes: frozenset[bytes]  # content hashes of the example images, to leave them out of the results


@dataclass(frozen=True, slots=True)
class MixedQuery:
    """A query as one vector, and how much of each part went into it."""

    vector: "NDArray[np.float32]"  # (dim,), length one
    shares: "NDArray[np.float32]"  # (parts,); their sum over the parts' vectors is the vector
    is_example: "NDArray[np.bool_]"  # (parts,)


def parse_query(
    words: Sequence[str], *, without: Sequence[str] = (), like: Sequence[str | Path] = ()
) -> Query:
    """Read the words of a command line as a query; raises QueryInvalid with a sentence for the user."""
    try:
        negative = [_negative(_part(argument)) for argument in without]
        return _query([*_parts(words), *_examples(like), *negative])
    except ExampleMissing as error:
        raise _unsplit(error, words, [*map(str, like), *without]) from None


def _unsplit(error: ExampleMissing, words: Sequence[str], values: Sequence[str]) -> ExampleMissing:
    """Name the file that was meant if the shell has split its name at the blanks; values: of options."""
    bare = [_split_weight(word)[1] for word in words]
    at = next((place for place, word in enumerate(bare) if Path(word) == error.path), None)
    if at is None:
        return ExampleMissing(error.path, meant=rejoined_value(str(error.path), bare))
    names = (rejoined(bare, at), *(rejoined_value(each, bare) for each in values))
    return ExampleMissing(error.path, among_words=True, meant=next(filter(None, names), None))


def make_query(
    texts: Sequence[str], *, without: Sequence[str] = (), like: Sequence[str | Path] = ()
) -> Query:
    """Make a query of which each text is one part; a text is never taken for a file, whoever wrote it.

    Weights are read as on the command line. Raises QueryInvalid.
    """
    negative = [_negative(_text_part(text)) for text in without]
    return _query([*map(_text_part, texts), *_examples(like), *negative])


def _query(parts: Sequence[QueryPart]) -> Query:
    if not parts:
        raise QueryInvalid("nothing to look for; give some words, or an example image")
    return Query(tuple(parts))


def _parts(words: Sequence[str]) -> Iterator[QueryPart]:
    """Join plain words that stand side by side; every other argument is a part."""
    for plain, group in itertools.groupby(words, _is_plain):
        if plain:
            yield QueryPart(1.0, " ".join(map(_clean, group)))
            continue
        for argument in group:
            if argument == "-":
                raise QueryInvalid("a lone - means nothing here; take something away with --without TEXT")
            if argument != "+":
                yield _part(argument)


def _is_plain(word: str) -> bool:
    if word in ("", "+", "-") or any(letter.isspace() for letter in word):
        return False
    weight, rest = _split_weight(word)
    return weight is None and not _looks_like_file(rest)


def _split_weight(argument: str) -> tuple[float | None, str]:
    match = _WEIGHT.fullmatch(argument)
    return (float(match["weight"]), match["rest"]) if match else (None, argument)


def _part(argument: str) -> QueryPart:
    weight, rest = _split_weight(argument)
    if rest.startswith(_URL_STARTS):
        raise QueryInvalid(f"{rest}: addresses are not fetched; save the image and give its file")
    if not _looks_like_file(rest):
        return _text_part(argument)
    return _example(_file_of(rest), _checked(weight, argument))


def _file_of(typed: str) -> Path:
    try:
        return from_address(typed) if typed.startswith(FILE_ADDRESS) else Path(typed)
    except UsageError as error:
        raise QueryInvalid(str(error)) from error


def _text_part(argument: str) -> QueryPart:
    weight, rest = _split_weight(argument)
    text = _clean(rest)
    if not text:
        raise QueryInvalid(f"{argument!r}: an empty part; write the words, or leave it out")
    return QueryPart(_checked(weight, argument), text)


def _clean(text: str) -> str:
    """Make one line of valid Unicode."""
    return " ".join(valid_unicode(text).split())


def _checked(weight: float | None, argument: str) -> float:
    if weight is None:
        return 1.0
    if not 0 < weight <= WEIGHT_MAX:
        raise QueryInvalid(f"{argument!r}: a weight lies above 0 and up to {WEIGHT_MAX:g}")
    return weight


def _negative(part: QueryPart) -> QueryPart:
    return QueryPart(-part.weight, part.text, part.path)


def _examples(files: Sequence[str | Path]) -> Iterator[QueryPart]:
    for file in files:
        yield _example(Path(file), 1.0)


def _looks_like_file(word: str) -> bool:
    """Tell a file from a word: a file called `dog` is reached as ./dog."""
    if word.startswith((*_PATH_STARTS, *_URL_STARTS, FILE_ADDRESS)):
        return True
    path = Path(word)
    if path.suffix.lower() in _IMAGE_SUFFIXES:
        return True
    try:
        return (bool(path.suffix) or len(path.parts) > 1) and path.is_file()
    except (OSError, ValueError):  # too long for a file name, or with a zero byte: then it is none
        return False


def _example(path: Path, weight: float) -> QueryPart:
    try:
        full = home_expanded(path)
    except UsageError as error:
        raise QueryInvalid(str(error)) from error
    if os.path.isdir(full):  # noqa: PTH112  (Path.is_dir may raise)
        inside = f"--in {quote(str(path))}"
        raise QueryInvalid(f"{path}: a folder, not an image; keep to a folder with {inside}")
    if not _is_file(full):
        raise ExampleMissing(path)
    return QueryPart(weight, path=full)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # a folder that is closed to us, a name that is too long, a drive that died
        raise QueryInvalid(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error


def encode_query(query: Query, encoder: "Encoder") -> EncodedQuery:
    """Encode every part, texts in one batch; raises QueryInvalid for an image that cannot be read."""
    import numpy as np

    texts = [part.text for part in query.parts if part.text is not None]
    text_rows = iter(encoder.encode_texts(texts)) if texts else iter(())
    rows, hashes = [], set()
    for part in query.parts:
        if part.path is None:
            rows.append(next(text_rows))
        else:
            row, content_hash = _encode_example(part.path, encoder)
            rows.append(row)
            hashes.add(content_hash)
    weights = np.array([part.weight for part in query.parts], dtype=np.float32)
    is_example = np.array([part.path is not None for part in query.parts])
    return EncodedQuery(np.stack(rows), weights, is_example, frozenset(hashes))


def _encode_example(path: Path, encoder: "Encoder") -> "tuple[NDArray[np.float32], bytes]":
    from indexer.decode import query_image

    with advising_a_smaller_copy():
        pixels, content_hash = query_image(path, encoder.card.preprocessing)
    return encoder.encode_pixels(pixels[None])[0], content_hash


@contextmanager
def advising_a_smaller_copy() -> Iterator[None]:
    """Say what helps with an image that is too large where there is no option for the limit."""
    from indexer.opening import MEGAPIXELS_ADVICE

    try:
        yield
    except QueryInvalid as error:
        raise QueryInvalid(str(error).replace(MEGAPIXELS_ADVICE, "give a smaller copy of it")) from error


def mix(encoded: EncodedQuery, sample: "Vectors") -> MixedQuery:
    """Add up the parts into one unit vector; sample is (n, dim) of the library.

    Images lie closer to images than to any text, and in most encoders their cosines spread several times
    wider, so in a plain sum an example would drown the words beside it. Each part is therefore divided by
    the spread of its scores over the library: a weight then says how much a part moves the ranking.
    """
    import numpy as np

    shares = encoded.weights
    if len(shares) > 1 and len(sample) >= BALANCE_IMAGES_MIN:
        spread = (encoded.vectors @ sample.T).std(axis=1)
        shares = shares / np.maximum(spread, 1e-3)
    total = shares @ encoded.vectors
    length = max(float(np.linalg.norm(total)), 1e-6)
    return MixedQuery(total / length, shares / length, encoded.is_example)
