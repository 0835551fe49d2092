"""Patch vectors are taken once per image, stored, and found again by the image's content."""

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer import patch_filling
from indexer.encoders.dense import PatchEncoder, PatchSettings
from indexer.encoders.dense_loading import load_patch_encoder
from indexer.errors import EncoderMismatch, NoPatchVectors
from indexer.opening import open_upright
from indexer.patch_filling import fill_patches, patches_of
from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_for_writing, open_library
from indexer.store.writer import LibraryWriter
from sightline.regions_indexing import fill_regions

from .encoders import small_models
from .store.test_disk import read_only

SETTINGS = IndexSettings(model="builtin", device="cpu", workers=1)


def noise(seed: int, size: tuple[int, int] = (90, 60)) -> Image.Image:
    cells = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def encoder() -> PatchEncoder:
    return load_patch_encoder("builtin", device="cpu", runtime="torch")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        noise(seed).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def library(folder: Path, tmp_path: Path) -> Path:
    index_folders(tmp_path / "library", [folder], SETTINGS)
    return tmp_path / "library"


def hashes_of(library: Path) -> dict[str, bytes]:
    with open_library(library) as reader:
        ids, _, _ = reader.fingerprints()
        return {
            image.path.name: image.content_hash
            for copies in reader.images(ids.tolist()).values()
            for image in copies
        }


def test_all_images_are_filled_in_once(library: Path, encoder: PatchEncoder) -> None:
    first, second = (fill_patches(library, encoder) for _ in range(2))
    assert (first.stored, first.unreadable, first.interrupted) == (3, 0, False)
    assert second.stored == 0
    with open_library(library) as reader:
        assert reader.status().patches == (3, first.stored_bytes)


def test_images_without_a_file_are_not_counted(folder: Path, library: Path, encoder: PatchEncoder) -> None:
    stored_bytes = fill_patches(library, encoder).stored_bytes
    (folder / "1.png").unlink()
    index_folders(library, [folder], SETTINGS)
    with open_library(library) as reader:
        assert reader.status().patches == (2, stored_bytes)


def test_only_what_is_new_is_taken(folder: Path, library: Path, encoder: PatchEncoder) -> None:
    fill_patches(library, encoder)
    noise(7).save(folder / "new.png")
    index_folders(library, [folder], SETTINGS)
    assert fill_patches(library, encoder).stored == 1


def test_what_is_stored_is_what_the_encoder_gives(
    folder: Path, library: Path, encoder: PatchEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_patches(library, encoder)
    monkeypatch.setattr(patch_filling, "take_patches", lambda images, _: {} if not images else 1 / 0)
    found = patches_of(library, encoder, list(hashes_of(library).values()))
    for name, content in hashes_of(library).items():
        expected = encoder.encode_patches([Image.open(folder / name)])[0]
        assert (found[content] * expected).sum(axis=2).min() > 0.999


def test_patches_asked_for_are_taken_and_stored(library: Path, encoder: PatchEncoder) -> None:
    wanted = hashes_of(library)["1.png"]
    assert patches_of(library, encoder, [wanted]).keys() == {wanted}
    with open_library(library) as reader:
        assert reader.status().patches[0] == 1


def test_patches_asked_for_come_also_while_somebody_writes(library: Path, encoder: PatchEncoder) -> None:
    wanted = hashes_of(library)["1.png"]
    with open_for_writing(library, create=False):
        assert patches_of(library, encoder, [wanted]).keys() == {wanted}


def test_patches_asked_for_come_also_where_nothing_can_be_written(
    folder: Path, tmp_path: Path, encoder: PatchEncoder
) -> None:
    index_folders(folder / ".sightline", [folder], SETTINGS)
    with read_only(folder, tmp_path) as library:
        wanted = hashes_of(library)["1.png"]
        assert patches_of(library, encoder, [wanted]).keys() == {wanted}


def test_a_picture_that_is_gone_has_none(folder: Path, library: Path, encoder: PatchEncoder) -> None:
    hashes = hashes_of(library)
    (folder / "1.png").unlink()
    assert patches_of(library, encoder, list(hashes.values())).keys() == {hashes["0.png"], hashes["2.png"]}
    assert fill_patches(library, encoder).unreadable == 1


def test_a_file_that_changed_since_it_was_indexed_gives_none(
    folder: Path, library: Path, encoder: PatchEncoder
) -> None:
    hashes = hashes_of(library)
    noise(9, (120, 60)).save(folder / "1.png")
    assert patches_of(library, encoder, list(hashes.values())).keys() == {hashes["0.png"], hashes["2.png"]}


def test_patches_taken_otherwise_do_not_count(library: Path, encoder: PatchEncoder) -> None:
    fill_patches(library, encoder)
    other = PatchEncoder(encoder._tower, encoder.card, settings=PatchSettings((96,), window=400))
    assert fill_patches(library, other).stored == 3


def test_patches_of_an_older_version_of_the_recipe_are_taken_anew(
    library: Path, encoder: PatchEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("indexer.encoders.dense.RECIPE_VERSION", 1)
        fill_patches(library, encoder)
    assert fill_patches(library, encoder).stored == 3


def test_another_models_patches_are_refused(library: Path, tmp_path: Path) -> None:
    folder = small_models.write_builtin(tmp_path / "stranger")
    stranger = load_patch_encoder(str(folder), device="cpu", runtime="torch")
    with pytest.raises(EncoderMismatch):
        fill_patches(library, stranger)


def test_a_run_that_is_stopped_keeps_what_is_done(
    library: Path, encoder: PatchEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patch_filling, "COMMIT_EVERY", 1)
    stop = threading.Event()
    done = fill_patches(library, encoder, progress=lambda *_: stop.set(), stop=stop)
    assert (done.stored, done.interrupted) == (1, True)
    assert fill_patches(library, encoder).stored == 2


def test_forgotten_images_take_their_patches_along(
    folder: Path, library: Path, encoder: PatchEncoder
) -> None:
    fill_patches(library, encoder)
    with open_for_writing(library, create=False) as writer:
        writer.forget(folder)
    with open_library(library) as reader:
        assert reader.status().patches == (0, 0)


def test_an_image_that_is_forgotten_meanwhile_is_left_out(
    folder: Path, library: Path, encoder: PatchEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget_first(place: Path, *, create: bool) -> LibraryWriter:
        with open_for_writing(place, create=create) as writer:
            writer.forget(next(folder.iterdir()))
        return open_for_writing(place, create=create)

    monkeypatch.setattr(patch_filling, "open_for_writing", forget_first)
    fill_patches(library, encoder)
    with open_library(library) as reader:
        assert reader.status().patches[0] == 2


def test_a_library_remembers_whether_it_keeps_regions(folder: Path, library: Path) -> None:
    assert fill_regions(library, None, device="cpu") is None
    assert fill_regions(library, True, device="cpu").stored == 3
    noise(8).save(folder / "new.png")
    index_folders(library, [folder], SETTINGS)
    assert fill_regions(library, None, device="cpu").stored == 1
    assert fill_regions(library, False, device="cpu") is None
    assert fill_regions(library, None, device="cpu") is None


def test_a_model_without_patch_vectors_ends_no_run_that_did_not_ask_for_them(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, **_choices: object) -> PatchEncoder:
        raise NoPatchVectors(name, "it pools by attention")

    fill_regions(library, True, device="cpu")
    monkeypatch.setattr("sightline.regions_indexing.load_patch_encoder", refuse)
    told: list[str] = []
    assert fill_regions(library, None, device="cpu", notify=told.append) is None
    assert told == ["no regions are stored: builtin cannot tell where something is; `--no-regions` ends this"]
    with pytest.raises(NoPatchVectors):
        fill_regions(library, True, device="cpu")


def test_patches_asked_for_are_kept_when_taking_the_others_is_broken_off(
    library: Path, encoder: PatchEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    portions = iter([patch_filling.take_patches])

    def take_once(*arguments: object) -> object:
        try:
            return next(portions)(*arguments)  # type: ignore[arg-type]
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(patch_filling, "COMMIT_EVERY", 2)
    monkeypatch.setattr(patch_filling, "take_patches", take_once)
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        patches_of(library, encoder, list(hashes_of(library).values()), notify=told.append)
    assert told == ["taking the patch vectors of 3 images; they are kept if that can be"]
    with open_library(library) as reader:
        assert reader.status().patches[0] == 2


def test_an_image_that_was_taken_in_over_the_usual_limit_has_patches_too(
    library: Path, encoder: PatchEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(open_upright.__kwdefaults__, "max_megapixels", 0.001)
    assert fill_patches(library, encoder).unreadable == 0


def test_patches_of_a_large_jpeg_are_those_that_highlight_takes(
    tmp_path: Path, encoder: PatchEncoder
) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "large.jpg", quality=95)
    index_folders(tmp_path / "library", [folder], SETTINGS)
    [found] = patches_of(
        tmp_path / "library", encoder, list(hashes_of(tmp_path / "library").values())
    ).values()
    [wanted] = encoder.encode_patches([open_upright(folder / "large.jpg", target=(1024, 1024))[0]])
    assert (found * wanted).sum(axis=2).min() > 0.999
