"""Shards: tar files in the form of webdataset, read where they lie.

A sample is the files of one key, KEY.jpg with KEY.txt, KEY.json or KEY.cls; the key ends at the first dot of
the name. A tar of class folders is taken as well.
"""

import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any

from indexer.errors import PairsInvalid
from indexer.formats import IMAGE_EXTENSIONS

from ..examples import ImagePlace
from .columns import CAPTION_NAMES
from .folders import add_class, class_level, classes_note, text_captions
from .records import Gathered, LeftOut, Reading, tidy

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


@dataclass(slots=True)
class _Sample:
    """The files of one key."""

    key: str
    images: list[ImagePlace] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)  # by ending: txt, json, cls


def read_shards(shards: Sequence[Path], caption_key: str | None = None) -> Reading:
    """Read one or several shards; caption_key: of KEY.json, else the usual ones.

    Raises PairsInvalid when one is no plain tar, or none has an image with a text.
    """
    left_out, gathered = LeftOut(), Gathered()
    form = f"{len(shards):,} tar shards" if len(shards) > 1 else "tar shard"
    samples = [sample for shard in shards for sample in _samples(shard, left_out)]
    if not any(sample.texts for sample in samples):
        return _read_classes(shards, form, samples, left_out)
    names = _class_names(shards[0].parent)
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
    samples: dict[str, _Sample] = {}
    for member, content in _members(shard, left_out):
        key, ending = _split(member.name)
        sample = samples.setdefault(key, _Sample(key))
        if content is not None:
            sample.texts[ending] = content
        else:
            sample.images.append(ImagePlace(shard, member.name, member.offset_data, member.size))
    yield from samples.values()


def _members(shard: Path, left_out: LeftOut) -> Iterator[tuple[tarfile.TarInfo, bytes | None]]:
    """Give the images (None) and the texts with their content."""
    length = shard.stat().st_size
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in _files(shard, archive, left_out):
                ending = _split(member.name)[1]
                if member.offset_data + member.size > length:
                    left_out.add("images that lie behind a shard's end", f"{shard}: {member.name}")
                elif ending in ("txt", "json", "cls") and member.size <= TEXT_BYTES_MAX:
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


def _split(name: str) -> tuple[str, str]:
    """Give the key and the ending; of KEY.left.png the last part of the ending tells what it is."""
    folder, slash, file = name.rpartition("/")
    key, _, ending = file.partition(".")
    return folder + slash + key, ending.rpartition(".")[2].lower()


def _take(
    sample: _Sample, gathered: Gathered, left_out: LeftOut, caption_key: str | None, names: Sequence[str]
) -> None:
    if not sample.images:
        left_out.add("texts without an image", sample.key)
        return
    image, *others = sample.images
    for other in others:
        left_out.add("further images of a sample", other.name)
    captions = [*_json_captions(sample.texts.get("json", b""), caption_key)]
    if caption_key is None:
        captions += text_captions(sample.texts.get("txt", b""))
    label = _class_name(sample.texts.get("cls", b""), names)
    if tidy(captions):
        gathered.add(image, tidy(captions))
    elif label is not None:
        add_class(gathered, image, label)
    elif sample.texts.get("cls", b"").strip():
        left_out.add(NUMBERS_ONLY, image.name)
    else:
        left_out.add("images without a caption", image.name)


def _json_captions(content: bytes, caption_key: str | None) -> list[str]:
    """Find the captions in KEY.json; what is no JSON object has none."""
    values = _json_object(content)
    key = caption_key or _usual_key(values)
    found = values.get(key) if key else None
    return [text for text in (found if isinstance(found, list) else [found]) if isinstance(text, str)]


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        values: Any = json.loads(content) if content.strip() else {}
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _usual_key(values: dict[str, Any]) -> str | None:
    return next((key for key in CAPTION_NAMES if key in values), None)


def _key_note(samples: Iterable[_Sample], caption_key: str | None) -> Iterator[str]:
    """Say which key of KEY.json was taken, when it was guessed."""
    objects = (_json_object(sample.texts["json"]) for sample in samples if "json" in sample.texts)
    key = None if caption_key else _usual_key(next(objects, {}))
    if key:
        yield f"captions from {key!r} of KEY.json, guessed; settable with --caption-column"


def _class_names(folder: Path) -> Sequence[str]:
    file = next((folder / name for name in CLASS_NAMES_FILES if (folder / name).is_file()), None)
    return file.read_text("utf-8-sig").splitlines() if file else ()


def _class_name(content: bytes, names: Sequence[str]) -> str | None:
    """Give the class that KEY.cls names, or whose number it has."""
    text = content.decode("utf-8", "replace").strip()
    if not text.isdecimal():
        return text or None
    return names[int(text)] if int(text) < len(names) else None
