import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps
from skimage import data

from indexer.encoders.names import resolve
from indexer.errors import PairsInvalid
from tests.pictures import make_pictures
from trainer.checking import Checked, Finding, check, leave_out_unreadable
from trainer.examples import Example, ImagePlace
from trainer.splitting import split
from trainer.truncation import cuts_of

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket")


def examples_of(paths: Sequence[Path]) -> list[Example]:
    return [Example(ImagePlace(path), (f"caption of {path.stem}",)) for path in paths]


@pytest.fixture
def many(tmp_path: Path) -> list[Example]:
    return examples_of(make_pictures(tmp_path / "many", 40))


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in PHOTOS]
    for path in paths:
        Image.fromarray(getattr(data, path.stem)()).resize((320, 240)).save(path)
    return paths


def found(checked: Checked, kind: str) -> Finding | None:
    return next((finding for finding in checked.findings if finding.kind == kind), None)


def names(examples: Sequence[Example]) -> set[str]:
    return {example.image.path.name for example in examples}


def test_every_image_goes_to_one_side(many: list[Example]) -> None:
    checked = check(many, share=0.25, workers=0)
    assert sorted(names(checked.train) | names(checked.validation)) == sorted(names(many))
    assert not names(checked.train) & names(checked.validation)


def test_about_the_share_goes_to_validation(many: list[Example]) -> None:
    assert 4 <= len(check(many, share=0.25, workers=0).validation) <= 16


def test_the_split_depends_on_the_seed(many: list[Example]) -> None:
    sides = [check(many, share=0.25, seed=seed, workers=0).validation for seed in (1, 1, 2)]
    assert sides[0] == sides[1] != sides[2]


def test_an_image_stays_on_its_side_when_others_come_and_files_move(
    many: list[Example], tmp_path: Path
) -> None:
    before = names(check(many[:20], share=0.25, workers=0).validation)
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "many", moved)
    after = check(examples_of(sorted(moved.iterdir(), reverse=True)), share=0.25, workers=0)
    assert names(after.validation) & names(many[:20]) == before


def test_no_share_leaves_all_to_learn_from(many: list[Example]) -> None:
    assert len(check(many, share=0, workers=0).train) == 40


def test_three_images_leave_two_to_learn_from(many: list[Example]) -> None:
    checked = check(many[:3], share=0.9, workers=0)
    assert (len(checked.train), len(checked.validation)) == (2, 1)


@pytest.mark.parametrize("seed", range(8))
def test_copies_of_a_photo_stay_on_one_side(photos: list[Path], seed: int) -> None:
    copies = []
    for path in photos:
        small = path.with_name(f"{path.stem} small.jpg")
        Image.open(path).convert("RGB").resize((160, 120)).save(small, quality=60)
        mirrored = path.with_name(f"{path.stem} mirrored.png")
        ImageOps.mirror(Image.open(path)).save(mirrored)
        copies += [path, small, mirrored, Path(shutil.copy(path, path.with_name(f"{path.stem} copy.png")))]
    checked = check(examples_of(copies), share=0.4, seed=seed, workers=0)
    sides = [
        {name.split()[0].split(".")[0] for name in names(s)} for s in (checked.train, checked.validation)
    ]
    assert not sides[0] & sides[1]


@pytest.mark.parametrize("seed", range(12))
def test_many_shots_of_one_thing_are_learned_from(seed: int) -> None:
    keys = [bytes([number]) for number in range(9)]
    drawn = split(keys, [1] * 9, share=0.1, seed=seed).index(True)  # validated on if it were one shot
    validates = split(keys, [10 if place == drawn else 1 for place in range(9)], share=0.1, seed=seed)
    assert not validates[drawn]
    assert 1 <= sum(validates) <= 7


def test_of_groups_of_one_size_a_share_is_for_validation() -> None:
    keys = [number.to_bytes(2) for number in range(1_000)]
    assert 150 < sum(split(keys, [4] * 1_000, share=0.2, seed=0)) < 250


def test_copies_to_learn_from_are_counted(photos: list[Path], tmp_path: Path) -> None:
    exact = Path(shutil.copy(photos[0], tmp_path / "exact.png"))
    near = tmp_path / "near.jpg"
    Image.open(photos[1]).convert("RGB").save(near, quality=70)
    checked = check(examples_of([*photos, exact, near]), share=0, workers=0)
    assert [(f.kind, f.count, f.first) for f in checked.findings] == [
        ("exact copy", 1, f"{exact} is {photos[0]}"),
        ("near copy", 1, f"{near} is {photos[1]}"),
    ]


def test_different_photos_are_no_copies(photos: list[Path]) -> None:
    assert check(examples_of(photos), workers=0).findings == ()


def test_what_is_learned_from_is_kept_out_of_validation(photos: list[Path], tmp_path: Path) -> None:
    exact = Path(shutil.copy(photos[0], tmp_path / "exact.png"))
    near = tmp_path / "near.jpg"
    Image.open(photos[1]).convert("RGB").resize((200, 150)).save(near, quality=70)
    checked = check(examples_of(photos[:3]), validation=examples_of([exact, near, photos[3]]), workers=0)
    assert names(checked.validation) == {photos[3].name}
    assert names(checked.train) == {path.name for path in photos[:3]}
    leak = found(checked, "leak")
    assert leak is not None
    assert (leak.count, leak.first) == (2, f"{exact} is {photos[0]}")


def test_a_validation_set_of_copies_alone_is_refused(photos: list[Path]) -> None:
    with pytest.raises(PairsInvalid, match="no validation image is left"):
        check(examples_of(photos), validation=examples_of(photos[:2]), workers=0)


def test_a_photo_in_two_classes_is_told(photos: list[Path], tmp_path: Path) -> None:
    other = Path(shutil.copy(photos[0], tmp_path / "other.png"))
    labelled = [replace(e, label=e.captions[0]) for e in examples_of([*photos, other])]
    finding = found(check(labelled, workers=0), "two classes")
    assert finding is not None
    assert finding.first == f"{other} is {photos[0]}"


def test_unreadable_and_missing_images_are_left_out_with_the_reason(
    many: list[Example], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0" + bytes(40))
    checked = check([*many, *examples_of([broken, tmp_path / "gone.jpg"])], share=0, workers=2)
    assert names(checked.train) == names(many)
    finding = found(checked, "unreadable")
    assert finding is not None
    assert (finding.count, finding.first.startswith(f"{broken}: damaged")) == (2, True)


def test_an_image_that_is_cut_off_is_not_learned_from(
    many: list[Example], photos: list[Path], tmp_path: Path
) -> None:
    cut = tmp_path / "cut.jpg"
    Image.open(photos[0]).convert("RGB").save(cut)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 3])
    checked = check([*many, *examples_of([cut])], share=0, workers=0)
    assert names(checked.train) == names(many)
    finding = found(checked, "unreadable")
    assert finding is not None
    assert finding.first == f"{cut}: damaged: only a part of it can be decoded"


def test_empty_captions_are_left_out_and_images_without_another(many: list[Example]) -> None:
    many[0] = replace(many[0], captions=("", "a dog"))
    many[1] = replace(many[1], captions=(" ",))
    checked = check(many, share=0, workers=0)
    assert checked.train == (replace(many[0], captions=("a dog",)), *many[2:])
    finding = found(checked, "empty caption")
    assert finding is not None
    assert finding.count == 2


def test_captions_that_the_model_cuts_are_counted(many: list[Example]) -> None:
    cuts = cuts_of(resolve("builtin", lambda _: None), lambda _: None)
    long = "a dog " * 40
    many[3] = replace(many[3], captions=("a dog", long))
    finding = found(check(many[:5], is_cut=cuts, workers=0), "cut caption")
    assert finding is not None
    assert (finding.count, finding.first.startswith("'a dog a dog")) == (1, True)


def test_a_caption_that_just_fits_is_not_cut() -> None:
    cuts = cuts_of(resolve("builtin", lambda _: None), lambda _: None)
    fits = [not cuts("dog " * words) for words in range(1, 30)]
    assert fits == [True] * 23 + [False] * 6  # 24 tokens, of which the last is the end


def test_captions_of_several_images_are_told(many: list[Example]) -> None:
    many[0] = replace(many[0], captions=many[1].captions)
    finding = found(check(many[:5], workers=0), "shared caption")
    assert finding is not None
    assert finding.first == repr(many[1].captions[0])


def test_progress_comes_to_its_end(many: list[Example]) -> None:
    reports: list[tuple[str, int, int]] = []
    check(many, workers=0, progress=lambda *report: reports.append(report))
    assert ("reading images", 40, 40) in reports


def test_flat_pictures_are_no_copies_of_each_other(tmp_path: Path) -> None:
    paths = [tmp_path / f"{grey}.png" for grey in (40, 45, 50, 200)]
    for path in paths:
        Image.fromarray(np.full((64, 64), int(path.stem), np.uint8)).save(path)
    assert found(check(examples_of(paths), workers=0), "near copy") is None


@pytest.mark.parametrize(
    ("count", "share", "reason"),
    [
        (0, 0.1, "no image with a caption is left"),
        (1, 0.1, "1 image is too few"),
        (2, 0.1, "2 different images are too few"),
        (5, 1.5, "share 1.5 is not between 0 and 1"),
    ],
)
def test_too_little_is_refused(many: list[Example], count: int, share: float, reason: str) -> None:
    with pytest.raises(PairsInvalid, match=reason):
        check(many[:count], share=share, workers=0)


def test_one_caption_for_all_is_refused(many: list[Example]) -> None:
    with pytest.raises(PairsInvalid, match="all 40 images have the same caption, 'a product photo'"):
        check([replace(example, captions=("a product photo",)) for example in many], workers=0)


def test_nothing_readable_says_what_is_wrong(tmp_path: Path) -> None:
    gone = examples_of([tmp_path / "a.jpg", tmp_path / "b.jpg"])
    with pytest.raises(PairsInvalid, match=r"cannot be read: 2, left out \(first: .*a\.jpg: no such file"):
        check(gone, workers=0)


def test_copies_byte_for_byte_are_told_and_look_alikes_are_not(photos: list[Path], tmp_path: Path) -> None:
    copy = shutil.copy(photos[0], tmp_path / "copy.png")
    smaller = tmp_path / "smaller.png"
    Image.open(photos[1]).resize((160, 120)).save(smaller)
    checked = check(examples_of([*photos, Path(copy), smaller]), share=0, workers=0)
    told = {example.image.path.name: example.photo for example in checked.train}
    assert told["copy.png"] == told["astronaut.png"] is not None
    assert {photo for name, photo in told.items() if name not in ("copy.png", "astronaut.png")} == {None}


def test_what_cannot_be_read_is_not_measured_on(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    kept, findings = leave_out_unreadable(examples_of([tmp_path / "bad.jpg", *photos]), workers=0)
    assert names(kept) == {path.name for path in photos}
    assert [(finding.kind, finding.count) for finding in findings] == [("unreadable", 1)]


def test_nothing_to_measure_on_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(PairsInvalid, match=r"left to measure on; images that cannot be read: 1"):
        leave_out_unreadable(examples_of([tmp_path / "a.jpg"]), workers=0)


def test_a_heic_of_which_only_the_thumbnail_is_whole_is_left_out(photos: list[Path], tmp_path: Path) -> None:
    pillow_heif.register_heif_opener()
    hurt = tmp_path / "hurt.heic"
    Image.fromarray(data.coffee()).resize((2400, 1600)).save(hurt, quality=70, thumbnails=[512])
    head, _, pixels = hurt.read_bytes().partition(b"mdat")  # those of the large one first
    hurt.write_bytes(head + b"mdat" + bytes(64) + pixels[64:])
    checked = check(examples_of([*photos, hurt]), share=0, workers=0)
    assert [(finding.kind, finding.count) for finding in checked.findings] == [("unreadable", 1)]
