"""A run folder takes no place that belongs to something else."""

from pathlib import Path

import pytest

from indexer.encoders.names import WEIGHTS_FILES
from indexer.errors import PairsInvalid
from trainer.tuning.folder import RunFolder

TAKEN = ["log.jsonl", "pairs.jsonl", "summary.json", "curves.png", "tensorboard", "checkpoint.pt", "best.pt"]
OF_MODELS = ["open_clip_config.json", "tokenizer.json", "tokenizer_config.json", *WEIGHTS_FILES]
OF_METHODS = ["probe.npz", "pacl_head.json", "pacl_head.safetensors", "patches-train.f16"]


@pytest.mark.parametrize("name", TAKEN + OF_MODELS + OF_METHODS)
def test_a_folder_that_has_what_a_run_writes_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("somebody's own")
    with pytest.raises(PairsInvalid, match=f"{name}: there already, .* another folder with --out"):
        RunFolder(tmp_path).check_is_free()


def test_a_link_that_leads_nowhere_is_not_replaced_either(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").symlink_to(tmp_path / "on another drive")
    with pytest.raises(PairsInvalid, match=r"log\.jsonl: there already"):
        RunFolder(tmp_path).check_is_free()


def test_other_files_beside_a_run_are_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    RunFolder(tmp_path).check_is_free()


def test_another_file_called_as_a_runs_settings_is_no_run_to_go_on_with(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"steps": 3}')
    with pytest.raises(PairsInvalid, match="no run to go on with"):
        RunFolder(tmp_path).check_can_go_on()


@pytest.mark.parametrize("settings", ["{}", "null", '{"method": "magic", "seed": 0}'])
def test_settings_that_tell_of_no_run_are_no_run_to_go_on_with(settings: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(f'{{"model": "builtin", "settings": {settings}}}')
    with pytest.raises(PairsInvalid, match="no run to go on with"):
        RunFolder(tmp_path).begun()


@pytest.mark.parametrize("name", ["run.json", "checkpoint.pt"])
def test_a_run_whose_settings_are_damaged_or_gone_wants_another_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{")
    with pytest.raises(PairsInvalid, match=r"run\.json is damaged or gone; .* another folder with --out"):
        RunFolder(tmp_path).check_can_go_on()


def test_where_no_run_has_been_one_may_begin(tmp_path: Path) -> None:
    with pytest.raises(PairsInvalid, match=r"no run to go on with; leave --resume out$"):
        RunFolder(tmp_path).check_can_go_on()
