import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.encoders.cache import CACHE_VARIABLE, towers_folder
from indexer.encoders.loading import load_encoder, load_encoder_for, load_text_encoder, was_renamed
from indexer.encoders.models import CPU_CHOICE, choose_auto
from indexer.encoders.names import resolve
from indexer.encoders.openclip import TorchEncoder
from indexer.encoders.openvino import OpenVinoEncoder, openvino_core
from indexer.errors import EncoderError, SightlineError, WeightsUnavailable

from ..rights import run_command

HEAVY = ("torch", "open_clip", "torchvision", "transformers", "huggingface_hub", "openvino_telemetry", "PIL")

QUERY = f"""
import json, sys
from indexer.encoders.loading import load_text_encoder
from indexer.records import EncoderCard, Preprocessing
card = json.loads(sys.argv[1])
card["preprocessing"] = Preprocessing(**{{
    name: tuple(value) if isinstance(value, list) else value for name, value in card["preprocessing"].items()
}})
vectors = load_text_encoder(EncoderCard(**card)).encode_texts(["a dog on the beach", "Zwei Hunde & Söhne"])
print(json.dumps({{"vectors": vectors.tolist(), "imported": [m for m in {HEAVY} if m in sys.modules]}}))
"""

EXPORT = """
import sys
from indexer.encoders.loading import load_encoder
encoder = load_encoder(sys.argv[1], device="cpu")
print(type(encoder).__name__, encoder.encode_texts(["a dog"]).shape)
"""


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )


@pytest.fixture
def exported_vit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vit: Path, away_from_home: None) -> Path:
    """The exported towers of the small ViT, in a cache of this test's own."""
    load_encoder(str(vit), device="cpu")
    source = towers_folder() / resolve(str(vit), print).export_key
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    shutil.copytree(source, towers_folder() / source.name)
    return towers_folder() / source.name


@pytest.fixture
def no_openvino(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "openvino", None)
    openvino_core.cache_clear()
    yield
    openvino_core.cache_clear()


def test_text_query_imports_neither_torch_nor_open_clip(vit: Path) -> None:
    from dataclasses import asdict

    encoder = load_encoder(str(vit), device="cpu")
    answer = json.loads(python(QUERY, json.dumps(asdict(encoder.card))).stdout)
    assert answer["imported"] == []
    expected = encoder.encode_texts(["a dog on the beach", "Zwei Hunde & Söhne"])
    assert np.allclose(answer["vectors"], expected, atol=1e-5)


def test_export_says_nothing_on_the_terminal(resnet: Path, tmp_path: Path) -> None:
    ran = python(EXPORT, str(resnet), SIGHTLINE_CACHE=str(tmp_path / "fresh"))
    assert (ran.stdout, ran.stderr) == ("OpenVinoEncoder (1, 64)\n", "")


def test_second_start_needs_no_torch(exported_vit: Path, vit: Path) -> None:
    code = "import sys\nfrom indexer.encoders.loading import load_encoder\n"
    code += "load_encoder(sys.argv[1], device='cpu').encode_texts(['a dog'])\nprint('torch' in sys.modules)"
    assert python(code, str(vit)).stdout == "False\n"


def test_library_is_searched_after_its_weights_are_gone(vit: Path, tmp_path: Path) -> None:
    card = load_encoder(str(vit), device="cpu").card
    gone = replace(card, name=str(tmp_path / "moved away"))
    assert load_text_encoder(gone).card == gone


def test_card_tells_who_we_are(vit: Path) -> None:
    import hashlib

    card = load_encoder(str(vit), device="cpu", runtime="torch").card
    of_weights = hashlib.sha256((vit / "open_clip_model.safetensors").read_bytes()).hexdigest()
    digest = hashlib.sha256(f"{of_weights} quick_gelu".encode()).hexdigest()
    assert (card.name, card.weights_hash, card.dimension, card.precision) == (str(vit), digest, 48, "float32")


def test_the_same_weights_without_quickgelu_are_another_network(vit: Path, tmp_path: Path) -> None:
    plain = shutil.copytree(vit, tmp_path / "plain")
    config = json.loads((plain / "open_clip_config.json").read_text())
    del config["model_cfg"]["quick_gelu"]
    (plain / "open_clip_config.json").write_text(json.dumps(config))
    one, other = (load_encoder(str(folder), device="cpu") for folder in (vit, plain))
    assert not one.card.same_space(other.card)
    for encoder in (one, other):
        found = load_text_encoder(encoder.card).encode_texts(["a dog on the beach"])
        np.testing.assert_allclose(found, encoder.encode_texts(["a dog on the beach"]), atol=1e-4)


def test_a_tokenizer_that_was_corrected_is_used(siglip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(siglip, tmp_path / "model")
    card = load_encoder(str(folder), device="cpu").card
    before = load_text_encoder(card).encode_texts(["two red buses"])
    stored = json.loads((folder / "tokenizer.json").read_text())
    words = [word for word in stored["model"]["vocab"] if len(word) > 1]
    ids = [stored["model"]["vocab"][word] for word in words]
    stored["model"]["vocab"].update(zip(words, reversed(ids), strict=True))
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    expected = load_encoder(str(folder), device="cpu", runtime="torch").encode_texts(["two red buses"])
    found = load_text_encoder(card).encode_texts(["two red buses"])
    assert not np.allclose(before, expected, atol=1e-2)
    np.testing.assert_allclose(found, expected, atol=2e-2)


def test_a_library_goes_on_with_what_was_exported_when_the_models_drive_has_died(
    vit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = load_encoder(str(vit), device="cpu").card

    def fail(*_: object) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("indexer.encoders.names.weights_hash", fail)
    assert not was_renamed(card)
    assert load_text_encoder(card).encode_texts(["a dog"]).shape == (1, 48)


def test_runtimes_share_one_space(vit: Path) -> None:
    fast = load_encoder(str(vit), device="cpu", runtime="openvino")
    exact = load_encoder(str(vit), device="cpu", runtime="torch")
    assert isinstance(fast, OpenVinoEncoder)
    assert isinstance(exact, TorchEncoder)
    assert fast.card.same_space(exact.card)


def test_missing_openvino_falls_back_to_torch_and_says_so(vit: Path, no_openvino: None) -> None:
    said: list[str] = []
    encoder = load_encoder(str(vit), device="cpu", notify=said.append)
    assert isinstance(encoder, TorchEncoder)
    assert len(said) == 1
    assert "OpenVINO" in said[0]


def test_text_queries_without_openvino_use_torch(vit: Path, no_openvino: None) -> None:
    card = load_encoder(str(vit), device="cpu", runtime="torch").card
    assert load_text_encoder(card).encode_texts(["a dog"]).shape == (1, 48)


def test_openvino_asked_for_by_name_is_no_suggestion(vit: Path, no_openvino: None) -> None:
    with pytest.raises(EncoderError, match="OpenVINO"):
        load_encoder(str(vit), device="cpu", runtime="openvino")


@pytest.mark.parametrize("name", ["text.bin", "text.xml", "image.bin", "towers.json"])
def test_damaged_export_is_made_anew(exported_vit: Path, vit: Path, name: str) -> None:
    for compiled in exported_vit.glob("*/"):
        shutil.rmtree(compiled)
    card = load_encoder(str(vit), device="cpu").card
    for compiled in exported_vit.glob("*/"):
        shutil.rmtree(compiled)
    (exported_vit / name).write_bytes((exported_vit / name).read_bytes()[:100])
    load = load_text_encoder if name.startswith("text") else load_encoder_for
    expected = load_encoder(str(vit), device="cpu", runtime="torch").encode_texts(["a dog"])
    assert float((load(card).encode_texts(["a dog"]) * expected).sum()) >= 0.999


def test_an_export_that_lost_its_description_is_made_anew(exported_vit: Path, vit: Path) -> None:
    (exported_vit / "towers.json").write_bytes(b"")
    assert isinstance(load_encoder(str(vit), device="cpu"), OpenVinoEncoder)
    assert (exported_vit / "towers.json").stat().st_size > 0


def test_of_two_exports_the_newer_form_is_taken(exported_vit: Path, vit: Path) -> None:
    card = load_encoder(str(vit), device="cpu").card
    older = exported_vit.with_name(f"{card.weights_hash[:24]}-000000000000")  # comes first by name
    shutil.copytree(exported_vit, older, ignore=shutil.ignore_patterns("*-*"))  # not what was compiled
    told = json.loads((older / "towers.json").read_text())
    told.pop("format")
    (older / "towers.json").write_text(json.dumps(told))
    (older / "image.bin").write_bytes(b"thrown away with all of it once it is opened")
    load_encoder_for(card, device="cpu")
    assert older.exists()
    shutil.rmtree(exported_vit)
    load_encoder_for(card, device="cpu")
    assert exported_vit.exists()


def test_changed_weights_do_not_answer_for_the_old_ones(exported_vit: Path, vit: Path) -> None:
    card = replace(load_encoder(str(vit), device="cpu").card, weights_hash="0" * 64)
    with pytest.raises(WeightsUnavailable, match="indexed with other weights"):
        load_encoder_for(card)


def test_cache_that_cannot_be_written_costs_speed_only(
    vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    said: list[str] = []
    encoder = load_encoder(str(vit), device="cpu", notify=said.append)
    assert isinstance(encoder, TorchEncoder)
    assert "torch" in said[-1]


def test_unknown_device_and_runtime_are_refused(vit: Path) -> None:
    with pytest.raises(SightlineError, match="auto, cpu, cuda"):
        load_encoder(str(vit), device="tpu")
    with pytest.raises(EncoderError, match="auto, openvino, torch"):
        load_encoder(str(vit), device="cpu", runtime="onnx")


def test_missing_gpu_is_told_in_one_line(vit: Path) -> None:
    from indexer.encoders.device import cuda_is_usable

    if cuda_is_usable():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EncoderError, match="--device cpu"):
        load_encoder(str(vit), device="cuda")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    if not run_command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder):
        pytest.skip("needs root, and the right to mount")
    yield folder
    run_command("umount", folder)


def test_a_full_disk_is_told_where_a_model_cannot_be_prepared(
    vit: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(small_disk / "cache"))
    said: list[str] = []
    assert isinstance(load_encoder(str(vit), device="cpu", notify=said.append), TorchEncoder)
    assert f"{small_disk / 'cache' / 'towers'}: the disk is full" in said[-1]


def test_an_export_is_no_choice_for_torch_when_its_weights_are_gone(
    exported_vit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads((exported_vit / "towers.json").read_text())
    told["card"]["name"] = CPU_CHOICE
    (exported_vit / "towers.json").write_text(json.dumps(told))
    said: list[str] = []
    chosen = {runtime: choose_auto(said.append, "cpu", runtime) for runtime in ("openvino", "torch")}
    assert chosen == {"openvino": CPU_CHOICE, "torch": "builtin"}
