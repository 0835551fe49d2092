"""The demo's second part: a messy folder, its duplicates on a page, and an action that is taken back."""

import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageOps

FOUND = 11  # exit code of `sightline duplicates`
ORIGINALS = ("photo-008.jpg", "photo-009.jpg", "photo-023.png", "photo-028.png", "photo-049.png")


def make_mess(pictures: Path, folder: Path) -> None:
    """Copy some of the demo's pictures, and what people make of pictures, into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "phone").mkdir(parents=True)
    for name in ORIGINALS:
        shutil.copy2(pictures / name, folder / name)
    first, second, third, fourth, fifth = (folder / name for name in ORIGINALS)
    shutil.copy2(first, folder / f"Copy of {first.name}")
    _save(second, folder / "phone/sent.jpg", lambda image: ImageOps.contain(image, (320, 320)))
    _save(third, folder / "phone/crop.jpg", lambda image: ImageOps.crop(image, image.width // 20))
    _save(
        fourth, folder / "phone/framed.jpg", lambda image: ImageOps.expand(image, image.width // 12, "black")
    )
    _save(fifth, folder / "phone/grey.jpg", ImageOps.grayscale)


def _save(picture: Path, target: Path, edit: Callable[[Image.Image], Image.Image]) -> None:
    with Image.open(picture) as image:
        edit(image.convert("RGB")).save(target, quality=85)


def show_duplicates(run: Callable[..., str], pictures: Path, folder: Path, model: str) -> None:
    """Find the mess's duplicates, move them away, and take it back; run: runs one sightline command."""
    mess, page = folder / "messy folder", folder / "duplicates.html"
    make_mess(pictures, mess)
    library = ("--library", str(mess / ".sightline"))
    print(f"\nDuplicates in {mess}:\n$ sightline duplicates --html {page}", flush=True)
    run("index", str(mess), "--model", model, *library, quiet=True)
    print(run("duplicates", "--html", str(page), *library, fine=FOUND), end="", flush=True)
    print("$ sightline duplicates --apply move --to 'moved away'; sightline undo", flush=True)
    away = str(folder / "moved away")
    run("duplicates", "--apply", "move", "--to", away, "--paths", *library, fine=FOUND)
    run("undo", *library)
