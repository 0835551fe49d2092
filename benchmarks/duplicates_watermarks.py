"""How many photos are known again with a watermark on them, saved anew as JPEG 60.

Each photo gets six kinds of marks: small text in the corner, a date, a logo, words across it, faint and
strong, and words all over it. A marked picture counts as found when `near` pairs it with its original.
Photos of pages count too, where marks are taken for something written. Without --photos, scikit-image's.

    python benchmarks/duplicates_watermarks.py --work W --photos FOLDER --limit 100
"""

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from duplicates_quality import PHOTO_SIDE, PHOTO_SUFFIXES
from machine import machine_facts
from PIL import Image, ImageDraw
from workplace import parse_workplace

from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_library
from search.duplicates.finder import Question, find_pairs
from search.duplicates.records import Level

WHITE, ORANGE, RED = (255, 255, 255), (255, 140, 0), (220, 30, 30)

Draw = Callable[[ImageDraw.ImageDraw, int, int], None]


def _text(
    words: str, left: float, top: float, height: float, opacity: int, colour: tuple[int, int, int]
) -> Draw:
    def draw(canvas: ImageDraw.ImageDraw, width: int, tall: int) -> None:
        size = max(10, round(tall * height))
        canvas.text((width * left, tall * top), words, fill=(*colour, opacity), font_size=size)

    return draw


def _all_over(canvas: ImageDraw.ImageDraw, width: int, tall: int) -> None:
    for top in range(0, tall, max(1, tall // 6)):
        for left in range(0, width, max(1, width // 3)):
            canvas.text((left, top), "stock", fill=(*WHITE, 80), font_size=max(10, tall // 14))


def _logo(canvas: ImageDraw.ImageDraw, width: int, tall: int) -> None:
    canvas.ellipse((width * 0.85, tall * 0.05, width * 0.97, tall * 0.05 + width * 0.12), fill=(*RED, 255))


MARKS: dict[str, Draw] = {
    "text in the corner": _text("© Foto Meier 2024", 0.65, 0.92, 1 / 28, 200, WHITE),
    "date": _text("24.12.2004 18:33", 0.72, 0.90, 1 / 22, 255, ORANGE),
    "logo": _logo,
    "faint words across": _text("SAMPLE PHOTO", 0.10, 0.42, 1 / 8, 90, WHITE),
    "strong words across": _text("SAMPLE PHOTO", 0.10, 0.42, 1 / 8, 170, WHITE),
    "words all over": _all_over,
}


def marked(photo: Image.Image, draw: Draw) -> Image.Image:
    """Put a mark on a photo."""
    layer = Image.new("RGBA", photo.size, (0, 0, 0, 0))
    draw(ImageDraw.Draw(layer), *photo.size)
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def make_set(photos: list[Path], folder: Path) -> None:
    """Write the originals and the marked ones, once."""
    if (folder / "done").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(photos):
        photo = Image.open(path).convert("RGB")
        photo.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
        photo.save(folder / f"{number}-original.jpg", quality=95)
        for kind, draw in MARKS.items():
            marked(photo, draw).save(folder / f"{number}-{kind}.jpg", quality=60)
    (folder / "done").touch()


def found_kinds(library: Path) -> Counter[str]:
    """Count the marked pictures of each kind that are paired with their originals; "" for wrong pairs."""
    with open_library(library) as reader:
        ids, _, _ = reader.fingerprints()
        images = reader.images(ids.tolist())
        name = {content: copies[0].path.stem.split("-") for content, copies in images.items()}

        def with_original(one: int, other: int) -> bool:
            return "original" in (name[one][1], name[other][1])

        pairs = find_pairs(
            reader, Question(Level.NEAR), images, worth=lambda pair: with_original(pair.first, pair.second)
        )
        found: Counter[str] = Counter()
        for pair in pairs:
            if pair.level in (Level.NEAR, Level.PIXEL):
                (photo, kind), (other, other_kind) = name[pair.first], name[pair.second]
                found[(other_kind if kind == "original" else kind) if photo == other else ""] += 1
    return found


def main() -> None:
    """Make the set, index it, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, help="a folder of photos to mark")
    parser.add_argument("--limit", type=int, default=100, help="photos, evenly taken from the folder")
    work, arguments = parse_workplace(parser)
    if arguments.photos is None:
        import skimage

        arguments.photos = Path(skimage.__file__).parent / "data"
    every = sorted(path for path in arguments.photos.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    photos = every[:: max(1, len(every) // arguments.limit)][: arguments.limit]
    folder = work.folder / "watermarks"
    make_set(photos, folder / "set")
    index_folders(folder / "library", [folder / "set"], IndexSettings(model="builtin"))
    print(machine_facts())
    found = found_kinds(folder / "library")
    print(f"\n| mark | found, of {len(photos)} |\n|---|---|")
    for kind in MARKS:
        print(f"| {kind} | {found[kind]} |")
    print(f"\npairs of different photos: {found['']}")


if __name__ == "__main__":
    main()
