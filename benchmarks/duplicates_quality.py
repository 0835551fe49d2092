"""How well near duplicates are found: precision, recall and F1 by kind of edit, beside perceptual hashes.

Each photo of a folder is edited in 24 ways and put among distractors; a pair is right when both come from one
photo. The library is indexed with the built-in model, so the semantics are weak on purpose. Beside it stand
64-bit hashes of the imagehash package at the distances that czkawka uses by default, and with --peer-path
imagededup's PHash and CNN (see imagededup_pairs.py), over the same files. Without --photos, scikit-image's
photos are edited, which is enough to try the script.

    python benchmarks/duplicates_quality.py --work W --photos FOLDER --distractors FOLDER --pairs FOLDER
"""

import argparse
import csv
import io
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from imagededup_pairs import METHODS, pairs_of_imagededup
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from workplace import parse_workplace

from indexer.backfill import fill_features
from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_library
from search.duplicates.finder import Question, find_pairs
from search.duplicates.grouping import components
from search.duplicates.proposing import find_candidates
from search.duplicates.records import Level

Edit = Callable[[Image.Image, np.random.Generator], Image.Image]
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
PHOTO_SIDE = 1000  # pixels; larger photos are reduced before they are edited
HASH_METHODS = {"phash": 10, "dhash": 5, "average_hash": 5}  # bits of 64 up to which they call it a duplicate


def _size(factor: float) -> Edit:
    return lambda image, _: image.resize(
        (max(8, round(image.width * factor)), max(8, round(image.height * factor)))
    )


def _saved(kind: str, quality: int) -> Edit:
    def edit(image: Image.Image, _: np.random.Generator) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, kind, quality=quality)
        return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")

    return edit


def _crop(lost: float) -> Edit:
    """Cut away this share of the area, at a random place."""

    def edit(image: Image.Image, chance: np.random.Generator) -> Image.Image:
        width, height = (round(edge * (1 - lost) ** 0.5) for edge in image.size)
        left, top = (int(chance.integers(0, gap + 1)) for gap in (image.width - width, image.height - height))
        return image.crop((left, top, left + width, top + height))

    return edit


def _noise(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32) + chance.normal(0, 15, (*image.size[::-1], 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _labelled(image: Image.Image, _: np.random.Generator) -> Image.Image:
    marked = image.copy()
    draw = ImageDraw.Draw(marked)
    size = max(12, image.height // 10)
    draw.rectangle((0, image.height - 2 * size, image.width * 2 // 3, image.height - size // 2), fill="white")
    draw.text((size, image.height - 2 * size), "Best wishes from the sea", fill="black", font_size=size)
    return marked


def _screenshot(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Show it in a window with a title bar and a margin, as a viewer does."""
    bar, margin = image.height // 12, image.width // 20
    screen = Image.new("RGB", (image.width + 2 * margin, image.height + bar + 2 * margin), (236, 236, 240))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, screen.width, bar), fill=(60, 60, 70))
    for number in range(3):
        left = margin + number * bar
        draw.ellipse((left, bar // 4, left + bar // 2, 3 * bar // 4), fill=(220, 90, 80))
    screen.paste(image, (margin, bar + margin))
    return screen


EDITS: dict[str, tuple[str, Edit]] = {  # name -> (family, edit)
    "resize 0.25": ("resize", _size(0.25)),
    "resize 0.5": ("resize", _size(0.5)),
    "resize 2": ("resize", _size(2)),
    "JPEG 10": ("compress", _saved("JPEG", 10)),
    "JPEG 50": ("compress", _saved("JPEG", 50)),
    "JPEG 95": ("compress", _saved("JPEG", 95)),
    "WebP 40": ("compress", _saved("WEBP", 40)),
    "crop 5 %": ("crop", _crop(0.05)),
    "crop 15 %": ("crop", _crop(0.15)),
    "crop 30 %": ("crop", _crop(0.30)),
    "crop 40 %": ("crop 40 %", _crop(0.40)),  # keeps less than 70 %
    "rotate 2": ("rotate a little", lambda image, _: image.rotate(2, Image.Resampling.BICUBIC)),
    "rotate 5": ("rotate a little", lambda image, _: image.rotate(5, Image.Resampling.BICUBIC)),
    "rotate 90": ("turn", lambda image, _: image.transpose(Image.Transpose.ROTATE_90)),
    "mirror": ("turn", lambda image, _: ImageOps.mirror(image)),
    "brighter": ("recolour", lambda image, _: ImageEnhance.Brightness(image).enhance(1.4)),
    "darker": ("recolour", lambda image, _: ImageEnhance.Brightness(image).enhance(0.6)),
    "contrast": ("recolour", lambda image, _: ImageEnhance.Contrast(image).enhance(1.5)),
    "greyscale": ("recolour", lambda image, _: image.convert("L").convert("RGB")),
    "blur": ("blur and noise", lambda image, _: image.filter(ImageFilter.GaussianBlur(2))),
    "noise": ("blur and noise", _noise),
    "border": ("frame", lambda image, _: ImageOps.expand(image, image.width // 12, (20, 20, 20))),
    "screenshot": ("frame", _screenshot),
    "text": ("text", _labelled),
}


@dataclass(frozen=True)
class Score:
    """Right and wrong pairs."""

    right: int
    wrong: int
    wanted: int

    @property
    def precision(self) -> float:
        """Share of the pairs found that are right."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Share of the right pairs that were found."""
        return self.right / max(1, self.wanted)

    @property
    def f1(self) -> float:
        """Their harmonic mean."""
        return 2 * self.precision * self.recall / max(1e-9, self.precision + self.recall)


def make_set(photos: list[Path], distractors: list[Path], folder: Path, seed: int = 0) -> None:
    """Write originals, edits and distractors; once."""
    if (folder / "done").exists():
        return
    for sub in ("edits", "distractors"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(photos):
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        image.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
        image.save(folder / f"edits/{number:04}-original.jpg", quality=92)
        for kind, (name, (_, edit)) in enumerate(EDITS.items()):
            edited = edit(image, np.random.default_rng((seed, number, kind)))
            edited.save(folder / f"edits/{number:04}-{name}.jpg", quality=90)
    for number, path in enumerate(distractors):
        with Image.open(path) as opened:
            opened.convert("RGB").save(folder / f"distractors/{number:05}.jpg", quality=92)
    (folder / "done").touch()


def score(found: set[tuple[str, str]], numbers: list[str]) -> dict[str, Score]:
    """Score pairs of an original with its edit, by family; wrong pairs count in the family of their edit."""
    right: dict[str, int] = {}
    wrong: dict[str, int] = {}
    for pair in found:
        families = {_family(name) for name in pair} - {None}
        numbers_of = {name.split("-")[0] for name in pair}
        for family in families or {"distractors"}:
            assert family is not None
            if len(numbers_of) > 1:
                wrong[family] = wrong.get(family, 0) + 1
            elif "original" in "".join(pair):
                right[family] = right.get(family, 0) + 1
    wanted = {family: 0 for family, _ in EDITS.values()}
    for family, _ in EDITS.values():
        wanted[family] += len(numbers)
    return {name: Score(right.get(name, 0), wrong.get(name, 0), count) for name, count in wanted.items()} | {
        "distractors": Score(0, wrong.get("distractors", 0), 0)
    }


def _family(name: str) -> str | None:
    edit = Path(name).stem.partition("-")[2]
    return EDITS[edit][0] if edit in EDITS else None


def our_pairs(folder: Path, library: Path) -> tuple[set[tuple[str, str]], float, int]:
    """Index once, then find all near pairs; (pairs of names, seconds, candidates)."""
    index_folders(library, [folder], IndexSettings(model="builtin"))
    began = time.perf_counter()
    question = Question(Level.NEAR, turned=True)
    fill_features(library)
    with open_library(library) as reader:
        ids, _, _ = reader.fingerprints()
        images = reader.images(ids.tolist())
        candidates = find_candidates(reader, question.level, turned=question.turned)
        name = {content: copies[0].path.name for content, copies in images.items()}
        found = list(
            find_pairs(
                reader, question, images, worth=lambda pair: _counts(name[pair.first], name[pair.second])
            )
        )
    seconds = time.perf_counter() - began
    names = {
        tuple(sorted((one.path.name, other.path.name)))
        for pair in found
        for one, other in itertools.product(images[pair.first], images[pair.second])
    }
    names |= {
        (one.path.name, other.path.name)
        for copies in images.values()
        for one, other in itertools.combinations(copies, 2)
    }
    return names, seconds, len(candidates)  # type: ignore[return-value]


def _counts(one: str, other: str) -> bool:
    """Tell whether a pair is scored: two edits of one photo are neither right nor wrong."""
    same_photo = "-" in one and "-" in other and one.split("-")[0] == other.split("-")[0]
    return not same_photo or "original" in one + other


def proposed(library: Path, numbers: list[str]) -> tuple[int, int, float]:
    """Count originals' edits that are candidates, of how many, and false candidates an image."""
    with open_library(library) as reader:
        candidates = find_candidates(reader, Level.NEAR, turned=True)
        ids, _, _ = reader.fingerprints()
        images = reader.images(ids.tolist())
    names = {content: copies[0].path.name for content, copies in images.items()}
    contents = zip(candidates.first.tolist(), candidates.second.tolist(), strict=True)
    pairs = [(names[a], names[b]) for a, b in contents]
    photo_of = {name: name.split("-")[0] if "-" in name else name for name in names.values()}
    true = [pair for pair in pairs if photo_of[pair[0]] == photo_of[pair[1]]]
    right = sum("original" in "".join(pair) for pair in true)
    return right, len(numbers) * len(EDITS), (len(pairs) - len(true)) / len(names)


def hash_pairs(folder: Path, method: str, limit: int) -> set[tuple[str, str]]:
    """Find the pairs whose 64-bit hashes are within a distance."""
    import imagehash

    files = sorted(folder.rglob("*.jpg"))
    bits = []
    for file in files:
        with Image.open(file) as image:
            bits.append(np.packbits(getattr(imagehash, method)(image).hash.ravel()))
    codes = np.stack(bits)
    found = set()
    for row, code in enumerate(codes[:-1]):
        distances = np.bitwise_count(codes[row + 1 :] ^ code).sum(axis=1)
        for other in np.flatnonzero(distances <= limit) + row + 1:
            found.add((files[row].name, files[other].name))
    return found


def real_pairs(folder: Path, library: Path) -> Iterator[tuple[str, int, int, int]]:
    """Find pairs among the real ones of pairs.tsv; (kind, found, of, pairs of two photos).

    Files that are paired there, or are equal byte for byte, are one photo, and so is a chain of them.
    """
    index_folders(library, [folder / "images"], IndexSettings(model="builtin"))
    fill_features(library)
    with open_library(library) as reader:
        ids, _, _ = reader.fingerprints()
        images = reader.images(ids.tolist())
        found = {
            _pair(one.path.name, other.path.name)
            for pair in find_pairs(reader, Question(Level.NEAR, turned=True), images)
            for one, other in itertools.product(images[pair.first], images[pair.second])
        }
    with (folder / "pairs.tsv").open() as lines:
        rows = [tuple(row) for row in csv.reader(lines, delimiter="\t")]
    equal = [
        _pair(one.path.name, other.path.name)
        for copies in images.values()
        for one, other in itertools.pairwise(copies)
    ]
    photos = components([*(_pair(*row[:2]) for row in rows), *equal])
    photo_of = {name: number for number, photo in enumerate(photos) for name in photo}
    for kind in dict.fromkeys(row[2] for row in rows):
        mine = {_pair(*row[:2]) for row in rows if row[2] == kind}
        wrong = {
            pair
            for pair in found
            if pair[0].startswith(f"{kind}-") and photo_of.get(pair[0]) != photo_of.get(pair[1], -1)
        }
        yield kind, len(mine & found), len(mine), len(wrong)


def _pair(one: str, other: str) -> tuple[str, str]:
    return min(one, other), max(one, other)


def main() -> None:
    """Make the set, find, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="folders of photos to edit")
    parser.add_argument("--distractors", type=Path, nargs="*", default=[], help="folders of other photos")
    parser.add_argument("--pairs", type=Path, help="a folder with pairs.tsv and images/")
    parser.add_argument("--limit", type=int, default=500, help="photos to edit")
    parser.add_argument("--candidates-only", action="store_true", help="of a library from an earlier run")
    parser.add_argument("--peer-path", type=Path, help="where imagededup is installed")
    work, arguments = parse_workplace(parser)
    folder = work.folder / "duplicates"
    found = (path for place in arguments.photos for path in sorted(place.rglob("*.*")))
    photos = [path for path in found if path.suffix.lower() in PHOTO_SUFFIXES][: arguments.limit]
    distractors = sorted(p for place in arguments.distractors for p in place.rglob("*.*") if p.is_file())
    make_set(photos or _skimage_photos(folder), distractors, folder / "set")
    numbers = sorted({path.name.split("-")[0] for path in (folder / "set/edits").iterdir()})
    if arguments.candidates_only:
        right, of, false = proposed(folder / "library", numbers)
        print(
            f"{right} of {of} edits are candidates with their original, {false:.2f} false candidates an image"
        )
        return
    ours, seconds, candidates = our_pairs(folder / "set", folder / "library")
    columns = {"sightline near": score(ours, numbers)}
    for method, limit in HASH_METHODS.items():
        columns[f"{method} <= {limit}"] = score(hash_pairs(folder / "set", method, limit), numbers)
    for method in METHODS if arguments.peer_path else ():
        found_by_peer = pairs_of_imagededup(method, folder / "set", arguments.peer_path)
        columns[f"imagededup {method}"] = score(found_by_peer, numbers)
    print(f"\n{len(numbers)} photos x {len(EDITS)} edits; {candidates} candidates, {seconds:.0f} s\n")
    print("| edits | " + " | ".join(f"{name}: P / R / F1" for name in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for family in next(iter(columns.values())):
        cells = [table[family] for table in columns.values()]
        shown = [f"{s.precision:.3f} / {s.recall:.3f} / {s.f1:.3f} ({s.wrong} wrong)" for s in cells]
        print(f"| {family} | " + " | ".join(shown) + " |")
    if arguments.pairs:
        for kind, found, of, false in real_pairs(arguments.pairs, folder / "pairs-library"):
            print(f"real pairs, {kind}: {found} of {of} found, {false} pairs of two photos")


def _skimage_photos(folder: Path) -> list[Path]:
    import skimage.data

    place = folder / "photos"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "page", "brick"):
        Image.fromarray(getattr(skimage.data, name)()).convert("RGB").save(place / f"{name}.jpg", quality=95)
    return sorted(place.iterdir())


if __name__ == "__main__":
    main()
