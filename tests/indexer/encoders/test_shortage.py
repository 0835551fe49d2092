"""Exports that cannot be opened: damage is healed, a shortage passes, and no library loses its model."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from indexer.encoders.base import Encoder
from indexer.encoders.cache import CACHE_VARIABLE, towers_folder
from indexer.encoders.loading import load_encoder, load_encoder_for, load_text_encoder
from indexer.encoders.names import EXPORT_FORMAT, resolve
from indexer.encoders.openvino import CompiledTower, openvino_core
from indexer.errors import EncoderError, WeightsUnavailable
from indexer.records import EncoderCard


@dataclass(frozen=True)
class Export:
    card: EncoderCard
    folder: Path  # of the towers
    weights: Path  # the model's folder

    def forget_compiled(self) -> None:
        for compiled in self.folder.glob("*/"):
            shutil.rmtree(compiled)

    def forget_notes(self) -> None:
        """Make it one that an older program wrote."""
        told = json.loads((self.folder / "towers.json").read_text())
        told.pop("files")
        (self.folder / "towers.json").write_text(json.dumps(told))

    def damage(self, name: str) -> None:
        content = bytearray((self.folder / name).read_bytes())
        os.truncate(self.folder / name, len(content) // 2)


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vit: Path, away_from_home: None) -> Export:
    """An export of a model of this test's own, nothing compiled yet."""
    load_encoder(str(vit), device="cpu")
    source = towers_folder() / resolve(str(vit), print).export_key
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    folder = Path(shutil.copytree(source, towers_folder() / source.name))
    weights = Path(shutil.copytree(vit, tmp_path / "model"))
    card = replace(load_encoder(str(vit), device="cpu").card, name=str(weights))
    made = Export(card, folder, weights)
    made.forget_compiled()
    return made


@contextmanager
def no_file_can_be_opened() -> Iterator[None]:
    """Use up what this process may open."""
    resource = pytest.importorskip("resource")
    openvino_core().get_property("CPU", "FULL_DEVICE_NAME")  # has read its libraries
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    held: list[int] = []
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_shortage_keeps_an_export_whose_weights_are_gone(export: Export) -> None:
    shutil.rmtree(export.weights)
    load_text_encoder(export.card)  # all that is imported is
    export.forget_compiled()
    tower = export.folder / "text.xml"
    with no_file_can_be_opened(), pytest.raises(EncoderError, match="cannot be opened now"):
        CompiledTower(tower, precision="float32")
    assert load_text_encoder(export.card).encode_texts(["a dog"]).shape == (1, 48)


@pytest.mark.parametrize("with_notes", [True, False])
def test_a_damaged_export_is_kept_when_its_weights_are_gone(export: Export, with_notes: bool) -> None:
    shutil.rmtree(export.weights)
    if not with_notes:
        export.forget_notes()
    export.damage("image.bin")
    with pytest.raises(EncoderError, match="cannot be opened") as caught:
        load_encoder_for(export.card, device="cpu")
    assert str(export.weights) in str(caught.value)
    assert load_text_encoder(export.card).encode_texts(["a dog"]).shape == (1, 48)


def test_a_damaged_export_is_kept_when_other_weights_have_its_name(export: Export, resnet: Path) -> None:
    for file in resnet.iterdir():
        shutil.copy(file, export.weights)
    export.damage("image.bin")
    with pytest.raises(WeightsUnavailable, match="indexed with other weights"):
        load_encoder_for(export.card, device="cpu")
    assert export.folder.is_dir()


@pytest.mark.parametrize("with_notes", [True, False])
def test_a_damaged_export_is_made_anew_of_the_weights(export: Export, with_notes: bool) -> None:
    if not with_notes:
        export.forget_notes()
    export.damage("text.bin")
    assert load_text_encoder(export.card).encode_texts(["a dog"]).shape == (1, 48)


def make_older(folder: Path) -> Path:
    """Make an export one of an older program, beside none of today's."""
    older = folder.with_name(folder.name.partition("-")[0] + "-000000000000")
    folder.rename(older)
    told = json.loads((older / "towers.json").read_text())
    (older / "towers.json").write_text(json.dumps(told | {"format": 1}))
    return older


@pytest.mark.parametrize("load", [load_text_encoder, load_encoder_for])
def test_what_an_older_program_exported_is_made_anew_where_the_weights_are(
    export: Export, load: Callable[[EncoderCard], Encoder]
) -> None:
    older = make_older(export.folder)
    assert load(export.card).card.same_space(export.card)
    [renewed] = [folder for folder in towers_folder().iterdir() if folder != older]
    assert json.loads((renewed / "towers.json").read_text())["format"] == EXPORT_FORMAT


def test_what_an_older_program_exported_serves_where_the_weights_are_gone(export: Export) -> None:
    older = make_older(export.folder)
    shutil.rmtree(export.weights)
    assert load_text_encoder(export.card).card.same_space(export.card)
    assert list(towers_folder().iterdir()) == [older]


def test_a_damaged_export_goes_when_another_opens(export: Export) -> None:
    damaged = Path(shutil.copytree(export.folder, export.folder.with_name(f"{export.folder.name[:-1]}x")))
    shutil.rmtree(export.weights)
    first = min(damaged, export.folder)
    os.truncate(first / "text.bin", 10)
    load_text_encoder(export.card)
    assert list(towers_folder().iterdir()) == [max(damaged, export.folder)]


def test_damage_that_opens_is_told_as_damage(export: Export) -> None:
    shutil.rmtree(export.weights)
    content = (export.folder / "text.bin").read_bytes()
    (export.folder / "text.bin").write_bytes(b"\xff" * len(content))
    with pytest.raises(EncoderError, match=r"text\.bin is not as it was written"):
        load_text_encoder(export.card).encode_texts(["a dog"])


def test_what_another_openvino_wrote_and_this_one_cannot_read_is_made_anew(export: Export) -> None:
    tower = export.folder / "text.xml"
    tower.write_text(tower.read_text().replace('version="opset1"', 'version="opset99"'))
    told = json.loads((export.folder / "towers.json").read_text())
    content = tower.read_bytes()
    noted = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    files = told["files"] | {"text.xml": noted}
    (export.folder / "towers.json").write_text(json.dumps(told | {"files": files, "openvino": "1.0"}))
    assert load_text_encoder(export.card).encode_texts(["a dog"]).shape[0] == 1
