"""Mess: what becomes of photos over the years, one way a function, and the truth about each file."""

import io
import itertools
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageDraw, ImageEnhance, ImageOps

FRAMES = 5  # of a burst
ALBUMS = (
    "2019/2019-05 Beach", "2020/Winter & snow", "Backup/phone", "Backup/phone/Backup", "Desktop/sort me",
    "Downloads", "old disk/DCIM/100CANON", "Pictures/\u00dcml\u00e4ut \u65e5\u672c",
)  # fmt: skip
COPY_NAMES = ("Copy of {}.jpg", "{} (1).jpg", "{} - Copy.jpg", "{} copy 2.jpg", "{}.JPG", "{}(2).jpeg")
NEW_NAMES = ("beach {}.jpg", "best of/{}.jpg", "for grandma {}.jpg", "scan{}.jpg", "{:08}.jpg", "FINAL{}.jpg")
ODD_NAMES = (
    "\U0001f436\u2764\ufe0f {}.jpg", "  spaces {}  .jpg", "line\nbreak {}.jpg", "-rf {}.jpg", "tab\t{}.jpg",
    'quo"te\'s {}.jpg', "%41 $HOME {}.jpg", "back\\slash {}.jpg", f"{'long ' * 45}{{}}.jpg",
    "no \udcfcnicode {}.jpg", "e\u0301 {}.jpg", "no extension {}",
)  # fmt: skip


@dataclass(frozen=True)
class Photo:
    """An original as it lies in the folder."""

    path: Path
    stem: str  # IMG_0001: what others call it
    number: int
    taken: datetime

    def open(self) -> Image.Image:
        """Decode it."""
        with Image.open(self.path) as image:
            return image.convert("RGB")


@dataclass(frozen=True)
class Truth:
    """What a file is."""

    path: str
    of: str | None
    what: str
    level: str | None


class Mess:
    """The folder that is being made."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.chance = random.Random(seed)
        self.files: list[Truth] = []

    def write(self, name: str, data: bytes, photo: Photo, what: str, level: str | None = None) -> Path:
        """Write a file of a photo; some time after the photo was taken."""
        path = self.place(name)
        path.write_bytes(data)
        return self.add(path, photo, what, level)

    def place(self, name: str) -> Path:
        """Give a free path below the root, with its folder there."""
        wanted = self.root / name
        names = (wanted.with_name(f"{wanted.stem}~{n}{wanted.suffix}") for n in itertools.count(2))
        path = next(path for path in itertools.chain([wanted], names) if not os.path.lexists(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, path: Path, photo: Photo, what: str, level: str | None = None) -> Path:
        """Note a file that is there, and date it unless it shares its date with another name."""
        relative = path.relative_to(self.root).as_posix()
        self.files.append(Truth(relative, photo.stem, what, level))
        if what != "hard link":
            when = int(photo.taken.replace(tzinfo=UTC).timestamp()) * 10**9 + self.chance.randrange(10**15)
            os.utime(path, ns=(when, when), follow_symlinks=False)
        return path

    def album(self) -> str:
        """Choose a folder."""
        return self.chance.choice(ALBUMS)


Recipe = Callable[[Mess, Photo], object]


# ---- the same bytes ----


def copied(mess: Mess, photo: Photo) -> Path:
    """Copy it with the name that a file manager gives."""
    name = mess.chance.choice(COPY_NAMES).format(photo.stem)
    return mess.write(f"{mess.album()}/{name}", photo.path.read_bytes(), photo, "copy", "exact")


def renamed(mess: Mess, photo: Photo) -> Path:
    """Copy it under a name of its own."""
    name = mess.chance.choice(NEW_NAMES).format(photo.number)
    return mess.write(f"{mess.album()}/{name}", photo.path.read_bytes(), photo, "renamed copy", "exact")


def oddly_named(mess: Mess, photo: Photo) -> Path:
    """Copy it under a name that programs stumble over."""
    name = mess.chance.choice(ODD_NAMES).format(photo.number)
    return mess.write(f"odd names/{name}", photo.path.read_bytes(), photo, "copy with an odd name", "exact")


def write_protected(mess: Mess, photo: Photo) -> None:
    """Copy it as from a CD."""
    mess.write(f"CD/{photo.stem}.JPG", photo.path.read_bytes(), photo, "read-only copy", "exact").chmod(0o444)


def with_sidecar(mess: Mess, photo: Photo) -> None:
    """Copy it with what an editor noted about it."""
    copy = copied(mess, photo)
    name = mess.chance.choice((f"{copy.name}.xmp", f"{copy.stem}.xmp"))
    note = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- {photo.number} stars --></x:xmpmeta>'
    relative = (copy.parent / name).relative_to(mess.root).as_posix()
    mess.write(relative, note.encode(), photo, "sidecar")


def hidden(mess: Mess, photo: Photo) -> None:
    """Copy it to where nobody looks."""
    name = mess.chance.choice((".{}.jpg", ".thumbnails/{}.jpg", ".trashed-17-{}.jpg")).format(photo.stem)
    mess.write(f"{mess.album()}/{name}", photo.path.read_bytes(), photo, "hidden copy", "exact")


def hard_linked(mess: Mess, photo: Photo) -> None:
    """Give it a second name."""
    path = mess.place(f"{mess.album()}/second name of {photo.stem}.jpg")
    os.link(photo.path, path)
    mess.add(path, photo, "hard link", "exact")


def linked(mess: Mess, photo: Photo) -> None:
    """Make a symbolic link to it."""
    path = mess.place(f"favourites/{photo.stem}.jpg")
    path.symlink_to(os.path.relpath(photo.path, path.parent))
    mess.add(path, photo, "symbolic link", "exact")


# ---- the same picture ----


def resized(mess: Mess, photo: Photo) -> None:
    """Make it smaller."""
    image = _scaled(photo.open(), mess.chance.choice((0.25, 0.5, 0.75)))
    mess.write(f"{mess.album()}/{photo.stem}_small.jpg", jpeg(image, 88), photo, "resized", "near")


def recompressed(mess: Mess, photo: Photo) -> None:
    """Save it again, worse."""
    quality = mess.chance.choice((40, 60, 75, 85))
    data = jpeg(photo.open(), quality, photo.taken)
    mess.write(f"{mess.album()}/{photo.stem}-q{quality}.jpg", data, photo, "recompressed", "near")


def sent(mess: Mess, photo: Photo) -> None:
    """Send it by a messenger: smaller, and without EXIF."""
    name = f"WhatsApp Images/IMG-{photo.taken:%Y%m%d}-WA{photo.number:04}.jpg"
    mess.write(name, jpeg(_scaled(photo.open(), 0.7), 70), photo, "sent by messenger", "near")


def photographed_screen(mess: Mess, photo: Photo) -> None:
    """Take a screenshot of it on a telephone."""
    image = photo.open()
    screen = Image.new("RGB", (image.width, max(image.height * 3 // 2, image.width * 16 // 9)), (12, 12, 14))
    screen.paste(image, (0, (screen.height - image.height) // 2))
    draw = ImageDraw.Draw(screen)
    status = f"{photo.taken:%H:%M}      LTE 83 %"
    draw.text((10, 5), status, fill="white", font_size=max(12, image.width // 30))
    name = f"Screenshots/Screenshot_{photo.taken:%Y%m%d-%H%M%S}.png"
    mess.write(name, saved(screen, "PNG"), photo, "screenshot", "near")


def cropped(mess: Mess, photo: Photo) -> None:
    """Cut a little from its edges."""
    image, lost = photo.open(), mess.chance.uniform(0.03, 0.1)
    left, top = (round(edge * lost * mess.chance.random()) for edge in image.size)
    width, height = (round(edge * (1 - lost)) for edge in image.size)
    cut = image.crop((left, top, left + width, top + height))
    mess.write(f"{mess.album()}/{photo.stem}_crop.jpg", jpeg(cut, 90, photo.taken), photo, "cropped", "near")


def mirrored(mess: Mess, photo: Photo) -> None:
    """Turn left to right, as front cameras do."""
    data = jpeg(ImageOps.mirror(photo.open()), 90)
    mess.write(f"{mess.album()}/{photo.stem}_flip.jpg", data, photo, "mirrored", "near")


def brightened(mess: Mess, photo: Photo) -> None:
    """Edit its brightness and colours."""
    image = ImageEnhance.Brightness(photo.open()).enhance(mess.chance.choice((0.75, 1.2, 1.4)))
    data = jpeg(ImageEnhance.Color(image).enhance(1.2), 92, photo.taken)
    mess.write(f"{mess.album()}/{photo.stem}-edited.jpg", data, photo, "brightness edited", "near")


def labelled(mess: Mess, photo: Photo) -> None:
    """Write across it."""
    image = photo.open()
    size = max(14, image.height // 12)
    draw = ImageDraw.Draw(image)
    draw.text((size, image.height - 2 * size), "Happy birthday!", fill="yellow", font_size=size)
    mess.write(f"{mess.album()}/{photo.stem} card.jpg", jpeg(image, 90), photo, "with text", "near")


def converted(mess: Mess, photo: Photo) -> None:
    """Save it as PNG, and that as JPEG again."""
    image, album = photo.open(), mess.album()
    mess.write(f"{album}/{photo.stem}.png", saved(image, "PNG"), photo, "converted to PNG", "pixel")
    mess.write(f"{album}/{photo.stem}_from_png.jpg", jpeg(image, 95), photo, "converted back to JPEG", "near")


def burst(mess: Mess, photo: Photo) -> None:
    """Hold the shutter while the camera moves a little: a frame a second."""
    image = photo.open()
    width, height = image.width * 9 // 10, image.height * 9 // 10
    for frame in range(FRAMES):
        left, top = frame * image.width // 60, frame * image.height // 80
        seen = image.crop((left, top, left + width, top + height))
        lit = ImageEnhance.Brightness(seen).enhance(1 + frame / 100)
        taken = photo.taken + timedelta(seconds=frame + 1)
        name = f"DCIM/Camera/{taken:IMG_%Y%m%d_%H%M%S}_BURST{frame + 1:03}.jpg"
        mess.write(name, jpeg(lit, 92, taken), photo, "burst frame", "similar")


# ---- no pictures ----


def raw(mess: Mess, photo: Photo) -> None:
    """Put something like a RAW file of an unknown camera beside it, or elsewhere on its own."""
    folder = mess.chance.choice((photo.path.parent.relative_to(mess.root).as_posix(), "RAW"))
    head = b"II*\0\x10\0\0\0CR\x02\0"
    mess.write(f"{folder}/{photo.path.stem}.CR2", head + mess.chance.randbytes(20_000), photo, "RAW-like")


def broken(mess: Mess, photo: Photo) -> None:
    """Lose a part of it, or all."""
    whole = photo.path.read_bytes()
    kind, data = mess.chance.choice(
        (
            ("truncated", whole[: len(whole) // 3]),
            ("empty", b""),
            ("text named .jpg", b"404 Not Found\n"),
            ("zeros", bytes(len(whole))),
            ("head only", whole[:200]),
        )
    )
    mess.write(f"recovered/{photo.stem} {kind.partition(' ')[0]}.jpg", data, photo, f"broken: {kind}")


def clutter(mess: Mess, photo: Photo) -> None:
    """Leave what systems and cameras leave beside photos."""
    name = mess.chance.choice(("Thumbs.db", ".DS_Store", "desktop.ini", "._{}.jpg", "{}.mp4"))
    mess.write(
        f"{mess.album()}/{name.format(photo.stem)}",
        b"\0\5\x16\7" + mess.chance.randbytes(500),
        photo,
        "clutter",
    )


# How often each happens, of all.
RECIPES: dict[Recipe, int] = {
    copied: 6, renamed: 4, resized: 3, recompressed: 3, sent: 4, photographed_screen: 1, cropped: 2,
    mirrored: 1, brightened: 2, labelled: 1, converted: 1, burst: 1, raw: 1, broken: 1, oddly_named: 2,
    write_protected: 1, hidden: 1, hard_linked: 1, linked: 1, with_sidecar: 1, clutter: 1,
}  # fmt: skip


# ---- files ----


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Encode an image."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(image: Image.Image, quality: int, taken: datetime | None = None) -> bytes:
    """Encode a JPEG, with what a camera says if it has a date."""
    exif = Image.Exif()
    if taken is not None:
        exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Sightline", "Messy 1"
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"{taken:%Y:%m:%d %H:%M:%S}"
    return saved(image, "JPEG", quality=quality, exif=exif)


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    width, height = (max(8, round(edge * factor)) for edge in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)
