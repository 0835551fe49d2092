"""Sidecars: which XMP files belong to an image and travel with it."""

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..formats import IMAGE_EXTENSIONS, RAW_EXTENSIONS, extension

FILMS: Final = frozenset(("mp4", "m4v", "mov", "avi", "mts", "m2ts", "3gp"))  # these have XMP files as well
OWNERS: Final = IMAGE_EXTENSIONS | RAW_EXTENSIONS | FILMS


class Sidecars:
    """Knows the names of one folder at a time, since reports go folder by folder."""

    def __init__(self) -> None:
        self._names: Names | None = None

    def of(self, image: Path) -> list[Path]:
        """Give `photo.jpg.xmp`, and `photo.xmp` unless another image or film has that stem."""
        if self._names is None or self._names.folder != image.parent:
            self._names = Names(image.parent)
        return self._names.sidecars_of(image.name)


class Names:
    """The names in one folder that matter, as they were when it was listed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._xmp: dict[str, list[str]] = defaultdict(list)  # by the name without .xmp, as it is
        self._owners: dict[str, list[str]] = defaultdict(list)  # by the stem, in lower case
        with suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208 a Path for each costs more
                if extension(name) == "xmp":
                    self._xmp[Path(name).stem].append(name)
                elif extension(name) in OWNERS:
                    self._owners[Path(name).stem.casefold()].append(name)

    def sidecars_of(self, image: str) -> list[Path]:
        """Give those of an image in this folder that are there."""
        stem = Path(image).stem
        names = list(self._xmp.get(image, ()))
        if stem in self._xmp and not self._is_shared(image, stem):
            names += self._xmp[stem]
        return [self.folder / name for name in names if _is_plain(self.folder / name)]

    def _is_shared(self, image: str, stem: str) -> bool:
        others = (name for name in self._owners.get(stem.casefold(), ()) if name != image)
        return any(os.path.lexists(self.folder / name) for name in others)


def renamed(sidecar: str, image: str, new_image: str) -> str:
    """Give a sidecar's name when its image takes another one."""
    if sidecar.startswith(image):
        return new_image + sidecar.removeprefix(image)
    return Path(new_image).stem + sidecar.removeprefix(Path(image).stem)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
