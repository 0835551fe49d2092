from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.errors import FolderMissing, PairsInvalid
from search.regions import RegionBox, Regions
from trainer.region_measure import (
    RegionSet,
    advantage,
    area_under_curve,
    baselines,
    boxes_hit,
    centre_prior,
    measure_regions,
    overlap,
    points_at,
    read_mask,
    read_region_set,
    spoken,
)

REAL = Path(__file__).parents[3] / "shared" / "data" / "regions"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photos: a square of class 7 in a corner, on class 9; class 11 is nowhere."""
    (tmp_path / "classes.yaml").write_text("classes:\n  0: unlabeled\n  7: cat\n  9: wall-brick\n  11: dog\n")
    for number in range(4):
        mask = np.full((48, 64), 9, np.uint8)
        top, left = (number // 2) * 24, (number % 2) * 32
        mask[top : top + 24, left : left + 32] = 7
        mask[:4] = 0
        Image.fromarray(mask).save(tmp_path / f"{number}.png")
        Image.new("RGB", (64, 48), (50 * number, 90, 90)).save(tmp_path / f"{number}.jpg")
    return tmp_path


class Oracle:
    """Knows the masks; `right` tells whether it says what it knows."""

    model = "oracle"

    def __init__(self, regions: RegionSet, *, right: bool) -> None:
        self._masks = iter([read_mask(photo) for photo in regions.photos])
        self._ids = regions.ids
        self._right = right

    def find(self, image: Image.Image, texts: Sequence[str]) -> Regions:
        mask = next(self._masks)
        values = np.stack([mask == each for each in self._ids]).astype(np.float32)
        if not self._right:
            values = 1 - values
        return Regions(tuple(texts), mask.shape[1], mask.shape[0], values, values)


def test_a_model_that_knows_gets_full_marks(folder: Path):
    regions = read_region_set(folder)
    figures = measure_regions(Oracle(regions, right=True), regions).figures  # type: ignore[arg-type]
    assert (figures.miou_known, figures.miou_every) == (1, 1)
    assert (figures.pointing, figures.box_hits, figures.presence_auc) == (1, 1, 1)
    assert (figures.found, figures.false_alarms) == (1, 0)


def test_a_mask_with_a_palette_and_edges_of_no_class_is_read_as_pascal_has_it(folder: Path):
    for file in folder.glob("*.png"):
        ids = np.asarray(Image.open(file)).copy()
        ids[10:14] = 255  # the edge between things
        mask = Image.fromarray(ids).convert("P")
        mask.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
        mask.putdata(ids.ravel().tolist())
        mask.save(file)
    regions = read_region_set(folder)
    figures = measure_regions(Oracle(regions, right=True), regions).figures  # type: ignore[arg-type]
    assert (figures.miou_known, figures.miou_every) == (1, 1)


def test_a_model_that_says_the_opposite_gets_none(folder: Path):
    regions = read_region_set(folder)
    figures = measure_regions(Oracle(regions, right=False), regions).figures  # type: ignore[arg-type]
    assert (figures.miou_known, figures.miou_every, figures.pointing) == (0, 0, 0)


def test_chance_is_what_the_areas_give(folder: Path):
    found = list(baselines(read_region_set(folder)))
    shares = [0.25 - 4 * 32 / 3072, 0.25 - 4 * 32 / 3072, 0.25, 0.25]
    assert [outcome.areas[0] for outcome in found] == pytest.approx(shares)


def test_the_counts_are_of_photos_and_of_classes_in_them(folder: Path):
    regions = read_region_set(folder)
    measured = measure_regions(Oracle(regions, right=True), regions)  # type: ignore[arg-type]
    assert (measured.photos, measured.queries, measured.model) == (4, 8, "oracle")


def test_an_advantage_in_every_photo_is_sure_and_none_is_not():
    yes, no = np.ones(3, bool), np.zeros(3, bool)
    sure = advantage([yes] * 20, [no] * 20)
    none = advantage([yes, no] * 10, [no, yes] * 10)
    assert (sure.difference, sure.low, sure.high) == (1, 1, 1)
    assert sure.p_value < 0.001
    assert none.difference == 0
    assert none.p_value > 0.3


def test_the_area_under_the_curve_is_that_of_all_pairs():
    chance = np.random.default_rng(0)
    matches, misses = chance.integers(0, 9, 50), chance.integers(0, 7, 80)
    pairs = (matches[:, None] > misses) + 0.5 * (matches[:, None] == misses)
    assert area_under_curve(matches, misses) == pytest.approx(pairs.mean())


def test_boxes_overlap_by_their_intersection_over_union():
    one, other = RegionBox(0, 0, 10, 10, 1.0), RegionBox(5, 0, 15, 10, 1.0)
    assert overlap(one, other) == pytest.approx(50 / 150)
    assert overlap(one, RegionBox(20, 20, 30, 30, 1.0)) == 0


def test_a_box_must_fit_a_part_of_the_class_by_half():
    region = np.zeros((40, 40), bool)
    region[10:30, 10:30] = True
    fitting, large = np.zeros((2, 40, 40), np.float32)
    fitting[12:30, 10:28] = 0.4
    large[:] = 0.4
    assert boxes_hit(fitting, region)
    assert not boxes_hit(large, region)


def test_the_centre_prior_points_at_the_middle():
    region = np.zeros((31, 41), bool)
    region[15, 20] = True
    assert points_at(centre_prior(31, 41), region)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wall-brick", "brick wall"),
        ("floor-other-merged", "floor"),
        ("sky-other-merged", "sky"),
        ("mirror-stuff", "mirror"),
        ("window-blind", "window blind"),
        ("fire hydrant", "fire hydrant"),
    ],
)
def test_classes_are_said_as_people_say_them(name: str, said: str):
    assert spoken(name) == said


def test_a_folder_that_is_no_set_of_regions_is_told(tmp_path: Path):
    with pytest.raises(FolderMissing):
        read_region_set(tmp_path / "nowhere")
    with pytest.raises(PairsInvalid, match=r"classes\.yaml cannot be read"):
        read_region_set(tmp_path)
    (tmp_path / "classes.yaml").write_text("classes: {0: none, 1: dog}")
    with pytest.raises(PairsInvalid, match=r"no NAME\.jpg"):
        read_region_set(tmp_path)


def repaint(folder: Path, mask: np.ndarray, mode: str | None = None) -> None:
    """Put another mask beside the first photo."""
    image = Image.fromarray(mask)
    (image.convert(mode) if mode else image).save(folder / "0.png")


def refusal(folder: Path) -> str:
    with pytest.raises(PairsInvalid) as refused:
        read_region_set(folder)
    return str(refused.value)


def test_a_mask_of_another_size_than_its_photo_is_refused(folder: Path):
    repaint(folder, np.full((24, 64), 9, np.uint8))
    said = refusal(folder)
    assert "0.png: 64 x 24 pixels, its photo 64 x 48" in said


def test_a_mask_fits_a_photo_that_its_exif_turns(folder: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (48, 64)).save(folder / "0.jpg", exif=exif)
    assert len(read_region_set(folder).photos) == 4


def test_a_mask_in_colours_is_refused(folder: Path):
    repaint(folder, np.full((48, 64), 9, np.uint8), "RGB")
    assert "0.png: RGB pixels are no class ids" in refusal(folder)


def test_class_ids_above_255_are_read_from_a_mask_of_16_bits(folder: Path):
    (folder / "classes.yaml").write_text("classes: {7: cat, 9: wall, 263: dog}")
    mask = np.full((48, 64), 263, np.uint16)  # 263 is 7 in eight bits
    mask[:24] = 9
    repaint(folder, mask)
    regions = read_region_set(folder)
    assert np.array_equal(read_mask(regions.photos[0]), mask)
    figures = measure_regions(Oracle(regions, right=True), regions).figures  # type: ignore[arg-type]
    assert (figures.miou_known, figures.miou_every) == (1, 1)


@pytest.mark.parametrize("name", ["0.png", "0.jpg"])
def test_a_file_that_is_no_picture_is_named(folder: Path, name: str):
    (folder / name).write_bytes(b"hello")
    assert f"{name}: cannot be read as a picture" in refusal(folder)


def test_a_mask_that_is_cut_off_is_named(folder: Path):
    noise = np.random.default_rng(0).integers(0, 10, (48, 64), np.uint8)
    repaint(folder, noise)
    (folder / "0.png").write_bytes((folder / "0.png").read_bytes()[:300])
    assert "0.png: cannot be read as a picture, or not to its end" in refusal(folder)


def test_a_photo_that_is_cut_off_is_named(folder: Path):
    Image.effect_noise((64, 48), 90).convert("RGB").save(folder / "0.jpg")
    (folder / "0.jpg").write_bytes((folder / "0.jpg").read_bytes()[:900])
    regions = read_region_set(folder)
    with pytest.raises(PairsInvalid, match=r"0\.jpg: cannot be read as a picture, or not to its end"):
        measure_regions(Oracle(regions, right=True), regions)  # type: ignore[arg-type]


def test_a_photo_in_which_no_class_is_named_is_left_out(folder: Path):
    repaint(folder, np.zeros((48, 64), np.uint8))
    regions = read_region_set(folder)
    measured = measure_regions(Oracle(regions, right=True), regions)  # type: ignore[arg-type]
    assert (measured.photos, measured.figures.miou_known) == (3, 1)


def test_masks_that_name_no_class_at_all_are_refused(folder: Path):
    (folder / "classes.yaml").write_text("classes: {1: dog}")
    assert "no mask holds a class of classes.yaml" in refusal(folder)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ("{}", "names no class"),
        ("{0: unlabeled}", "names no class"),
        ("{7: cat, 9: ''}", "class 9 has no name"),
        ("{7: cat, 9: }", "class 9 has no name"),
        ("{7: cat, 70000: dog}", "class 70000: ids are 1 to 65535"),
        ("{-7: cat}", "class -7: ids are 1 to 65535"),
    ],
)
def test_classes_that_cannot_be_asked_for_are_refused(folder: Path, classes: str, said: str):
    (folder / "classes.yaml").write_text(f"classes: {classes}")
    assert f"classes.yaml: {said}" in refusal(folder)


@pytest.mark.parametrize("ending", [".jpeg", ".JPG"])
def test_photos_of_other_endings_are_told_to_be_unread(folder: Path, ending: str):
    for photo in folder.glob("*.jpg"):
        photo.rename(photo.with_suffix(ending))
    assert "no NAME.jpg with a mask NAME.png beside it; other endings are not read" in refusal(folder)


@pytest.mark.skipif(not REAL.is_dir(), reason="the region photos are not here")
def test_the_real_set_has_its_photos_and_classes():
    regions = read_region_set(REAL)
    assert (len(regions.photos), len(regions.ids)) == (100, 129)
    assert len(set(regions.names)) == 129
