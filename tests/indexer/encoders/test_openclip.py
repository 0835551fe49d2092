"""What is done with weights that are no good."""

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexer.encoders.loading import load_encoder
from indexer.encoders.names import WEIGHTS_FILES, resolve
from indexer.encoders.openclip import TorchEncoder
from indexer.errors import EncoderError

from .test_parity import photos, tokenizer_of

SAFE, PICKLED = WEIGHTS_FILES[0], "open_clip_pytorch_model.bin"


def stored(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / SAFE)


def spoilt(vit: Path, folder: Path, spoil: Callable[[dict[str, Any]], None]) -> Path:
    """Copy a model, with its tensors changed."""
    from safetensors.torch import save_file

    shutil.copytree(vit, folder)
    tensors = stored(vit)
    spoil(tensors)
    save_file(tensors, folder / SAFE)
    return folder


def with_pickled(vit: Path, folder: Path, content: Any) -> Path:
    """Copy a model, with something else in place of its weights."""
    import torch

    shutil.copytree(vit, folder, ignore=shutil.ignore_patterns(SAFE))
    torch.save(content, folder / PICKLED)
    return folder


def refusal(folder: Path, runtime: str = "auto") -> str:
    """Give why a model is refused; nothing else is tried before."""
    said: list[str] = []
    with pytest.raises(EncoderError) as caught:
        load_encoder(str(folder), device="cpu", runtime=runtime, notify=said.append)
    assert [line for line in said if "torch" in line] == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("runtime", ["auto", "torch"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(
    vit: Path, tmp_path: Path, runtime: str, value: float
) -> None:
    folder = spoilt(vit, tmp_path / "m", lambda tensors: tensors["visual.proj"][0].fill_(value))
    assert "visual.proj" in refusal(folder, runtime)


def test_weights_that_are_no_numbers_are_refused_in_half_precision(vit: Path, tmp_path: Path) -> None:
    folder = spoilt(vit, tmp_path / "m", lambda tensors: tensors["visual.proj"][0].fill_(math.nan))
    with pytest.raises(EncoderError, match=r"visual\.proj"):
        TorchEncoder(resolve(str(folder), print), tokenizer_of(vit), device="cpu", notify=print, half=True)


def test_weights_beyond_half_precision_are_run_in_float32(vit: Path, tmp_path: Path) -> None:
    folder = spoilt(vit, tmp_path / "m", lambda tensors: tensors["visual.proj"].mul_(1e7))
    encoder = TorchEncoder(
        resolve(str(folder), print), tokenizer_of(vit), device="cpu", notify=print, half=True
    )
    encoder.encode_images(photos())
    assert encoder.card.precision == "float32"


def test_vectors_that_are_no_numbers_are_not_given(vit: Path, tmp_path: Path) -> None:
    folder = spoilt(vit, tmp_path / "m", lambda tensors: tensors["visual.proj"].mul_(1e38).mul_(5))
    encoder = load_encoder(str(folder), device="cpu", runtime="torch")
    with pytest.raises(EncoderError, match="no numbers"):
        encoder.encode_images(photos())


@pytest.mark.parametrize("kept_bytes", [0, 100, 100_000])
def test_a_truncated_file_of_weights_is_told_as_such(vit: Path, tmp_path: Path, kept_bytes: int) -> None:
    folder = Path(shutil.copytree(vit, tmp_path / "m"))
    os.truncate(folder / SAFE, kept_bytes)
    assert SAFE in refusal(folder)


def test_a_file_without_tensors_is_told_as_such(vit: Path, tmp_path: Path) -> None:
    folder = spoilt(vit, tmp_path / "m", lambda tensors: tensors.clear())
    assert "holds no tensors by name" in refusal(folder)


@pytest.mark.parametrize("kind", ["tensor", "list", "numbered", "empty", "nothing within"])
def test_a_file_that_holds_no_tensors_by_name_is_told_as_such(vit: Path, tmp_path: Path, kind: str) -> None:
    import torch

    some = torch.zeros(3)
    contents = {"tensor": some, "list": [some], "numbered": {0: some}, "empty": {}}
    content = contents.get(kind, {"epoch": 3, "state_dict": None})
    assert "holds no tensors by name" in refusal(with_pickled(vit, tmp_path / "m", content))


def test_a_checkpoint_of_open_clips_trainer_is_taken(vit: Path, tmp_path: Path) -> None:
    tensors = {f"module.{name}": tensor for name, tensor in stored(vit).items()}
    folder = with_pickled(vit, tmp_path / "m", {"epoch": 3, "name": "x", "state_dict": tensors})
    assert load_encoder(str(folder), device="cpu", runtime="torch").encode_texts(["a dog"]).shape == (1, 48)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda tensors: tensors.pop("visual.proj"), "visual.proj is missing"),
        (lambda tensors: tensors.update(more=tensors["visual.proj"].clone()), "more has no place"),
        (
            lambda tensors: tensors.update({"visual.proj": tensors["visual.proj"][1:].clone()}),
            r"visual.proj is 63 x 48 where the model has 64 x 48",
        ),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_told(
    vit: Path, tmp_path: Path, spoil: Callable[[dict[str, Any]], None], said: str
) -> None:
    assert said in refusal(spoilt(vit, tmp_path / "m", spoil))
