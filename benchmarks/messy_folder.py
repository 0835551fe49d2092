"""A messy folder of photos as people have them, the truth about its files, and a check of what undo restores.

    python benchmarks/messy_folder.py --out W/messy --files 2000 [--photos FOLDER] [--seed 0]
    python benchmarks/messy_folder.py --out W/messy --manifest W/before.json
    sightline index W/messy; sightline duplicates --apply trash; sightline undo
    python benchmarks/messy_folder.py --out W/messy --check W/before.json
    sightline duplicates --json > W/groups.jsonl
    python benchmarks/messy_folder.py --out W/messy --judge W/groups.jsonl

W/truth.json says of each file from which original it comes (`of`), what was done (`what`), and the level at
which it is that original's duplicate (`level`: exact, pixel, near or similar; null for none). The same seed
and photos give the same folder, byte for byte. Without --photos, scikit-image's photos are used.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import manifest
import verdict
from mess import RECIPES, Mess, Photo, Truth, jpeg
from PIL import Image, ImageOps

SIDE = 1600  # pixels; larger photos are reduced to it
SUFFIXES = (".jpg", ".jpeg", ".png")
SKIMAGE_PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "page", "brick")


def originals(mess: Mess, images: Iterator[Image.Image]) -> Iterator[Photo]:
    """Write the photos as their camera did, some hours apart."""
    taken = datetime(2019, 5, 3, 9, 0)
    for number, image in enumerate(images, start=1):
        taken += timedelta(seconds=mess.chance.randrange(60, 100_000))
        image.thumbnail((SIDE, SIDE))
        path = mess.place(f"{taken:%Y/%Y-%m}/IMG_{number:04}.jpg")
        photo = Photo(path, path.stem, number, taken)
        path.write_bytes(jpeg(image, 93, taken))
        mess.add(path, photo, "original", "exact")
        yield photo


def photos_of(folder: Path | None) -> Iterator[Image.Image]:
    """Open the photos one by one, in the order of names."""
    if folder is None:
        import skimage.data

        for name in SKIMAGE_PHOTOS:
            yield Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        return
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        with Image.open(path) as opened:
            yield ImageOps.exif_transpose(opened).convert("RGB")


def build(root: Path, photos: Path | None, files: int, seed: int) -> list[Truth]:
    """Make the folder: at most a third of it originals, the rest what became of them."""
    mess = Mess(root, seed)
    made = list(originals(mess, itertools.islice(photos_of(photos), max(1, files // 3))))
    recipes = [recipe for recipe, times in RECIPES.items() for _ in range(times)]
    while len(mess.files) < files:
        mess.chance.shuffle(recipes)
        for recipe in recipes:
            if len(mess.files) < files:
                recipe(mess, mess.chance.choice(made))
    return mess.files


def main() -> None:
    """Make the folder, or take or check its manifest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="the messy folder")
    parser.add_argument("--photos", type=Path, help="a folder of photos to start from")
    parser.add_argument("--files", type=int, default=2000, help="about how many files to make")
    parser.add_argument("--seed", type=int, default=0)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--manifest", type=Path, help="make nothing; write there what is in the folder")
    mode.add_argument("--check", type=Path, help="make nothing; compare the folder with a manifest")
    mode.add_argument("--judge", type=Path, help="make nothing; hold a report's JSON lines against the truth")
    arguments = parser.parse_args()
    if arguments.judge:
        truth = arguments.out.parent / "truth.json"
        print(*verdict.judge(arguments.judge, truth, arguments.out).lines(), sep="\n")
    elif arguments.manifest:
        _save_manifest(arguments.out, arguments.manifest)
    elif arguments.check:
        _check(arguments.out, arguments.check)
    else:
        _make(arguments)


def _make(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    if out.exists():
        sys.exit(f"{out} is there already; remove it, or name another folder")
    truth = build(out, arguments.photos, arguments.files, arguments.seed)
    place = out.parent / "truth.json"
    place.write_text(json.dumps([asdict(file) for file in truth], indent=0), encoding="ascii")
    print(f"{len(truth)} files in {out}; the truth about them is in {place}")


def _save_manifest(folder: Path, file: Path) -> None:
    found = manifest.take(folder)
    manifest.save(found, file)
    print(f"{len(found)} files and folders of {folder} are told in {file}")


def _check(folder: Path, file: Path) -> None:
    found = manifest.take(folder)
    different = list(manifest.differences(manifest.load(file), found))
    print(*different, f"{len(found)} files and folders, {len(different)} not as they were", sep="\n")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
