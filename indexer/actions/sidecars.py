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
        self._folder: Path | None = None
        self._xmp: dict[str, list[str]] = {}  # by the name without .xmp, as it is
        self._owners: dict[str, list[str]] = {}  # by the stem, in lower case

    def of(self, image: Path) -> list[Path]:
        """Give `photo.jpg.xmp`, and `photo.xmp` unless another image or film has that stem."""
        self._list(image.parent)
        names = list(self._xmp.get(image.name, ()))
        if not self._is_shared(image):
            names += self._xmp.get(image.stem, ())
        return [image.with_name(name) for name in names if _is_plain(image.with_name(name))]

    def _is_shared(self, image: Path) -> bool:
        others = (name for name in self._owners.get(image.stem.casefold(), ()) if name != image.name)
        return any(os.path.lexists(image.with_name(name)) for name in others)

    def _list(self, folder: Path) -> None:
        if folder == self._folder:
            return
        xmp, owners = defaultdict(list), defaultdict(list)
        with suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208 a Path for each costs more
                if extension(name) == "xmp":
                    xmp[Path(name).stem].append(name)
                elif extension(name) in OWNERS:
                    owners[Path(name).stem.casefold()].append(name)
        self._folder, self._xmp, self._owners = folder, xmp, owners


def renamed(sidecar: str, image: str, new_image: str) -> str:
    """Give a sidecar's name when its image takes another one."""
    if sidecar.startswith(image):
        return new_image + sidecar.removeprefix(image)
    return Path(new_image).stem + sidecar.removeprefix(Path(image).stem)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
