"""Folders: images with .txt files of the same names, or a folder for each class."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from indexer.errors import PairsInvalid
from indexer.records import FoundFile
from indexer.scan import ScanRules, scan

from ..examples import ImagePlace
from .records import Gathered, LeftOut, Reading, tidy
from .text_encoding import OLD_ENCODING, NoText, read_letters
from .wording import class_captions, readable, says_something

SPLITS = frozenset(["train", "training", "val", "valid", "validation", "dev", "test", "testing"])
CAPTIONED_MIN = 0.5  # of the images; below this, stray .txt files do not make a captioned folder


def read_folder(folder: Path) -> Reading:
    """Read a folder of images; raises PairsInvalid when it has neither captions nor classes."""
    images = sorted(
        (item for item in scan(folder, ScanRules()) if isinstance(item, FoundFile)),
        key=lambda found: found.relative,
    )
    if not images:
        raise PairsInvalid(folder, "holds no images, no tar shards and no table called metadata.csv")
    captioned = {image: text for image in images if (text := image.path.with_suffix(".txt")).is_file()}
    level = class_level([image.relative for image in images])
    if len(captioned) >= CAPTIONED_MIN * len(images) or (captioned and level is None):
        return _read_captioned(folder, images, captioned)
    if level is None:
        raise PairsInvalid(
            folder,
            "holds images without captions; put a .txt of the same name beside each, or sort them into a "
            "folder for each class",
        )
    return _read_classes(images, level)


def _read_captioned(folder: Path, images: Sequence[FoundFile], captioned: dict[FoundFile, Path]) -> Reading:
    gathered, left_out = Gathered(), LeftOut()
    for image in images:
        if image not in captioned:
            left_out.add("images without a .txt file", image.path)
            continue
        captions = tidy(told_text(captioned[image].read_bytes(), captioned[image], left_out).splitlines())
        if captions:
            gathered.add(ImagePlace(image.path), captions)
        else:
            left_out.add("images whose .txt file is empty", image.path)
    if not gathered.captions:
        raise PairsInvalid(folder, f"has no image with a caption; {'; '.join(left_out.notes())}")
    return Reading(gathered.examples(), "images with .txt files", tuple(left_out.notes()))


def told_text(content: bytes, name: object, left_out: LeftOut) -> str:
    """Decode a text that belongs to one image; an old encoding, or what is no text at all, is told."""
    try:
        found = read_letters(content)
    except NoText:
        left_out.add("the content of text files that are no text", name)
        return ""
    if found.is_old:
        left_out.tell(f"read text files that are not UTF-8 as {OLD_ENCODING}", name)
    return found.text


def _read_classes(images: Sequence[FoundFile], level: int) -> Reading:
    gathered, left_out = Gathered(), LeftOut()
    for image in images:
        folders = PurePosixPath(image.relative).parts[:-1]
        if len(folders) > level:
            add_class(gathered, ImagePlace(image.path), folders[level])
        else:
            left_out.add("images in no class's folder", image.path)
    return Reading(gathered.examples(), "class folders", (classes_note(gathered), *left_out.notes()))


def add_class(gathered: Gathered, image: ImagePlace, name: str) -> None:
    """Add an image of a class, with the captions that its name makes."""
    gathered.add(image, class_captions(name), name)


def classes_note(gathered: Gathered) -> str:
    """Say how class names were made captions."""
    names = sorted(set(gathered.labels.values()))
    mute = [name for name in names if not says_something(readable(name))]
    if mute:
        return f"{len(names):,} classes, of which {len(mute):,} lack a word in their name: rename {mute[0]!r}"
    changed = next((name for name in names if readable(name) != name), names[0])
    return f"{len(names):,} classes, worded by templates: {changed!r} is {class_captions(changed)[3]!r}"


def class_level(names: Sequence[str]) -> int | None:
    """Tell at which level of the paths the class folders are: the first with several, train/ and val/ aside.

    None when there is no such level.
    """
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    for level in range(max(map(len, folders), default=0)):
        found = Counter(parts[level] for parts in folders if len(parts) > level)
        if len(found) > 1 and not {name.casefold() for name in found} <= SPLITS:
            return level
    return None
