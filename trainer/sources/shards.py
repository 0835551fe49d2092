"""Shards: tar files in the form of webdataset, read where they lie.

A sample is the files of one key, KEY.jpg with KEY.txt, KEY.json or KEY.cls; the key ends at the first dot of
the name, or at the last one where the names have dots of their own. A tar of class folders is taken as well.
"""

import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any

from indexer.errors import PairsInvalid
from indexer.formats import IMAGE_EXTENSIONS

from ..examples import ImagePlace
from .columns import CAPTION_NAMES
from .folders import add_class, class_level, classes_note, told_text
from .records import Gathered, LeftOut, Reading, tidy

TEXT_ENDINGS = ("txt", "json", "cls")
TEXT_BYTES_MAX = 1_000_000  # of one .txt or .json; more is something else
NUMBERS_ONLY = "images with a class number (the names belong in a classnames.txt beside the shards)"
CLASS_NAMES_FILES = ("classnames.txt", "classes.txt")


def is_shard(source: Path) -> bool:
    """Tell by its name whether a file is a tar; compressed ones are, too, to be refused with the remedy."""
    return ".tar" in source.suffixes[-2:] or source.suffix == ".tgz"


def is_pattern(source: Path) -> bool:
    """Tell whether a path stands for several: with {000..004}, *, ? or [...], and no file of that name."""
    return ("{" in source.name or has_magic(source.name)) and not source.exists()


def expand_shards(source: Path) -> list[Path]:
    """Give the shards that a path or a pattern names, in order; raises PairsInvalid when one is not there."""
    if not is_pattern(source):
        return [source]
    shards = [shard for path in _braced(source) for shard in sorted(path.parent.glob(path.name)) or [path]]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing:
        raise PairsInvalid(
            missing[0], f"no such file; {source.name} names {len(missing):,} that are not there"
        )
    return shards


def _braced(source: Path) -> list[Path]:
    from braceexpand import braceexpand

    try:
        return [Path(path) for path in braceexpand(str(source))]
    except ValueError as error:
        raise PairsInvalid(source, "a { without its }; write shards-{000..004}.tar") from error


@dataclass(frozen=True, slots=True)
class _File:
    """An image, or a text with its content."""

    place: ImagePlace
    content: bytes | None  # None: an image, which is read when it is needed

    @property
    def stem(self) -> str:
        """Give the name without its last ending."""
        return _split(self.place.member)[1]

    @property
    def ending(self) -> str:
        return _split(self.place.member)[2]


@dataclass(slots=True)
class _Sample:
    """The files of one key."""

    key: str
    images: list[ImagePlace] = field(default_factory=list)
    texts: dict[str, _File] = field(default_factory=dict)  # by ending: txt, json, cls

    def text(self, ending: str, left_out: LeftOut) -> str:
        """Decode one of its texts; empty where there is none."""
        file = self.texts.get(ending)
        return told_text(file.content or b"", file.place.name, left_out) if file else ""


def read_shards(shards: Sequence[Path], caption_key: str | None = None) -> Reading:
    """Read one or several shards; caption_key: of KEY.json, else the usual ones.

    Raises PairsInvalid when one is no plain tar, or none has an image with a text.
    """
    left_out, gathered = LeftOut(), Gathered()
    form = f"{len(shards):,} tar shards" if len(shards) > 1 else "tar shard"
    samples = [sample for shard in shards for sample in _samples(shard, left_out)]
    if not any(sample.texts for sample in samples):
        return _read_classes(shards, form, samples, left_out)
    names = _class_names(shards[0].parent, left_out)
    for sample in samples:
        _take(sample, gathered, left_out, caption_key, names)
    if not gathered.captions:
        raise PairsInvalid(shards[0], f"has no image with a caption; {'; '.join(left_out.notes())}")
    notes = [*_key_note(samples, caption_key), *([classes_note(gathered)] if gathered.labels else [])]
    return Reading(gathered.examples(), form, (*notes, *left_out.notes()))


def _read_classes(
    shards: Sequence[Path], form: str, samples: Sequence[_Sample], left_out: LeftOut
) -> Reading:
    images = [image for sample in samples for image in sample.images]
    level = class_level([image.member for image in images])
    if level is None:
        raise PairsInvalid(
            shards[0],
            f"holds {len(images):,} images but no KEY.txt, KEY.json or KEY.cls, and no class folders",
        )
    gathered = Gathered()
    for image in images:
        folders = PurePosixPath(image.member).parts[:-1]
        if len(folders) > level:
            add_class(gathered, image, folders[level])
        else:
            left_out.add("images in no class's folder", image.name)
    return Reading(
        gathered.examples(), f"{form} of class folders", (classes_note(gathered), *left_out.notes())
    )


def _samples(shard: Path, left_out: LeftOut) -> Iterator[_Sample]:
    """Give the samples of a shard in order; only texts are read, of images only where they lie."""
    files: dict[str, list[_File]] = {}
    for member, content in _members(shard, left_out):
        place = ImagePlace(shard, member.name, member.offset_data, member.size)
        files.setdefault(_split(member.name)[0], []).append(_File(place, content))
    are_dotted = any(_are_dotted(key, of_key) for key, of_key in files.items())
    for key, of_key in files.items():
        by_stem = are_dotted and _has_dotted_text(key, of_key)
        yield from _by_stem(of_key) if by_stem else [_sample(key, of_key)]


def _are_dotted(key: str, files: Sequence[_File]) -> bool:
    """Tell `1.5mm.jpg, 1.5mm.txt, 1.8mm.jpg` from webdataset's `1.left.jpg, 1.right.jpg, 1.txt`.

    An ending that comes twice may belong to two pictures; then a text is only its namesake's.
    """
    return max(Counter(file.ending for file in files).values()) > 1 and _has_dotted_text(key, files)


def _has_dotted_text(key: str, files: Sequence[_File]) -> bool:
    return any(file.content is not None and file.stem != key for file in files)


def _by_stem(files: Sequence[_File]) -> Iterator[_Sample]:
    stems: dict[str, list[_File]] = {}
    for file in files:
        stems.setdefault(file.stem, []).append(file)
    yield from (_sample(stem, of_stem) for stem, of_stem in stems.items())


def _sample(key: str, files: Sequence[_File]) -> _Sample:
    """Put the files of a key together; of several images the one called KEY.jpg comes first."""
    images = [file for file in files if file.content is None]
    ordered = sorted(images, key=lambda file: file.stem != key)
    texts = {file.ending: file for file in files if file.content is not None}
    return _Sample(key, [file.place for file in ordered], texts)


def _members(shard: Path, left_out: LeftOut) -> Iterator[tuple[tarfile.TarInfo, bytes | None]]:
    """Give the images (None) and the texts with their content."""
    length = shard.stat().st_size
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in _files(shard, archive, left_out):
                ending = _split(member.name)[2]
                if member.offset_data + member.size > length:
                    left_out.add("images that lie behind a shard's end", f"{shard}: {member.name}")
                elif ending in TEXT_ENDINGS and member.size <= TEXT_BYTES_MAX:
                    file = archive.extractfile(member)
                    yield member, file.read() if file else b""
                elif ending in IMAGE_EXTENSIONS:
                    yield member, None
    except tarfile.ReadError as error:
        raise PairsInvalid(
            shard, f"no plain tar ({error}); a compressed one must be unpacked first"
        ) from error


def _files(shard: Path, archive: tarfile.TarFile, left_out: LeftOut) -> Iterator[tarfile.TarInfo]:
    """Give the plain files, as far as a shard goes that was cut off."""
    members = iter(archive)
    while True:
        try:
            member = next(members, None)
        except tarfile.ReadError as error:
            left_out.add("the rest of shards that are cut off or damaged", f"{shard}: {error}")
            return
        if member is None:
            return
        if member.isreg() and not member.issparse() and not member.name.rpartition("/")[2].startswith("."):
            yield member


def _split(name: str) -> tuple[str, str, str]:
    """Give the key, the stem and the ending: of KEY.left.png KEY, KEY.left and png."""
    folder, slash, file = name.rpartition("/")
    stem, dot, ending = file.rpartition(".")
    if not dot:
        stem, ending = file, ""
    return folder + slash + stem.partition(".")[0], folder + slash + stem, ending.lower()


def _take(
    sample: _Sample, gathered: Gathered, left_out: LeftOut, caption_key: str | None, names: Sequence[str]
) -> None:
    if not sample.images:
        left_out.add("texts without an image", sample.key)
        return
    image, *others = sample.images
    for other in others:
        left_out.add("further images of a sample", other.name)
    captions = [*_json_captions(sample.text("json", left_out), caption_key)]
    if caption_key is None:
        captions += sample.text("txt", left_out).splitlines()
    told = sample.text("cls", left_out).strip()
    label = _class_name(told, names)
    if tidy(captions):
        gathered.add(image, tidy(captions))
    elif label is not None:
        add_class(gathered, image, label)
    elif told:
        left_out.add(NUMBERS_ONLY, image.name)
    else:
        left_out.add("images without a caption", image.name)


def _json_captions(content: str, caption_key: str | None) -> list[str]:
    """Find the captions in KEY.json; what is no JSON object has none."""
    values = _json_object(content)
    key = caption_key or _usual_key(values)
    found = values.get(key) if key else None
    return [text for text in (found if isinstance(found, list) else [found]) if isinstance(text, str)]


def _json_object(content: str) -> dict[str, Any]:
    try:
        values: Any = json.loads(content) if content.strip() else {}
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _usual_key(values: dict[str, Any]) -> str | None:
    return next((key for key in CAPTION_NAMES if values.get(key)), None)


def _key_note(samples: Iterable[_Sample], caption_key: str | None) -> Iterator[str]:
    """Say which key of KEY.json was taken, when it was guessed."""
    unheard = LeftOut()  # it is told when the captions are taken
    objects = (_json_object(sample.text("json", unheard)) for sample in samples if "json" in sample.texts)
    key = None if caption_key else _usual_key(next(objects, {}))
    if key:
        yield f"captions from {key!r} of KEY.json, guessed; settable with --caption-column"


def _class_names(folder: Path, left_out: LeftOut) -> Sequence[str]:
    file = next((folder / name for name in CLASS_NAMES_FILES if (folder / name).is_file()), None)
    return told_text(file.read_bytes(), file, left_out).splitlines() if file else ()


def _class_name(told: str, names: Sequence[str]) -> str | None:
    """Give the class that KEY.cls names, or whose number it has."""
    if not told.isdecimal():
        return told or None
    return names[int(told)] if int(told) < len(names) else None
