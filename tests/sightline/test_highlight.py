import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from safetensors.numpy import load_file, save_file

import sightline
from indexer.encoders.base import upright_rgb
from indexer.encoders.models import GPU_CHOICE, RECOMMENDED
from indexer.errors import EncoderError, QueryInvalid
from indexer.patch_filling import fill_patches
from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_library
from search.engine import search
from search.query import make_query
from search.regions import Regions, load_highlighter, parts_of
from search.results import Hit
from sightline.cli.highlight import _mask_image
from sightline.overlay import colour_of, drawing_for, heat, overlay, segmentation
from sightline.regions_output import regions_dict, regions_lines, run_lengths
from sightline.search_page import search_page
from sightline.thumbnails import thumbnails
from tests.indexer.encoders.test_models import put_in_hub_cache

from .answers import make_answer, make_images
from .conftest import Run

# pycocotools reads masks back in a way that numpy 2 warns of; what we call, its encoder, does not.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.usefixtures("as_commands_run"),
]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo that its EXIF turns: stored 120 x 80, seen 80 x 120."""
    patches = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    image = Image.fromarray(patches).resize((120, 80), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "photo.jpg", exif=exif)
    return tmp_path / "photo.jpg"


def regions(values: list, size: tuple[int, int] = (600, 500)) -> Regions:
    grid = np.asarray(values, np.float32)
    return Regions(tuple("abcdefgh"[: len(grid)]), *size, grid, grid)


# -- Python ------------------------------------------------------------------------------------------


def test_maps_have_the_upright_size_whether_from_a_file_or_an_image(model: Path, photo: Path):
    from_file = sightline.highlight(photo, ["dog", "a red door"], model=str(model))
    with Image.open(photo) as image:
        from_image = sightline.highlight(image, ["dog", "a red door"], model=str(model))
    assert (from_file.shape, from_file.dtype) == ((2, 120, 80), np.float32)
    assert 0 <= from_file.min() <= from_file.max() <= 1
    assert np.abs(from_file - from_image).max() < 1e-5


def test_the_pictures_of_a_page_are_turned_once(photo: Path):
    small = next(iter(thumbnails([photo], 640)))
    assert small is not None
    assert upright_rgb(small).size == small.size == (80, 120)


def test_one_text_may_be_given_as_it_is(model: Path, photo: Path):
    assert sightline.highlight(photo, "dog", model=str(model)).shape == (1, 120, 80)


def test_a_text_gets_the_same_map_whatever_is_asked_beside_it(model: Path, photo: Path):
    alone = sightline.highlight(photo, ["dog"], model=str(model))
    beside = sightline.highlight(photo, ["a red door", "dog"], model=str(model))
    assert np.abs(alone[0] - beside[1]).max() < 1e-5


def changed_copy(model: Path, folder: Path) -> Path:
    """Make, or make over, a folder with another model: its weights are those of the first, turned about."""
    shutil.copytree(model, folder, dirs_exist_ok=True)
    weights = load_file(folder / "open_clip_model.safetensors")
    turned = {name: -tensor if tensor.ndim > 1 else tensor for name, tensor in weights.items()}
    save_file(turned, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_model_is_the_one_that_its_name_means_in_the_folder_one_is_in(
    model: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = changed_copy(model, tmp_path / "two" / model.name)
    monkeypatch.chdir(model.parent)
    sightline.highlight(photo, "dog", model=model.name)
    monkeypatch.chdir(other.parent)
    there = sightline.highlight(photo, "dog", model=model.name)
    assert np.array_equal(there, sightline.highlight(photo, "dog", model=str(other)))


def test_a_model_that_was_written_over_is_loaded_anew(model: Path, photo: Path, tmp_path: Path):
    copied = shutil.copytree(model, tmp_path / "model")
    before = sightline.highlight(photo, "dog", model=str(copied))
    changed_copy(model, copied)
    assert not np.array_equal(sightline.highlight(photo, "dog", model=str(copied)), before)


def test_bytes_that_are_no_letters_are_looked_for_all_the_same(model: Path, photo: Path):
    assert sightline.highlight(photo, "caf\udce9", model=str(model)).shape == (1, 120, 80)


def test_an_image_that_was_closed_is_refused(model: Path):
    image = Image.new("RGB", (9, 9))
    image.close()
    with pytest.raises(QueryInvalid, match="cannot be decoded"):
        sightline.highlight(image, "dog", model=str(model))


@pytest.mark.parametrize("size", [(1, 1), (3, 900)])
def test_pictures_of_odd_sizes_get_maps(model: Path, size: tuple[int, int]):
    maps = sightline.highlight(Image.new("RGB", size, (9, 90, 200)), ["dog"], model=str(model))
    assert maps.shape == (1, size[1], size[0])


@pytest.mark.parametrize("texts", [[], [" "], ""])
def test_no_text_is_refused(model: Path, photo: Path, texts: list[str] | str):
    with pytest.raises(QueryInvalid):
        sightline.highlight(photo, texts, model=str(model))


def test_maps_that_fit_no_memory_are_refused_before_any_work(model: Path):
    with pytest.raises(QueryInvalid, match="fewer texts"):
        sightline.highlight(Image.new("L", (10_000, 10_000)), ["a"] * 11, model=str(model))


def test_what_helps_with_a_photo_that_is_too_large_is_a_smaller_copy(
    photo: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("indexer.opening.MAX_MEGAPIXELS", 0.001)
    with pytest.raises(QueryInvalid, match=r"limit of 0\.0010 MP; give a smaller copy of it"):
        sightline.highlight(photo, "dog")


# -- the command -------------------------------------------------------------------------------------


def test_a_picture_is_written_beside_the_photo_and_never_over_another(run: Run, model: Path, photo: Path):
    for _ in range(2):
        done = run("highlight", photo, "dog", "--model", model)
        assert done.returncode == 0, done.stderr.decode()
    written = sorted(path.name for path in photo.parent.iterdir())
    assert written == ["photo.highlight-2.png", "photo.highlight.png", "photo.jpg"]
    assert b"photo.highlight-2.png" in done.stderr
    assert done.stdout.split(b"\t")[1] == b"dog"


def test_json_tells_boxes_in_shares_and_masks_that_coco_reads(run: Run, model: Path, photo: Path):
    done = run("highlight", photo, "dog", "a red door", "--json", "--model", model)
    told = json.loads(done.stdout)
    assert (told["width"], told["height"]) == (80, 120)
    maps = sightline.highlight(photo, ["dog", "a red door"], model=str(model))
    for text, values in zip(told["texts"], maps, strict=True):
        assert np.array_equal(coco.decode(text["mask"]).astype(bool), values >= 0.5)
        assert all(0 <= side <= 1 for box in text["boxes"] for side in box["box"])
    parts = [coco.decode(part["mask"]) for part in told["segmentation"]]
    assert (sum(parts) + coco.decode(told["none_of_these"]) == 1).all()
    assert sorted(path.name for path in photo.parent.iterdir()) == ["photo.jpg"]


def test_a_mask_has_the_upright_size(run: Run, model: Path, photo: Path, tmp_path: Path):
    run("highlight", photo, "dog", "--mask", tmp_path / "mask.png", "--model", model)
    with Image.open(tmp_path / "mask.png") as mask:
        assert (mask.size, mask.mode) == ((80, 120), "L")
        assert set(np.unique(np.asarray(mask))) <= {0, 255}


def test_a_mask_of_several_texts_numbers_them_from_one_and_leaves_zero_to_none():
    grid = np.array([[[0.9, 0.1, 0.1]], [[0.1, 0.1, 0.9]]], np.float32)
    found = Regions(("dog", "cat"), 600, 100, grid, np.round(4 * grid))
    labels = np.asarray(_mask_image(found))
    assert [labels[50, column] for column in (20, 300, 580)] == [1, 0, 2]


def test_replacing_what_was_drawn_before_is_told(run: Run, model: Path, photo: Path, tmp_path: Path):
    drawn = tmp_path / "out.png"
    told = [run("highlight", photo, "dog", "--out", drawn, "--model", model).stderr for _ in range(2)]
    assert b"wrote" in told[0]
    assert b"replaced" in told[1]
    Image.open(drawn).verify()


@pytest.mark.parametrize("option", ["--out", "--mask"])
@pytest.mark.parametrize("content", [b"notes", b"picture"])
def test_nothing_is_drawn_in_the_place_of_what_we_did_not_draw(
    run: Run, photo: Path, tmp_path: Path, option: str, content: bytes
):
    named = tmp_path / "holiday.png"
    Image.new("RGB", (9, 9)).save(named)
    if content == b"notes":
        named.write_bytes(content)
    before = named.read_bytes()
    done = run("highlight", photo, "dog", option, named)
    assert (done.returncode, done.stdout, named.read_bytes()) == (2, b"", before)
    assert done.stderr.decode() == (
        f"sightline: {option} {named} is a file that sightline did not draw, so it is not replaced; "
        "give another name\n"
    )


def test_an_empty_file_takes_a_drawing(run: Run, model: Path, photo: Path, tmp_path: Path):
    (tmp_path / "empty.png").touch()
    done = run("highlight", photo, "dog", "--out", tmp_path / "empty.png", "--model", model)
    assert done.returncode == 0, done.stderr.decode()
    Image.open(tmp_path / "empty.png").verify()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to look for"),
        ([""], "one of the texts is empty"),
        (["dog", "--out", "{photo}"], "is the photo itself"),
        (["dog", "--out", "x.txt"], "must end in"),
        (["dog", "--mask", "x.jpg"], "must end in .png"),
        (["dog", "--out", "x.png", "--mask", "x.png"], "same file"),
        (["dog", "--model", "no/such"], "no/such"),
        (["dog", "--out", "{folder}/nowhere/x.png"], "there is no folder"),
        (["dog", "--mask", "{folder}/nowhere/x.png"], "there is no folder"),
        (["dog", "--out", "{folder}/photo.jpg/x.png"], "there is no folder"),
        (["dog", "--out", "{folder}/folder.png"], "is a folder"),
        (["dog", "--mask", "{folder}/folder.png"], "is a folder"),
        (["dog", "--out", "{folder}/x.png", "--mask", "{folder}/folder.png/../x.png"], "same file"),
        (["dog", "--out", "{folder}/link.png", "--mask", "{folder}/x.png"], "same file"),
        (["dog", "--out", "{folder}/astray.png"], "there is no folder"),
        ([*map(str, range(256)), "--mask", "{folder}/x.png"], "a mask has values for 255"),
    ],
)
def test_a_request_that_is_off_is_told(run: Run, photo: Path, arguments: list[str], said: str):
    (photo.parent / "folder.png").mkdir()
    (photo.parent / "link.png").symlink_to("x.png")
    (photo.parent / "astray.png").symlink_to("nowhere/x.png")
    filled = [
        each.replace("{photo}", str(photo)).replace("{folder}", str(photo.parent)) for each in arguments
    ]
    done = run("highlight", photo, *filled)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert (done.stdout, photo.stat().st_size > 0) == (b"", True)


@pytest.mark.parametrize(("content", "said"), [(None, "no such file"), (b"hello", "not an image")])
def test_a_photo_that_cannot_be_read_is_told(run: Run, tmp_path: Path, content: bytes | None, said: str):
    photo = tmp_path / "photo.jpg"
    if content is not None:
        photo.write_bytes(content)
    done = run("highlight", photo, "dog")
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1
    assert said in done.stderr.decode()


def test_a_photo_over_the_limit_is_told(run: Run, photo: Path):
    done = run("highlight", photo, "dog", "--max-megapixels", "0.001")
    assert done.returncode == 2
    said = "0.0096 MP is over the limit of 0.0010 MP; raise it with --max-megapixels"
    assert said in done.stderr.decode()


def test_a_photo_with_a_long_name_gets_its_picture_under_a_shorter_one(run: Run, model: Path, photo: Path):
    long = photo.rename(photo.with_name("ü" * 122 + ".jpg"))
    for _ in range(2):
        done = run("highlight", long, "dog", "--model", model)
        assert done.returncode == 0, done.stderr.decode()
    written = {path.name for path in photo.parent.iterdir()} - {long.name}
    assert written == {"ü" * 110 + ".highlight.png", "ü" * 110 + ".highlight-2.png"}


# -- the page of a search ----------------------------------------------------------------------------


def test_search_shows_on_its_page_where_each_hit_matches(run: Run, indexed: Path, tmp_path: Path):
    plain, shown = tmp_path / "plain.html", tmp_path / "shown.html"
    run("search", "red square", "--limit", "2", "--html", plain, cwd=indexed)
    done = run("search", "red square", "--limit", "2", "--html", shown, "--highlight", cwd=indexed)
    assert done.returncode == 0, done.stderr.decode()
    assert "Where it is" in shown.read_text(encoding="utf-8")
    assert "Where it is" not in plain.read_text(encoding="utf-8")


def test_a_page_of_several_texts_names_each_ones_colour(tmp_path: Path):
    answer = replace(make_answer(make_images(tmp_path)[:1]), query=make_query(["<b>dog", "tree"]))
    html = search_page(answer, highlight=lambda hit, image: image)
    shown = re.findall(r'background: #(\w{6})"></i>([^/]+)</span>', html)
    assert [bytes.fromhex(colour) for colour, _ in shown] == [bytes(colour_of(0)), bytes(colour_of(1))]
    assert [text for _, text in shown] == ["&lt;b&gt;dog", "tree"]


def test_a_page_of_one_text_tells_what_yellow_is_and_promises_nothing(tmp_path: Path):
    html = search_page(
        make_answer(make_images(tmp_path)[:1], query="dog"), highlight=lambda hit, image: image
    )
    assert "yellow where it stands far above chance" in html
    assert "surely" not in html


def test_each_hits_picture_is_drawn_on(tmp_path: Path):
    drawn: list[tuple[int, int]] = []

    def draw(hit: Hit, image: Image.Image) -> Image.Image:
        drawn.append(image.size)
        return image

    search_page(make_answer([*make_images(tmp_path)[:2], tmp_path / "gone.jpg"]), highlight=draw)
    assert len(drawn) == 2


def test_a_library_remembers_that_regions_are_to_be_stored(run: Run, tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("first", "second"):
        Image.effect_noise((200, 120), 90).convert("RGB").save(folder / f"{name}.png")
        done = run("index", folder, *(["--regions"] if name == "first" else []))
        assert done.returncode == 0, done.stderr.decode()
    assert json.loads(run("status", "--json", cwd=folder).stdout)["regions"]["images"] == 2


def test_what_index_stored_of_regions_is_used_by_search(run: Run, tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.effect_noise((200, 120), 90).convert("RGB").save(folder / "noise.png")
    done = run("index", folder, "--regions")
    assert done.returncode == 0, done.stderr.decode()
    assert b"regions of 1 image stored" in done.stderr
    status = json.loads(run("status", "--json", cwd=folder).stdout)
    assert status["regions"]["images"] == 1
    done = run("search", "a wall", "--html", tmp_path / "hits.html", "--highlight", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(run("status", "--json", cwd=folder).stdout)["regions"] == status["regions"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dog", "--highlight"], "--html"),
        (["./red square.jpg", "--highlight", "--html", "x.html"], "words"),
        (["./red square.jpg", "--without", "dog", "--highlight", "--html", "x.html"], "words"),
    ],
)
def test_highlighting_needs_a_page_and_words(run: Run, indexed: Path, arguments: list[str], said: str):
    done = run("search", *arguments, cwd=indexed)
    assert done.returncode == 2
    assert said in done.stderr.decode()


# -- what is drawn -----------------------------------------------------------------------------------


def test_a_place_that_matches_is_yellow_and_the_rest_fades_to_grey():
    image = Image.new("RGB", (600, 500), (200, 40, 40))
    pixels = np.asarray(heat(image, regions([[[0.0, 1.0]]]), 0)).astype(int)
    red, green, blue = pixels[250, -5]
    assert red > 180
    assert green > 150
    assert blue < 80
    assert np.ptp(pixels[250, 5]) <= 2


def test_what_fits_no_text_stays_grey():
    image = Image.new("RGB", (600, 500), (200, 40, 40))
    pixels = np.asarray(segmentation(image, regions([[[0.9, 0.0]], [[0.0, 0.1]]]))).astype(int)
    assert np.ptp(pixels[250, 5]) > 50
    assert np.ptp(pixels[250, -5]) <= 2


@pytest.mark.parametrize("size", [(600, 500), (1, 1), (20, 2000), (3000, 2000)])
@pytest.mark.parametrize("texts", [1, 9])
def test_the_legend_stands_below_the_picture(size: tuple[int, int], texts: int):
    found = regions([[[0.9, 0.1]]] * min(texts, 8), size)
    whole = overlay(Image.new("RGB", size), found, model="builtin", boxes=True)
    assert whole.height > size[1]
    assert np.asarray(whole)[-max(60, size[1] // 8) :].max() > 100


def test_a_place_at_the_line_is_clearly_coloured():
    image = Image.new("RGB", (600, 500), (128, 128, 128))
    pixels = np.asarray(heat(image, regions([[[0.5, 0.5]], [[0.2, 0.2]]]), 0)).astype(int)
    faint = np.asarray(heat(image, regions([[[0.5, 0.5]], [[0.2, 0.2]]]), 1)).astype(int)
    assert np.ptp(pixels[250, 300]) > 60
    assert np.ptp(faint[250, 300]) < 30


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_bar_of_the_legend_is_drawn_as_a_grey_photo_is(value: float):
    grey = Image.new("RGB", (600, 500), (128, 128, 128))
    drawn = np.asarray(overlay(grey, regions([[[value, value]]]), model="builtin"))
    legend, photo = drawn[500:], drawn[250, 300]
    assert (legend == photo).all(axis=2).any()


def test_outlines_leave_out_the_crumbs_that_boxes_do():
    grid = np.zeros((1, 40, 40), np.float32)
    grid[0, 5:20, 5:20] = 0.9
    grid[0, 30, 30] = 0.52
    pixels = np.asarray(heat(Image.new("RGB", (600, 500)), regions(grid), 0))
    assert pixels[:260].min(axis=2).max() > 200  # white
    assert pixels[300:].min(axis=2).max() < 200


@pytest.mark.parametrize("peak", [0.52, 0.502, 0.49])
def test_json_and_lines_agree_on_what_is_present(peak: float):
    grid = np.zeros((2, 40, 40), np.float32)
    grid[0, 5, 5] = grid[0, 30, 30] = peak
    found = regions(grid, (401, 399))
    told = regions_dict(found, Path("x.jpg"), "builtin")["texts"][0]
    line = next(regions_lines(found))
    present = peak >= 0.5
    assert told["present"] is present
    assert bool(told["boxes"]) is present
    assert coco.decode(told["mask"]).any() == present
    assert ("not found" not in line) is present


def test_a_text_whose_whole_place_another_takes_is_told_everywhere(monkeypatch: pytest.MonkeyPatch):
    grid = np.array([[[0.9, 0.1]], [[0.6, 0.1]], [[0.2, 0.1]]], np.float32)
    found = Regions(("dog", "cat", "sea"), 600, 500, grid, np.round(4 * grid))
    written: list[str] = []
    monkeypatch.setattr("sightline.overlay.fitted_text", lambda _draw, line, *_: written.append(line) or line)
    overlay(Image.new("RGB", (600, 500)), found, model="builtin")
    told = regions_dict(found, Path("x.jpg"), "builtin")
    assert [line.split("\t")[2] for line in regions_lines(found)] == [
        "1 region",
        "1 region, all of it nearer to another text",
        "not found",
    ]
    assert [text["outdone"] for text in told["texts"]] == [False, True, False]
    assert not coco.decode(told["segmentation"][1]["mask"]).any()
    assert written[1].endswith("0.60, nearer to another text everywhere")


def test_parts_are_found_once_for_boxes_and_mask(monkeypatch: pytest.MonkeyPatch):
    calls: list[float] = []
    count = parts_of
    monkeypatch.setattr("search.regions.parts_of", lambda *given: calls.append(given[1]) or count(*given))
    told = regions_dict(regions([[[0.9, 0.0]]]), Path("x.jpg"), "builtin")["texts"][0]
    assert (len(calls), len(told["boxes"]), coco.decode(told["mask"]).any()) == (1, 1, True)


def test_the_mask_of_an_absent_text_is_empty_and_has_the_pictures_size():
    told = regions_dict(regions([[[0.1, 0.0]]], (17, 13)), Path("x.jpg"), "builtin")["texts"][0]
    assert told["mask"] == run_lengths(np.zeros((13, 17), bool))


@pytest.mark.parametrize(
    ("presence", "told"), [(0.499, "0.49"), (0.3, "0.30"), (0.5, "0.50"), (0.999, "1.00")]
)
def test_what_is_not_in_the_picture_does_not_read_as_if_it_were(presence: float, told: str):
    assert next(regions_lines(regions([[[presence, 0.1]]]))).startswith(told)


def test_boxes_are_given_in_shares_of_the_picture():
    told = regions_dict(regions([[[0.9, 0.0]]], (200, 100)), Path("x.jpg"), "builtin")
    left, top, right, bottom = told["texts"][0]["boxes"][0]["box"]
    assert (left, top, bottom) == (0, 0, 1)
    assert 0.4 < right < 0.6


def test_run_lengths_are_read_back():
    mask = np.random.default_rng(0).random((13, 17)) > 0.5
    assert np.array_equal(coco.decode(run_lengths(mask)).astype(bool), mask)


def test_a_page_of_hits_is_not_drawn_with_other_weights_than_the_library_has(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="other weights now"):
        drawing_for(make_answer(make_images(tmp_path), query="dog"), tmp_path)


def test_a_truncated_photo_is_told(run: Run, photo: Path, model: Path, tmp_path: Path):
    whole = photo.read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    done = run("highlight", tmp_path / "cut.jpg", "dog", "--model", model, "--json")
    assert done.returncode == 0
    assert b"is damaged: it is looked at as far as it can be decoded" in done.stderr


def test_boxes_are_drawn_when_told(run: Run, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    finding = SimpleNamespace(model="made up", find=lambda _image, _texts, size: regions([[[0.9, 0]]], size))
    monkeypatch.setattr("search.regions.load_highlighter", lambda *_, **__: finding)
    files = [tmp_path / f"{name}.png" for name in ("plain", "again", "boxed")]
    for file, options in zip(files, ((), (), ("--boxes",)), strict=True):
        assert run("highlight", photo, "dog", "--out", file, *options).returncode == 0
    plain, again, boxed = (file.read_bytes() for file in files)
    assert plain == again != boxed


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_limit_that_is_no_number_is_refused(run: Run, photo: Path, number: str):
    done = run("highlight", photo, "dog", "--max-megapixels", number)
    assert done.returncode == 2
    assert b"--max-megapixels" in done.stderr


def test_what_is_drawn_over_a_photo_is_not_indexed_as_one(run: Run, model: Path, photo: Path):
    folder = photo.parent
    drawn = folder / "photo.drawn.png", folder / "photo.mask.png"
    done = run("highlight", photo, "dog", "door", "--model", model, "--out", drawn[0], "--mask", drawn[1])
    assert done.returncode == 0
    summary = json.loads(run("index", folder, "--model", model, "--json").stdout)
    assert (summary["indexed"], summary["skipped"]) == (1, 2)
    assert list(summary["skipped_reasons"]) == [
        "drawn by sightline itself: a highlight, a mask or a contact sheet"
    ]


def test_a_file_that_changed_since_it_was_indexed_is_drawn_on_as_it_is_now(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    file, library = tmp_path / "photos" / "noise.png", tmp_path / "library"
    Image.effect_noise((200, 120), 90).convert("RGB").save(file)
    index_folders(library, [file.parent], IndexSettings(model="builtin", device="cpu", workers=1))
    highlighter = load_highlighter("builtin")
    fill_patches(library, highlighter.patches)
    with open_library(library) as reader:
        answer = search(reader, make_query(["a red wall"]))
    changed = Image.radial_gradient("L").resize((120, 200)).convert("RGB")
    changed.save(file)
    drawn = drawing_for(answer, library)(answer[0], changed)
    wanted = heat(changed, highlighter.find(changed, ["a red wall"]), 0)
    assert np.array_equal(np.asarray(drawn), np.asarray(wanted))


def test_the_model_of_the_photos_library_is_used(run: Run, indexed: Path, model: Path, tmp_path: Path):
    done = run("highlight", indexed / "red square.jpg", "dog", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["model"] == str(model)
    assert b"built-in" not in done.stderr


def test_a_photo_of_no_library_is_looked_at_with_the_current_ones_model(
    run: Run, indexed: Path, model: Path, photo: Path
):
    done = run("highlight", photo, "dog", "--json", cwd=indexed)
    assert json.loads(done.stdout)["model"] == str(model)


def test_without_a_library_the_builtin_model_is_used_and_said_to_be_small(run: Run, photo: Path):
    done = run("highlight", photo, "dog", "--json", cwd=photo.parent)
    assert json.loads(done.stdout)["model"] == "builtin"
    said = [line for line in done.stderr.decode().splitlines() if "preparing" not in line]  # done once
    assert said == [
        "sightline: the built-in model is small and often errs; --model NAME sees better, "
        "`sightline models` lists names"
    ]


def test_a_librarys_model_that_is_not_here_is_not_fetched_but_said(run: Run, pictures: Path, tmp_path: Path):
    with closing(sqlite3.connect(pictures / ".sightline" / "catalog.sqlite")) as connection, connection:
        connection.execute("UPDATE encoder SET name = 'ViT-B-32/openai'")
    done = run("highlight", pictures / "red square.jpg", "dog", "--json", HF_HOME=str(tmp_path / "hub"))
    assert json.loads(done.stdout)["model"] == "builtin"
    assert done.stderr.decode().splitlines()[0] == (
        "sightline: the library's model ViT-B-32/openai is not used: not on this computer"
    )


def test_a_photo_whose_name_the_shell_split_is_named_whole(run: Run, photo: Path):
    photo.rename(photo.with_name("my photo.jpg"))
    done = run("highlight", "my", "photo.jpg", "dog", cwd=photo.parent)
    assert done.stderr == b"sightline: my: no such file; did you forget quotes? 'my photo.jpg'\n"


def test_a_librarys_model_without_its_tokenizer_is_not_fetched_but_said(
    run: Run, pictures: Path, tmp_path: Path
):
    with closing(sqlite3.connect(pictures / ".sightline" / "catalog.sqlite")) as connection, connection:
        connection.execute("UPDATE encoder SET name = ?", (GPU_CHOICE,))
    put_in_hub_cache(tmp_path / "hub" / "hub", RECOMMENDED[GPU_CHOICE].repository)
    done = run("highlight", pictures / "red square.jpg", "dog", "--json", HF_HOME=str(tmp_path / "hub"))
    assert done.stderr.decode().splitlines()[0] == (
        f"sightline: the library's model {GPU_CHOICE} is not used: its tokenizer is not on this computer"
    )


def test_that_a_damaged_librarys_model_is_not_known_is_said(run: Run, photo: Path):
    library = photo.parent / ".sightline"
    library.mkdir()
    (library / "catalog.sqlite").write_bytes(b"no catalog, but of some length" * 100)
    done = run("highlight", photo, "dog", "--json")
    assert json.loads(done.stdout)["model"] == "builtin"
    assert done.stderr.decode().startswith(
        f"sightline: the library's model is not known, and builtin is used: {library}: not a readable catalog"
    )
