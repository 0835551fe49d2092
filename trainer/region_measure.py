"""Measuring regions: how well an encoder finds where things are, on photos whose pixels are named.

A folder holds NAME.jpg beside NAME.png, whose pixel values are class ids, 0 for unnamed, and classes.yaml.
A photo whose mask holds none of the classes tells nothing, and is left out. Every class in a photo is a query
of one word or two. The figures:

mean IoU, classes known   every named pixel goes to the best of the classes in the photo; intersection over
                          union of each class over all photos, averaged over classes
mean IoU, all classes     the same, each pixel to the best of all classes of the set
pointing                  the highest place of a class's map lies on the class (Zhang et al. 2016, 1608.00507,
                          without its margin)
box hits                  the box around what reaches half of the map's highest value, at that place, and a
                          connected part of the class overlap by an IoU of 0.5 or more
presence AUC              the highest value of a map in a photo with the class stands above that of a class
                          which is not in the photo
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import FolderMissing, PairsInvalid
from search.regions import PRESENT_MIN, Highlighter, RegionBox, Regions, boxes_of, enlarged

if TYPE_CHECKING:
    from PIL import Image

CLASSES_FILE = "classes.yaml"
STEP = 4  # every fourth pixel is enough for overlaps, at a sixteenth of the cost
BOX_OVERLAP_MIN = 0.5
RESAMPLES = 10_000
CENTRE_SPREAD = 0.25  # of a side: the centre prior's standard deviation

ID_MAX = 65_535  # a mask has sixteen bits a pixel at most
MASK_MODES = ("1", "L", "P", "I;16", "I")  # of Pillow: one number a pixel
TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height

Mask = NDArray[np.uint16]  # (height, width), class ids


@dataclass(frozen=True, slots=True)
class RegionPhoto:
    """A photo and its mask."""

    image: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class RegionSet:
    """Photos whose pixels are named."""

    photos: tuple[RegionPhoto, ...]
    ids: tuple[int, ...]
    names: tuple[str, ...]  # of the classes, as a person would say them


@dataclass(frozen=True, slots=True)
class PhotoOutcome:
    """What was found in one photo; arrays over all classes have the order of the set."""

    present: NDArray[np.bool_]  # (classes,)
    presence: NDArray[np.float32]  # (classes,), the highest value of each map
    pointing: NDArray[np.bool_]  # (queries,), one for each class present
    box_hits: NDArray[np.bool_]  # (queries,)
    known: NDArray[np.int64]  # (3, classes): pixels rightly named, named so, of the class; classes known
    every: NDArray[np.int64]  # (3, classes), the same among all classes


@dataclass(frozen=True, slots=True)
class RegionFigures:
    """The figures of some photos; None where a figure makes no sense."""

    miou_known: float | None
    miou_every: float | None
    pointing: float
    box_hits: float
    presence_auc: float
    found: float | None = None  # share of classes present whose map reaches PRESENT_MIN
    false_alarms: float | None = None  # share of classes absent whose map does


@dataclass(frozen=True, slots=True)
class Advantage:
    """How far one pointing accuracy is above another, by a paired bootstrap over photos."""

    difference: float
    low: float  # 95 % interval
    high: float
    p_value: float  # share of draws, one-sided, in which it is not above


@dataclass(frozen=True, slots=True)
class RegionMeasurement:
    """A model measured on a set of photos, with what needs no model beside it."""

    model: str
    photos: int
    queries: int
    figures: RegionFigures
    chance: RegionFigures
    centre: RegionFigures
    over_centre: Advantage


def read_region_set(folder: Path) -> RegionSet:
    """Read photos and classes of a folder, and check every mask; raises FolderMissing, PairsInvalid."""
    if not folder.is_dir():
        raise FolderMissing(folder)
    classes = _read_classes(folder / CLASSES_FILE)
    images = sorted(folder.glob("*.jpg"))
    found = [RegionPhoto(path, path.with_suffix(".png")) for path in images]
    photos = [photo for photo in found if photo.mask.exists()]
    if not photos:
        raise PairsInvalid(folder, "no NAME.jpg with a mask NAME.png beside it; other endings are not read")
    ids = tuple(classes)
    telling = tuple(photo for photo in photos if _holds_a_class(photo, ids))
    if not telling:
        raise PairsInvalid(
            folder, f"no mask holds a class of {CLASSES_FILE}; its ids must be the values of pixels"
        )
    return RegionSet(telling, ids, tuple(classes.values()))


def _read_classes(file: Path) -> Mapping[int, str]:
    """Read class ids and what they are called when asked for; 0 is no class."""
    import yaml

    try:
        stored = yaml.safe_load(file.read_text(encoding="utf-8"))["classes"]
        named = {int(key): spoken(str(name or "")) for key, name in stored.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise PairsInvalid(
            file.parent, f"its {file.name} cannot be read; it maps class ids to names"
        ) from error
    classes = {key: name for key, name in named.items() if key}
    if not classes:
        raise PairsInvalid(file, "names no class; write them as: classes: {1: dog, 2: sky}")
    for key, name in classes.items():
        if not 0 < key <= ID_MAX:
            raise PairsInvalid(file, f"class {key}: ids are 1 to {ID_MAX}, the values that pixels can have")
        if not name.strip():
            raise PairsInvalid(file, f"class {key} has no name; give the word to ask for, or take it out")
    return classes


def _holds_a_class(photo: RegionPhoto, ids: Sequence[int]) -> bool:
    """Tell whether a mask, once checked, names anything; raises PairsInvalid."""
    mask = read_mask(photo)
    width, height = _upright_size(photo.image)
    if mask.shape != (height, width):
        raise PairsInvalid(
            photo.mask,
            f"{mask.shape[1]} x {mask.shape[0]} pixels, its photo {width} x {height} when upright; "
            "both must be of one size",
        )
    return bool(np.isin(ids, _coarse(mask)).any())


def _upright_size(path: Path) -> tuple[int, int]:
    """Read a photo's (width, height) from its header; its pixels cost too much to be decoded twice."""
    from PIL import ExifTags, Image

    with _explained(path), Image.open(path) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation) in TURNED
        return image.size[::-1] if turned else image.size


def spoken(name: str) -> str:
    """Say a COCO class as a person does: wall-brick is a brick wall, sky-other-merged the sky."""
    plain = re.sub(r"-(stuff|merged|other)\b", "", name)
    material = re.fullmatch(r"(wall|floor)-(.+)", plain)
    plain = f"{material[2]} {material[1]}" if material else plain.replace("-", " ")
    return {"playingfield": "playing field"}.get(plain, plain)


def measure_regions(
    highlighter: Highlighter,
    regions: RegionSet,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> RegionMeasurement:
    """Measure a model on all photos of a set."""
    outcomes = list(outcomes_of(highlighter, regions, progress))
    return summed_up(highlighter.model, outcomes, list(baselines(regions)))


def outcomes_of(
    highlighter: Highlighter,
    regions: RegionSet,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Iterator[PhotoOutcome]:
    """Look at each photo in turn."""
    for done, photo in enumerate(regions.photos):
        progress(done, len(regions.photos))
        found = highlighter.find(_picture(photo.image), regions.names)
        yield judged(found, read_mask(photo), regions.ids)
    progress(len(regions.photos), len(regions.photos))


def read_mask(photo: RegionPhoto) -> Mask:
    """Read a mask, (height, width) class ids; raises PairsInvalid."""
    image = _picture(photo.mask)
    if image.mode not in MASK_MODES:
        raise PairsInvalid(
            photo.mask,
            f"{image.mode} pixels are no class ids; save it in grey or with a palette, one number a pixel",
        )
    return np.asarray(image).astype(np.uint16)


def _picture(path: Path) -> "Image.Image":
    from PIL import Image

    with _explained(path), Image.open(path) as image:
        image.load()
        return image


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Name the file that Pillow cannot read."""
    from PIL import Image

    try:
        yield
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PairsInvalid(
            path, "cannot be read as a picture, or not to its end; replace it, or take the pair out"
        ) from error


def _coarse(mask: Mask) -> Mask:
    return mask[STEP // 2 :: STEP, STEP // 2 :: STEP]


def judged(found: Regions, mask: Mask, ids: Sequence[int]) -> PhotoOutcome:
    """Compare what was found with a mask; the texts of `found` are the classes of these ids."""
    coarse = _coarse(mask)
    present = np.isin(ids, coarse)
    queries = np.flatnonzero(present)
    own = [mask == ids[int(query)] for query in queries]
    maps = [found.map_of(int(query)) for query in queries]
    return PhotoOutcome(
        present=present,
        presence=found.presence,
        pointing=np.array(list(map(points_at, maps, own)), dtype=np.bool_),
        box_hits=np.array(list(map(boxes_hit, maps, own)), dtype=np.bool_),
        known=_overlaps(_best(found.contrasts, queries, coarse.shape), coarse, ids),
        every=_overlaps(_best(found.values, np.arange(len(ids)), coarse.shape), coarse, ids),
    )


def points_at(values: NDArray[np.float32], region: NDArray[np.bool_]) -> bool:
    """Tell whether the highest place of (height, width) values is in a region."""
    return bool(region.flat[int(values.argmax())])


def boxes_hit(values: NDArray[np.float32], region: NDArray[np.bool_]) -> bool:
    """Tell whether the best box of (height, width) values fits a connected part of a region."""
    boxes = boxes_of(values, float(values.max()) / 2)
    parts = boxes_of(region.astype(np.float32))
    return bool(boxes) and any(overlap(boxes[0], part) >= BOX_OVERLAP_MIN for part in parts)


def overlap(one: RegionBox, other: RegionBox) -> float:
    """Give the intersection over union of two boxes."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0, width) * max(0, height)
    areas = sum((box.right - box.left) * (box.bottom - box.top) for box in (one, other))
    return shared / (areas - shared)


def _best(grids: NDArray[np.float32], among: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Give the best class of each pixel, (height, width)."""
    best = np.full(shape, -np.inf, np.float32)
    classes = np.zeros(shape, np.int64)
    for each in among:
        values = enlarged(grids[each], shape[1], shape[0])
        classes[values > best] = each
        best = np.maximum(best, values)
    return classes


def _overlaps(classes: NDArray[np.int64], mask: Mask, ids: Sequence[int]) -> NDArray[np.int64]:
    """Count over the named pixels: rightly named, named so, of the class; (3, classes)."""
    place = np.full(ID_MAX + 1, -1)
    place[list(ids)] = np.arange(len(ids))
    truth = place[mask]
    named, truth = classes[truth >= 0], truth[truth >= 0]
    kinds = (truth[named == truth], named, truth)
    return np.stack([np.bincount(kind, minlength=len(ids)) for kind in kinds])


# -- figures -----------------------------------------------------------------------------------------


def summed_up(
    model: str, outcomes: Sequence[PhotoOutcome], without_model: "Sequence[BaselineOutcome]"
) -> RegionMeasurement:
    """Turn the outcomes of photos into figures, with the baselines of the same photos."""
    centre_hits = [outcome.centre_pointing for outcome in without_model]
    return RegionMeasurement(
        model=model,
        photos=len(outcomes),
        queries=sum(len(outcome.pointing) for outcome in outcomes),
        figures=figures_of(outcomes),
        chance=RegionFigures(
            mean_iou([outcome.chance for outcome in without_model]),
            None,
            float(np.mean(np.concatenate([outcome.areas for outcome in without_model]))),
            float(np.mean(np.concatenate([outcome.whole_box_hits for outcome in without_model]))),
            0.5,
        ),
        centre=RegionFigures(
            None,
            None,
            float(np.mean(np.concatenate(centre_hits))),
            float(np.mean(np.concatenate([outcome.centre_box_hits for outcome in without_model]))),
            0.5,
        ),
        over_centre=advantage([outcome.pointing for outcome in outcomes], centre_hits),
    )


def figures_of(outcomes: Sequence[PhotoOutcome]) -> RegionFigures:
    """Compute the figures of some photos."""
    present = np.concatenate([outcome.present for outcome in outcomes])
    presence = np.concatenate([outcome.presence for outcome in outcomes])
    return RegionFigures(
        miou_known=mean_iou([outcome.known for outcome in outcomes]),
        miou_every=mean_iou([outcome.every for outcome in outcomes]),
        pointing=float(np.mean(np.concatenate([outcome.pointing for outcome in outcomes]))),
        box_hits=float(np.mean(np.concatenate([outcome.box_hits for outcome in outcomes]))),
        presence_auc=area_under_curve(presence[present], presence[~present]),
        found=float(np.mean(presence[present] >= PRESENT_MIN)),
        false_alarms=float(np.mean(presence[~present] >= PRESENT_MIN)),
    )


def mean_iou(counts: Sequence[NDArray[np.int64]]) -> float:
    """Average intersection over union over the classes that occur; counts are (3, classes) a photo."""
    right, named, true = np.sum(counts, axis=0)
    occurs = true > 0
    return float(np.mean(right[occurs] / (named + true - right)[occurs]))


def area_under_curve(positives: NDArray[Any], negatives: NDArray[Any]) -> float:
    """Give the chance that a positive stands above a negative; ties count half."""
    ordered = np.sort(negatives)
    below = np.searchsorted(ordered, positives, "left") + np.searchsorted(ordered, positives, "right")
    return float(np.mean(below / (2 * len(negatives))))


def advantage(ours: Sequence[NDArray[np.bool_]], theirs: Sequence[NDArray[np.bool_]]) -> Advantage:
    """Compare two outcomes of the same queries, photo by photo: paired bootstrap (Efron 1979)."""
    gains = np.array([int(our.sum()) - int(their.sum()) for our, their in zip(ours, theirs, strict=True)])
    asked = np.array([len(our) for our in ours])
    drawn = np.random.default_rng(0).integers(0, len(gains), (RESAMPLES, len(gains)))
    differences = gains[drawn].sum(axis=1) / asked[drawn].sum(axis=1)
    low, high = np.percentile(differences, [2.5, 97.5])
    not_above = (np.sum(differences <= 0) + 1) / (RESAMPLES + 1)
    return Advantage(float(gains.sum() / asked.sum()), float(low), float(high), float(not_above))


# -- what needs no model -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BaselineOutcome:
    """What chance and the centre of the picture get in one photo, query by query."""

    areas: NDArray[np.float64]  # (queries,), share of the picture: what a random point hits
    whole_box_hits: NDArray[np.bool_]  # (queries,), of a box around the whole picture
    centre_pointing: NDArray[np.bool_]  # (queries,)
    centre_box_hits: NDArray[np.bool_]  # (queries,), of a box around the middle
    chance: NDArray[np.int64]  # (3, classes), pixels named at random among the classes in the photo


def baselines(regions: RegionSet) -> Iterator[BaselineOutcome]:
    """Measure what needs no model."""
    chance = np.random.default_rng(0)
    for photo in regions.photos:
        mask = read_mask(photo)
        coarse = _coarse(mask)
        queries = np.flatnonzero(np.isin(regions.ids, coarse))
        own = [mask == regions.ids[query] for query in queries]
        centre = centre_prior(*mask.shape)
        yield BaselineOutcome(
            areas=np.array([region.mean() for region in own]),
            whole_box_hits=np.array([boxes_hit(np.ones(mask.shape, np.float32), region) for region in own]),
            centre_pointing=np.array([points_at(centre, region) for region in own]),
            centre_box_hits=np.array([boxes_hit(centre, region) for region in own]),
            chance=_overlaps(chance.choice(queries, coarse.shape), coarse, regions.ids),
        )


def centre_prior(height: int, width: int) -> NDArray[np.float32]:
    """Give a bell over the middle of a picture, (height, width), 1 at its highest."""
    down = (np.arange(height) + 0.5) / height - 0.5
    across = (np.arange(width) + 0.5) / width - 0.5
    bell = np.exp(-(down[:, None] ** 2 + across**2) / (2 * CENTRE_SPREAD**2))
    return np.asarray(bell, dtype=np.float32)
