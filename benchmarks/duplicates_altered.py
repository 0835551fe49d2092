"""Whether the details of two pictures that look the same are read rightly: marks, alterations, things.

Each photo is written on, labelled, blacked out, blurred in a place or cut off, and saved both ways round: the
clean one or the altered one at the better quality. Told are how many are held to be other pictures, and which
of the two is held to be the altered one. A piece of another photo set into a photo must be told from a mark.

    python benchmarks/duplicates_altered.py --photos FOLDER --limit 40
"""

import argparse
import io
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from duplicates_quality import PHOTO_SUFFIXES
from duplicates_watermarks import MARKS, marked
from machine import machine_facts
from PIL import Image, ImageDraw, ImageFilter

from indexer.opening import open_upright
from search.duplicates.details import Finding, Seen, compare_details

WHOLE = np.eye(2, 3)
AREAS = (0.002, 0.005, 0.01, 0.02, 0.04)  # of the photo, that a piece of another takes

Edit = Callable[[Image.Image], Image.Image]


def saved(image: Image.Image, quality: int, share: float = 1.0) -> Image.Image:
    """Save as JPEG, keep this share of the bytes, and read what a viewer shows."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    content = buffer.getvalue()
    return open_upright(content[: round(len(content) * share)])[0]


def _in_a_place(edit: Edit) -> Edit:
    def edited(image: Image.Image) -> Image.Image:
        left, top = image.width // 3, image.height // 3
        box = (left, top, left + image.width // 7, top + image.height // 5)
        changed = image.copy()
        changed.paste(edit(image.crop(box)), box)
        return changed

    return edited


def _labelled(image: Image.Image) -> Image.Image:
    changed = image.copy()
    draw = ImageDraw.Draw(changed)
    draw.rectangle((20, 20, 220, 60), fill="black")
    draw.text((30, 22), "HOLIDAY 2015", fill="white", font_size=24)
    return changed


ALTERATIONS: dict[str, Edit] = {
    **{name: lambda image, draw=draw: marked(image, draw) for name, draw in MARKS.items()},
    "label": _labelled,
    "black box": _in_a_place(lambda piece: Image.new("RGB", piece.size)),
    "blurred place": _in_a_place(lambda piece: piece.filter(ImageFilter.GaussianBlur(12))),
    "coarse place": _in_a_place(
        lambda piece: piece.resize((8, 8)).resize(piece.size, Image.Resampling.NEAREST)
    ),
    "cut off": lambda image: saved(image, 90, share=0.93),
}


def with_piece(
    image: Image.Image, other: Image.Image, area: float, chance: np.random.Generator
) -> Image.Image:
    """Set an oval piece of another photo in, somewhere, with soft edges."""
    height = max(12, round((area * image.width * image.height * 1.4) ** 0.5))
    width = max(9, round(height / 1.4))
    left, top = (int(chance.integers(0, max(1, edge - 2 * length)))
                 for edge, length in zip(other.size, (width, height), strict=True))  # fmt: skip
    piece = other.crop((left, top, left + 2 * width, top + 2 * height)).resize((width, height))
    mask = Image.new("L", piece.size, 0)
    ImageDraw.Draw(mask).ellipse((1, 1, width - 2, height - 2), fill=255)
    changed = image.copy()
    place = int(chance.integers(0, image.width - width)), int(chance.integers(0, image.height - height))
    changed.paste(piece, place, mask.filter(ImageFilter.GaussianBlur(2)))
    return changed


def judged(clean: Image.Image, edit: Edit) -> list[tuple[Seen, int]]:
    """Compare both ways round; what is seen, and which of the two was altered (0, 1)."""
    altered = edit(clean)
    return [
        (compare_details(saved(clean, 85), saved(altered, 95), WHOLE), 1),
        (compare_details(saved(altered, 80), saved(clean, 95), WHOLE), 0),
    ]


def report(name: str, seen: Sequence[tuple[Seen, int]]) -> Counter[str]:
    """Print a row; give how often the altered one was told."""
    told = Counter(
        "untold" if one.altered is None else "right" if one.altered == side else "wrong" for one, side in seen
    )
    other = sum(one.finding is Finding.OTHER for one, _ in seen)
    print(
        f"| {name} | {other} of {len(seen)} | {told['right']} | {told['wrong']} | {told['untold']} |",
        flush=True,
    )
    return told


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=40)
    arguments = parser.parse_args()
    files = sorted(p for p in arguments.photos.rglob("*.*") if p.suffix.lower() in PHOTO_SUFFIXES)
    photos = [open_upright(file)[0] for file in files[: arguments.limit]]
    print(machine_facts())
    print("\n| alteration | held to be another picture | the altered one told | wrongly | not |")
    print("|---" * 5 + "|")
    told: Counter[str] = Counter()
    for name, edit in ALTERATIONS.items():
        told += report(name, [each for photo in photos for each in judged(photo, edit)])
    print(f"| all | | {told['right']} | {told['wrong']} | {told['untold']} |")
    chance = np.random.default_rng(0)
    print("\n| a piece of another photo, of the area | held to be another picture |\n|---|---|")
    for area in AREAS:
        others = [photos[(number + 1) % len(photos)] for number in range(len(photos))]
        pairs = [
            (photo, with_piece(photo, other, area, chance))
            for photo, other in zip(photos, others, strict=True)
        ]
        found = [compare_details(saved(one, 85), saved(two, 92), WHOLE).finding for one, two in pairs]
        print(f"| {area:.1%} | {sum(each is Finding.OTHER for each in found)} of {len(found)} |", flush=True)


if __name__ == "__main__":
    main()
