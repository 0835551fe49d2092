"""Every runtime against torch in float32, called as open_clip's own documentation calls it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from indexer.encoders.export import convert
from indexer.encoders.loading import load_encoder
from indexer.encoders.names import BUILTIN, BUILTIN_FOLDER, resolve
from indexer.encoders.openclip import ImageTower, TextTower, TorchEncoder, build_model
from indexer.encoders.quiet import quiet_libraries
from indexer.encoders.text_files import text_files
from indexer.encoders.tokenizer import TextTokenizer
from indexer.records import Vectors

from . import small_models

KINDS = ("vit", "resnet", "siglip", "random_builtin")
TEXTS = ("a dog on the beach", "", "Zwei rote Busse & ein Hund", "snow " * 100, "🏔️ 山")


def photos() -> list[Image.Image]:
    pictures = [Image.fromarray(picture()) for picture in (data.astronaut, data.coffee, data.chelsea)]
    return [*pictures, pictures[0].crop((0, 0, 90, 400)), pictures[1].resize((40, 30))]


def open_clip_vectors(name: str, weights: Path | None = None) -> tuple[Vectors, Any]:
    """Encode the photos with open_clip alone; gives the model too."""
    with quiet_libraries():
        import open_clip
        import torch

        from indexer.encoders.builtin.network import register_image_network

        register_image_network()
        pretrained = None if weights is None else str(weights)
        model, _, transform = open_clip.create_model_and_transforms(name, pretrained=pretrained)
        model.eval()
        with torch.inference_mode():
            batch = torch.stack([transform(photo) for photo in photos()])
            return model.encode_image(batch, normalize=True).numpy(), model


def text_vectors(model: Any, ids: Any) -> Vectors:
    import torch

    with torch.inference_mode():
        vectors: Vectors = model.encode_text(torch.from_numpy(ids), normalize=True).numpy()
        return vectors


def tokenizer_of(folder: Path) -> TextTokenizer:
    with text_files(resolve(str(folder), print), print) as (file, rules):
        return TextTokenizer(file, rules)


def least_cosine(one: Vectors, other: Vectors) -> float:
    assert one.shape == other.shape
    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
    return float((one * other).sum(axis=1).min())


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
@pytest.mark.parametrize("kind", KINDS)
def test_images_are_encoded_as_open_clip_does(
    kind: str, runtime: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(kind)
    expected, _ = open_clip_vectors(f"local-dir:{folder}")
    encoder = load_encoder(str(folder), runtime=runtime, device="cpu")
    assert least_cosine(encoder.encode_images(photos()), expected) >= 0.999


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_encoded_as_open_clip_does(kind: str, runtime: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(kind)
    _, model = open_clip_vectors(f"local-dir:{folder}")
    expected = text_vectors(model, tokenizer_of(folder).ids(TEXTS))
    encoder = load_encoder(str(folder), runtime=runtime, device="cpu")
    assert least_cosine(encoder.encode_texts(TEXTS), expected) >= 0.999


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_agrees_with_float32(kind: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(kind)
    exact = load_encoder(str(folder), runtime="torch", device="cpu")
    half = TorchEncoder(
        resolve(str(folder), print), tokenizer_of(folder), device="cpu", notify=print, half=True
    )
    assert half.card.precision == "float16"
    assert least_cosine(half.encode_images(photos()), exact.encode_images(photos())) >= 0.999
    assert least_cosine(half.encode_texts(TEXTS), exact.encode_texts(TEXTS)) >= 0.999
    assert half.card.precision == "float16"


@pytest.mark.parametrize(
    "changes", [{}, {"final_ln_after_pool": True}, {"ls_init_value": 0.1}, {"pool_type": "avg"}]
)
def test_last_block_for_one_token_gives_what_open_clip_gives(changes: dict[str, Any], tmp_path: Path) -> None:
    import torch

    shape = {**small_models.VIT, "vision_cfg": {**small_models.VIT["vision_cfg"], "layers": 3, **changes}}
    folder = small_models.write_model(tmp_path / "model", shape, small_models.CLIP_TRANSFORM)
    files = resolve(str(folder), print)
    tower = ImageTower(build_model(files), files.preprocessing, torch.float32).eval()
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))
    with torch.inference_mode():
        expected = tower.model.encode_image(tower.standardised(pixels))
        found = tower(pixels)
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found[0], found[1], atol=1e-3)


def test_an_open_clip_with_other_insides_is_run_whole(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip.transformer
    import torch

    files = resolve(str(vit), print)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
    with torch.inference_mode():
        expected = ImageTower(build_model(files), files.preprocessing, torch.float32).eval()(pixels)
        known = open_clip.transformer.VisionTransformer
        monkeypatch.setattr(known, "renamed", known._embeds, raising=False)
        monkeypatch.setattr(known, "forward", lambda self, images: _forward_whole(self, images))
        monkeypatch.delattr(known, "_embeds")
        found = ImageTower(build_model(files), files.preprocessing, torch.float32).eval()(pixels)
    assert torch.allclose(found, expected, atol=1e-5)


def _forward_whole(visual: Any, images: Any) -> Any:
    """Do what open_clip's forward does, by the method's new name."""
    hidden = visual.transformer(visual.renamed(images))
    return visual._pool(hidden)[0] @ visual.proj


def test_vectors_do_not_depend_on_the_batch(vit: Path) -> None:
    one = load_encoder(str(vit), device="cpu", batch_size=1)
    many = load_encoder(str(vit), device="cpu", batch_size=64)
    assert np.allclose(one.encode_images(photos()), many.encode_images(photos()), atol=1e-5)
    separately = np.concatenate([one.encode_texts([text]) for text in TEXTS])
    assert np.allclose(separately, many.encode_texts(TEXTS), atol=1e-5)


def test_images_encoded_side_by_side_come_back_in_their_order(vit: Path) -> None:
    chance = np.random.default_rng(0)
    images = [
        Image.fromarray(chance.integers(0, 256, (4, 4, 3), np.uint8)).resize((64, 64)) for _ in range(75)
    ]
    encoder = load_encoder(str(vit), device="cpu", batch_size=75)
    together = encoder.encode_images(images)
    alone = np.concatenate([encoder.encode_images([image]) for image in images])
    assert ((together @ alone.T).argmax(axis=1) == np.arange(75)).all()


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_nothing_gives_no_rows(vit: Path, runtime: str) -> None:
    encoder = load_encoder(str(vit), device="cpu", runtime=runtime)
    assert encoder.encode_images([]).shape == encoder.encode_texts([]).shape == (0, 48)


def test_any_mode_of_image_is_taken(vit: Path) -> None:
    encoder = load_encoder(str(vit), device="cpu")
    picture = Image.fromarray(data.chelsea())
    modes = [picture.convert(mode) for mode in ("RGB", "L", "P", "CMYK", "RGBA", "1", "I;16", "LA")]
    vectors = encoder.encode_images(modes)
    assert vectors.shape == (8, 48)
    assert (vectors[0] * vectors[4]).sum() > 0.9999


def test_runtimes_agree_on_the_shipped_model() -> None:
    exact = load_encoder(BUILTIN, runtime="torch", device="cpu")
    fast = load_encoder(BUILTIN, runtime="openvino", device="cpu")
    expected, _ = open_clip_vectors(f"local-dir:{BUILTIN_FOLDER}")
    assert least_cosine(exact.encode_images(photos()), expected) >= 0.999
    assert least_cosine(fast.encode_images(photos()), expected) >= 0.999
    assert least_cosine(fast.encode_texts(TEXTS), exact.encode_texts(TEXTS)) >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["ViT-B-32", "ViT-B-32-quickgelu", "RN50"])
def test_large_checkpoint_agrees_with_open_clip(architecture: str, tmp_path: Path) -> None:
    import torch

    weights = tmp_path / "weights.pt"
    torch.save(small_models.build(architecture).state_dict(), weights)
    expected, model = open_clip_vectors(architecture, weights)
    encoder = load_encoder(f"{architecture}@{weights}", runtime="openvino", device="cpu")
    assert least_cosine(encoder.encode_images(photos()), expected) >= 0.999
    with quiet_libraries():
        import open_clip

        ids = open_clip.get_tokenizer(architecture)(list(TEXTS)).numpy()
    assert least_cosine(encoder.encode_texts(TEXTS), text_vectors(model, ids)) >= 0.999


@pytest.mark.slow
def test_large_siglip_agrees_tower_by_tower() -> None:
    """Its tokenizer is not to be had offline, so the text tower is given ids."""
    import torch

    from indexer.encoders.openvino import openvino_core
    from indexer.records import Preprocessing

    model = small_models.build("ViT-B-16-SigLIP")
    preprocessing = Preprocessing(224, 224, "squash", "bicubic", (0.5,) * 3, (0.5,) * 3, 0)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    ids = generator.integers(2, 32000, (3, 64), dtype=np.int64)
    for tower, rows, shape in (
        (ImageTower(model, preprocessing, torch.float32), pixels, [-1, 224, 224, 3]),
        (TextTower(model), ids, [-1, 64]),
    ):
        with torch.inference_mode():
            expected = tower.eval()(torch.from_numpy(rows)).numpy()
        found = openvino_core().compile_model(convert(tower, (rows,), (shape,)), "CPU")(rows)[0]
        cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        assert cosine.min() >= 0.999
