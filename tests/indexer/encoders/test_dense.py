import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional

from indexer.encoders.base import prepared_batch, unit_rows
from indexer.encoders.builtin.network import IMAGE_NETWORK, LOOKING_TWICE
from indexer.encoders.dense import (
    PatchEncoder,
    PatchSettings,
    Variant,
    resized,
)
from indexer.encoders.dense_loading import load_patch_encoder
from indexer.encoders.loading import load_encoder
from indexer.errors import NoPatchVectors

from . import small_models

SIDE, PATCH, WIDTH, HEADS = 64, 16, 64, 2  # of small_models.VIT


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(noise(5, 7, 3)).resize((width, height), Image.Resampling.BICUBIC)


def load(model: str | Path, variant: Variant = Variant.NACLIP, side: int = SIDE, window: int = 1000):
    settings = PatchSettings((side,), window=window, variant=variant)
    return load_patch_encoder(str(model), device="cpu", runtime="torch", settings=settings)


# -- the published formulas, one head and one row at a time, from the weights alone -------------------


def expected_patches(weights: dict[str, torch.Tensor], pixels: np.ndarray, variant: Variant) -> np.ndarray:
    mean, std = (
        torch.tensor(v) for v in ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
    )
    image = (torch.from_numpy(pixels).double() / 255 - mean) / std
    rows, columns = pixels.shape[0] // PATCH, pixels.shape[1] // PATCH
    kernel = weights["conv1.weight"].double()
    tokens = [weights["class_embedding"].double()]
    for row in range(rows):
        for column in range(columns):
            part = image[row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH]
            tokens.append((kernel * part.permute(2, 0, 1)).sum(dim=(1, 2, 3)))
    x = torch.stack(tokens) + positions(weights["positional_embedding"], rows, columns)
    x = norm(x, weights, "ln_pre")
    x = whole_block(x, weights, "transformer.resblocks.0.")
    x = last_block(x, weights, "transformer.resblocks.1.", variant, rows, columns)
    vectors = norm(x, weights, "ln_post")[1:] @ weights["proj"].double()
    return functional.normalize(vectors, dim=1).reshape(rows, columns, -1).numpy()


def positions(known: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    side = SIDE // PATCH
    grid = known[1:].T.reshape(1, -1, side, side)
    if (rows, columns) != (side, side):
        grid = functional.interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True)
    return torch.cat([known[:1], grid.reshape(grid.shape[1], -1).T]).double()


def norm(x: torch.Tensor, weights: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    centred = x - x.mean(dim=1, keepdim=True)
    scaled = centred / torch.sqrt((centred**2).mean(dim=1, keepdim=True) + 1e-5)
    return scaled * weights[name + ".weight"].double() + weights[name + ".bias"].double()


def parts(x: torch.Tensor, weights: dict[str, torch.Tensor], block: str) -> list[list[torch.Tensor]]:
    """Give queries, keys and values, each a list of heads."""
    y = norm(x, weights, block + "ln_1")
    joined = (
        y @ weights[block + "attn.in_proj_weight"].double().T + weights[block + "attn.in_proj_bias"].double()
    )
    width = WIDTH // HEADS
    return [
        [joined[:, part * WIDTH + head * width :][:, :width] for head in range(HEADS)] for part in range(3)
    ]


def out(heads: list[torch.Tensor], weights: dict[str, torch.Tensor], block: str) -> torch.Tensor:
    matrix, bias = weights[block + "attn.out_proj.weight"], weights[block + "attn.out_proj.bias"]
    return torch.cat(heads, dim=1) @ matrix.double().T + bias.double()


def mlp(x: torch.Tensor, weights: dict[str, torch.Tensor], block: str) -> torch.Tensor:
    y = norm(x, weights, block + "ln_2")
    y = y @ weights[block + "mlp.c_fc.weight"].double().T + weights[block + "mlp.c_fc.bias"].double()
    y = y * torch.sigmoid(1.702 * y)
    return y @ weights[block + "mlp.c_proj.weight"].double().T + weights[block + "mlp.c_proj.bias"].double()


def whole_block(x: torch.Tensor, weights: dict[str, torch.Tensor], block: str) -> torch.Tensor:
    q, k, v = parts(x, weights, block)
    scale = math.sqrt(WIDTH // HEADS)
    heads = [torch.softmax(q[h] @ k[h].T / scale, dim=1) @ v[h] for h in range(HEADS)]
    x = x + out(heads, weights, block)
    return x + mlp(x, weights, block)


def last_block(
    x: torch.Tensor, weights: dict[str, torch.Tensor], block: str, variant: Variant, rows: int, columns: int
) -> torch.Tensor:
    if variant == "vanilla":
        return whole_block(x, weights, block)
    q, k, v = parts(x, weights, block)
    scale = math.sqrt(WIDTH // HEADS)
    heads = []
    for h in range(HEADS):
        qq, kk = q[h] @ q[h].T / scale, k[h] @ k[h].T / scale
        if variant == "maskclip":
            heads.append(v[h])
        elif variant == "sclip":
            heads.append((torch.softmax(qq, dim=1) + torch.softmax(kk, dim=1)) @ v[h])
        elif variant == "clearclip":
            heads.append(torch.softmax(qq, dim=1) @ v[h])
        else:
            for i in range(rows * columns):
                for j in range(rows * columns):
                    squared = (i // columns - j // columns) ** 2 + (i % columns - j % columns) ** 2
                    kk[1 + i, 1 + j] += math.exp(-squared / (2 * 5**2))
            heads.append(torch.softmax(kk, dim=1) @ v[h])
    attended = out(heads, weights, block)
    if variant != "sclip":
        return attended
    x = x + attended
    return x + mlp(x, weights, block)


def visual_weights(folder: Path) -> dict[str, torch.Tensor]:
    state = load_file(folder / "open_clip_model.safetensors")
    return {name[7:]: value for name, value in state.items() if name.startswith("visual.")}


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize("shape", [(64, 64), (96, 48)])
def test_a_transformers_patches_follow_the_published_formula(
    vit: Path, variant: Variant, shape: tuple[int, int]
):
    pixels = noise(*shape, 3)
    found = load(vit, variant).encode_patch_pixels(pixels[None])[0]
    assert np.abs(found - expected_patches(visual_weights(vit), pixels, variant)).max() < 1e-5


def test_the_variants_differ(vit: Path):
    pixels = noise(1, 64, 64, 3)
    found = [load(vit, variant).encode_patch_pixels(pixels) for variant in Variant]
    apart = [np.abs(a - b).max() for i, a in enumerate(found) for b in found[:i]]
    assert min(apart) > 1e-3


# -- the other kinds of model --------------------------------------------------------------------------


@pytest.mark.parametrize("variant", [Variant.NACLIP, Variant.VANILLA])
def test_the_image_vector_stays_what_encode_images_gives(vit: Path, variant: Variant):
    image = picture(90, 64)
    before = load_encoder(str(vit), device="cpu", runtime="torch").encode_images([image])
    encoder = load(vit, variant)
    encoder.encode_patches([image])
    model = encoder._tower._module.visual  # type: ignore[attr-defined]
    pixels = torch.from_numpy(prepared_batch([image], encoder.card.preprocessing))
    with torch.inference_mode():
        after = model(encoder._tower._pixels.standardised(pixels)).numpy()  # type: ignore[attr-defined]
    assert np.abs(unit_rows(after) - before).max() < 1e-5


def test_the_built_in_networks_patches_average_to_what_it_makes_of_one_look(
    random_builtin: Path, tmp_path: Path
):
    image = picture(200, 100)
    folder = shutil.copytree(random_builtin, tmp_path / "once")
    config = folder / "open_clip_config.json"
    config.write_text(config.read_text().replace(LOOKING_TWICE, IMAGE_NETWORK))
    encoder = load(folder)
    whole = load_encoder(str(folder), device="cpu", runtime="torch").encode_images([image])
    cells = encoder._tower(prepared_batch([image], encoder.card.preprocessing))
    assert np.abs(unit_rows(cells.mean(axis=(1, 2))) - whole).max() < 1e-5


def test_a_resnets_patches_are_its_pools_values(resnet: Path):
    pixels = noise(1, 64, 96, 3)
    encoder = load(resnet)
    found = encoder.encode_patch_pixels(pixels)
    tower = encoder._tower
    visual, weights = tower._module.visual, visual_weights(resnet)  # type: ignore[attr-defined]
    with torch.inference_mode():
        x = visual.stem(tower._pixels.standardised(torch.from_numpy(pixels)))  # type: ignore[attr-defined]
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
    cells = x[0].permute(1, 2, 0).reshape(-1, x.shape[1])
    values = cells @ weights["attnpool.v_proj.weight"].T + weights["attnpool.v_proj.bias"]
    vectors = values @ weights["attnpool.c_proj.weight"].T + weights["attnpool.c_proj.bias"]
    assert found.shape[1:3] == (2, 3)
    assert np.abs(found.reshape(6, -1) - unit_rows(vectors.numpy())).max() < 1e-5


def test_a_model_that_pools_by_attention_is_refused_with_what_works(siglip: Path):
    with pytest.raises(NoPatchVectors, match=r"SigLIP.*use builtin, or an open_clip model of the ViT"):
        load(siglip)


# -- sizes and windows ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "cells"), [((64, 64), (4, 4)), ((300, 100), (4, 12)), ((1, 1), (4, 4)), ((1, 20_000), (32, 4))]
)
def test_a_picture_of_any_size_has_a_grid_of_its_aspect(
    vit: Path, size: tuple[int, int], cells: tuple[int, int]
):
    grid = load(vit).encode_patches([Image.new("RGB", size, (200, 30, 40))])[0]
    assert grid.shape == (*cells, 48)
    assert np.allclose(np.linalg.norm(grid, axis=2), 1, atol=1e-5)


def test_windows_of_a_long_picture_are_encoded_as_pictures_and_averaged_where_they_overlap(vit: Path):
    image = picture(128, 64)
    encoder = load(vit, window=64)
    found = encoder.encode_patches([image])[0]
    pixels = np.asarray(image)
    raw = encoder._tower(np.stack([pixels[:, left : left + 64] for left in (0, 32, 64)]))
    middle = (raw[0][:, 2:] + raw[1][:, :2]) / 2
    assert np.abs(found[:, 2:4] - unit_rows(middle.reshape(-1, 48)).reshape(4, 2, 48)).max() < 1e-5


def test_pictures_of_several_sizes_in_one_call_are_encoded_as_each_alone(vit: Path):
    images = [picture(64, 64), picture(128, 64), picture(70, 70)]
    encoder = load(vit)
    together = encoder.encode_patches(images)
    for image, grid in zip(images, together, strict=True):
        assert np.abs(encoder.encode_patches([image])[0] - grid).max() < 1e-5


def test_looks_at_several_sizes_are_averaged_on_the_finest_grid(vit: Path):
    image = picture(64, 64)
    one = load(vit, side=64)
    both = PatchEncoder(one._tower, one.card, settings=PatchSettings((64, 128), window=1000))
    fine = one._tower(np.asarray(image.resize((128, 128), Image.Resampling.BICUBIC))[None])[0]
    coarse = one._tower(np.asarray(image)[None])[0]
    expected = unit_rows((fine + resized(coarse, 8, 8)).reshape(-1, 48)).reshape(8, 8, 48)
    assert np.abs(both.encode_patches([image])[0] - expected).max() < 1e-5


def test_enlarging_is_that_of_pictures():
    grid = np.random.default_rng(0).random((3, 5, 2), dtype=np.float32)
    known = functional.interpolate(
        torch.from_numpy(grid).permute(2, 0, 1)[None], size=(17, 11), mode="bilinear", align_corners=False
    )
    assert np.abs(resized(grid, 17, 11) - known[0].permute(1, 2, 0).numpy()).max() < 1e-5


def test_an_architecture_of_its_own_attention_is_refused(tmp_path: Path):
    config = {**small_models.VIT, "vision_cfg": {**small_models.VIT["vision_cfg"], "attentional_pool": True}}
    folder = small_models.write_model(tmp_path / "pooled", config, small_models.CLIP_TRANSFORM)
    with pytest.raises(NoPatchVectors, match="attention of its own"):
        load(folder)
