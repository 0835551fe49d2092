"""Patches by OpenVINO are those of torch, and need neither torch nor open_clip once they are exported."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from indexer.encoders import dense_export
from indexer.encoders.cache import cache_folder
from indexer.encoders.dense import PatchSettings, Variant
from indexer.encoders.dense_grid import neighbourhood, positions_on
from indexer.encoders.dense_loading import load_patch_encoder
from indexer.encoders.dense_openvino import PATCHES, OpenVinoPatchTower
from indexer.encoders.dense_torch import TorchPatchTower
from indexer.errors import NoPatchVectors

PICTURES = ((90, 64), (64, 150), (64, 64))


def picture(width: int, height: int) -> Image.Image:
    cells = np.random.default_rng(width + 7 * height).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)


def assert_same(model: Path, settings: PatchSettings | None) -> None:
    images = [picture(*size) for size in PICTURES]
    ours, theirs = (
        load_patch_encoder(str(model), device="cpu", runtime=runtime, settings=settings).encode_patches(
            images
        )
        for runtime in ("openvino", "torch")
    )
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert (one * other).sum(axis=2).min() >= 0.999


@pytest.mark.parametrize("variant", list(Variant))
def test_a_transformers_patches_agree_with_torch_on_any_grid(vit: Path, variant: Variant) -> None:
    assert_same(vit, PatchSettings((64, 96), window=128, variant=variant))


def test_a_resnets_patches_agree_with_torch(resnet: Path) -> None:
    assert_same(resnet, PatchSettings((64, 96), window=128))


def test_the_built_in_models_patches_agree_with_torch(random_builtin: Path) -> None:
    assert_same(random_builtin, None)


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (7, 3), (2, 9)])
def test_positions_on_another_grid_are_those_torch_interpolates(rows: int, columns: int) -> None:
    known = np.random.default_rng(0).normal(size=(17, 6)).astype(np.float32)
    grid = torch.from_numpy(known[1:].T.reshape(1, 6, 4, 4).copy())
    grid = functional.interpolate(grid, (rows, columns), mode="bicubic", antialias=True)
    expected = np.concatenate([known[:1], grid[0].flatten(1).T.numpy()])
    assert np.abs(positions_on(known, rows, columns) - expected).max() < 1e-5


def test_nearness_falls_with_the_distance_of_cells_and_leaves_the_class_token_alone() -> None:
    nearness = neighbourhood(2, 3, sigma=2.0)
    assert nearness.shape == (7, 7)
    assert not nearness[0].any() and not nearness[:, 0].any()
    assert nearness[1 + 0, 1 + 5] == pytest.approx(np.exp(-(1 + 4) / 8))  # a row down, two columns across


def test_a_second_process_needs_neither_torch_nor_open_clip(vit: Path) -> None:
    load_patch_encoder(str(vit), device="cpu")
    script = f"""
import sys
from PIL import Image
from indexer.encoders.dense_loading import load_patch_encoder
encoder = load_patch_encoder({str(vit)!r}, device="cpu")
encoder.encode_patches([Image.new("RGB", (90, 64))])
print(sorted({{"torch", "open_clip", "timm"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_exporting_is_told_once(vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    told: list[str] = []
    for _ in range(2):
        load_patch_encoder(str(vit), device="cpu", notify=told.append)
    assert len(told) == 1
    assert "this is done once" in told[0]


def test_damaged_patches_are_made_anew(vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    image = picture(90, 64)
    before = load_patch_encoder(str(vit), device="cpu").encode_patches([image])[0]
    [module] = (cache_folder() / "patches").rglob(PATCHES)
    for damaged in (module, module.with_name("patches.json"), module.with_name("positions.npy")):
        damaged.write_bytes(b"not what it was")
        encoder = load_patch_encoder(str(vit), device="cpu")
        assert isinstance(encoder._tower, OpenVinoPatchTower)
        assert np.array_equal(encoder.encode_patches([image])[0], before)


def test_what_openvino_cannot_take_runs_with_torch_and_says_so(
    vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    monkeypatch.setattr(dense_export, "export_patches", fail)
    told: list[str] = []
    encoder = load_patch_encoder(str(vit), device="cpu", notify=told.append)
    assert isinstance(encoder._tower, TorchPatchTower)
    assert "no such operation" in told[-1]
    assert "torch" in told[-1]


def test_a_model_without_patches_is_refused_by_either(siglip: Path) -> None:
    for runtime in ("auto", "openvino", "torch"):
        with pytest.raises(NoPatchVectors):
            load_patch_encoder(str(siglip), device="cpu", runtime=runtime)
