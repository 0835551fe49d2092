import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.encoders.cache import weights_hash
from indexer.encoders.loading import load_encoder
from indexer.encoders.names import (
    architecture_of,
    architectures,
    canonical,
    check_name,
    open_clip_folder,
    own_tokenizer,
    published_table,
    resolve,
)
from indexer.encoders.quiet import quiet_libraries
from indexer.errors import EncoderError, EncoderUnknown, WeightsUnavailable
from indexer.records import Preprocessing

from ..rights import ordinary_user


def refusal(name: str) -> str:
    with pytest.raises(EncoderUnknown) as caught:
        resolve(name, print)
    return str(caught.value)


def a_file(tmp_path: Path, name: str = "weights.pt") -> Path:
    path = tmp_path / name
    path.write_bytes(b"weights")
    return path


def test_misspelt_architecture_is_answered_with_the_nearest() -> None:
    assert "ViT-B-32" in refusal("VitB32/openai")


def test_misspelt_tag_is_answered_with_the_nearest() -> None:
    assert "laion2b_s34b_b79k" in refusal("ViT-B-32/laion2b_s34b_b79")


def test_bare_architecture_is_told_to_name_weights() -> None:
    assert "ViT-B-32/openai" in refusal("ViT-B-32")


def test_misspelt_builtin_is_answered_with_it() -> None:
    assert "builtin" in refusal("bulitin")


def test_missing_checkpoint_is_answered_with_the_nearest_file(tmp_path: Path) -> None:
    a_file(tmp_path, "epoch_10.pt")
    assert "epoch_10.pt" in refusal(f"ViT-B-32@{tmp_path}/epoch_1.pt")


def test_missing_folder_is_called_missing() -> None:
    assert "no such folder" in refusal("./no/such/folder")


def test_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    assert ".safetensors" in refusal(f"ViT-B-32@{a_file(tmp_path, 'weights.npz')}")


def test_folder_without_configuration_says_so(tmp_path: Path) -> None:
    assert "open_clip_config.json" in refusal(str(tmp_path))


def test_folder_with_a_broken_configuration_says_so(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": []}')
    assert "describes no model" in refusal(str(tmp_path))


def test_folder_without_weights_says_so(vit: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_bytes((vit / "open_clip_config.json").read_bytes())
    with pytest.raises(WeightsUnavailable, match=r"open_clip_model\.safetensors"):
        resolve(str(tmp_path), print)


def test_published_weights_that_cannot_be_fetched_say_how_to_go_on() -> None:
    with pytest.raises(WeightsUnavailable, match="ARCHITECTURE@FILE") as caught:
        resolve("ViT-B-32-256/datacomp_s34b_b86k", print)
    assert "HF_HUB_OFFLINE" in str(caught.value)


def test_published_weights_are_found_in_the_hub_cache(tmp_path: Path) -> None:
    repository = published_table()["ViT-B-32-256"]["datacomp_s34b_b86k"]["hf_hub"].rstrip("/")
    folder = tmp_path / "hub" / ("models--" + repository.replace("/", "--"))
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    weights = folder / "snapshots" / "abc" / "open_clip_model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    files = resolve("ViT-B-32-256/datacomp_s34b_b86k", print)
    assert files.weights == weights
    assert files.preprocessing.height == 256
    assert resolve("ViT-B-32-256/datacomp-s34B-b86K", print) == files  # from memory, and spelt otherwise
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository, weights.name, cache_dir=tmp_path / "hub")
    assert cached == str(weights)


def test_tag_that_wants_quickgelu_gets_it(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "models--timm--vit_base_patch32_clip_224.openai"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "open_clip_model.safetensors").write_bytes(b"weights")
    assert resolve("ViT-B-32/openai", print).quick_gelu
    assert resolve("ViT-B-32/openai", print).quick_gelu  # and when remembered


def test_a_folder_may_have_an_at_sign_in_its_path(vit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "me@home" / "vit"
    shutil.copytree(vit, folder)
    name = resolve(str(folder), print).name
    assert name == canonical(name) == resolve(name, print).name == str(folder)
    assert architecture_of(name) is None
    assert own_tokenizer(name) is None
    (folder / "tokenizer.json").write_text("{}")
    assert own_tokenizer(name) is not None


@pytest.mark.parametrize("name", ["x" * 300, f"ViT-B-32@/{'x' * 300}/w.pt"])
def test_a_tokenizer_that_cannot_be_looked_for_is_none(name: str) -> None:
    assert own_tokenizer(name) is None


def test_names_on_cards_hold_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vit: Path
) -> None:
    a_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert resolve("ViT-B-32@weights.pt", print).name == f"ViT-B-32@{tmp_path}/weights.pt"
    assert canonical("ViT-B/32@weights.pt") == f"ViT-B-32@{tmp_path}/weights.pt"
    monkeypatch.chdir(vit.parent)
    assert resolve("vit", print).name == canonical("vit") == str(vit)


def test_bare_siglip_checkpoint_is_prepared_as_all_siglips_are(tmp_path: Path) -> None:
    preprocessing = resolve(f"ViT-B-16-SigLIP@{a_file(tmp_path)}", print).preprocessing
    assert (preprocessing.resize_mode, preprocessing.mean) == ("squash", (0.5, 0.5, 0.5))


def test_configuration_beside_a_checkpoint_is_followed(tmp_path: Path, vit: Path) -> None:
    config = json.loads((vit / "open_clip_config.json").read_text())
    config["preprocess_cfg"] = {"resize_mode": "longest", "fill_color": 7}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    preprocessing = resolve(f"ViT-B-32@{a_file(tmp_path)}", print).preprocessing
    assert (preprocessing.resize_mode, preprocessing.fill, preprocessing.height) == ("longest", 7, 224)


@pytest.mark.parametrize("architecture", ["ViT-B-32", "RN50", "ViT-B-16-SigLIP-384", "MobileCLIP2-S0"])
def test_preprocessing_is_what_open_clip_attaches_to_the_model(architecture: str, tmp_path: Path) -> None:
    """Of every published tag, without building the model: its configuration and table entry say all."""
    from open_clip.pretrained import get_pretrained_cfg
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    preprocessing = resolve(f"{architecture}@{a_file(tmp_path)}", print).preprocessing
    tag = next(iter(published_table()[architecture]))
    merged = merge_preprocess_dict(PreprocessCfg(), get_pretrained_cfg(architecture, tag))
    assert preprocessing.mean == tuple(merged["mean"])
    assert preprocessing.std == tuple(merged["std"])
    assert (preprocessing.interpolation, preprocessing.resize_mode) == (
        merged["interpolation"],
        merged["resize_mode"],
    )


def prepared_by(folder: Path, transform: Any) -> Preprocessing:
    """Resolve a folder's model whose configuration says this of its preprocessing."""
    config = json.loads((folder / "open_clip_config.json").read_text()) | {"preprocess_cfg": transform}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return resolve(str(folder), print).preprocessing


@pytest.mark.parametrize(
    "transform",
    [
        None,
        {"resize_mode": None, "interpolation": None, "mean": None, "std": None, "fill_color": None},
        {"mean": 0.5, "std": 0.25},
        {"mean": 0, "std": []},
        {"resize_mode": "longest", "fill_color": [7, 7, 7]},
    ],
)
def test_preprocessing_that_tells_little_is_open_clips(vit: Path, tmp_path: Path, transform: Any) -> None:
    from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict

    found = prepared_by(Path(shutil.copytree(vit, tmp_path / "vit")), transform)
    theirs = PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(size=64), transform))
    standardise = image_transform_v2(theirs, is_train=False).transforms[-1]
    assert (found.mean, found.std) == (tuple(standardise.mean), tuple(standardise.std))
    assert (found.resize_mode, found.interpolation) == (theirs.resize_mode, theirs.interpolation)
    assert [found.fill] * 3 == (theirs.fill_color or [0] * 3)


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (["shortest"], "preprocess_cfg is ['shortest']"),
        ({"resize_mode": "crop"}, "resize_mode is 'crop'"),
        ({"fill_color": [1, 2, 3]}, "fill_color is [1, 2, 3]"),
        ({"mean": "grey"}, "mean is 'grey'"),
        ({"std": [0.5, 0.5]}, "std is [0.5, 0.5]"),
        ({"std": [0.5, 0.5, 0]}, "std is [0.5, 0.5, 0]"),
    ],
)
def test_preprocessing_that_cannot_be_done_is_told(
    vit: Path, tmp_path: Path, transform: Any, said: str
) -> None:
    folder = Path(shutil.copytree(vit, tmp_path / "vit"))
    with pytest.raises(EncoderUnknown, match=re.escape(said)):
        prepared_by(folder, transform)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that may not be looked into."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    with ordinary_user():
        yield folder
    folder.chmod(0o700)


@pytest.mark.parametrize("look_up", [check_name, lambda name: load_encoder(name, device="cpu")])
@pytest.mark.parametrize("name", ["{}", "{}/model", "ViT-B-32@{}/weights.pt"])
def test_a_place_that_may_not_be_looked_into_is_told(
    closed: Path, name: str, look_up: Callable[[str], object]
) -> None:
    with pytest.raises(EncoderUnknown, match="Permission denied"):
        look_up(name.format(closed))


@pytest.mark.parametrize("look_up", [check_name, lambda name: load_encoder(name, device="cpu")])
@pytest.mark.parametrize(
    "name", ["x" * 300, "/" + "x" * 300, f"ViT-B-32@{'x' * 300}.pt", "x\0y", "ViT-B-32@x\0y.pt"]
)
def test_a_name_that_can_be_no_path_is_unknown(name: str, look_up: Callable[[str], object]) -> None:
    with pytest.raises(EncoderUnknown):
        look_up(name)


def test_a_path_that_cannot_be_looked_up_is_canonical_as_it_is(closed: Path) -> None:
    names = [f"ViT-B-32@{closed}/weights.pt", "x" * 300]
    assert [canonical(name) for name in names] == names


def test_weights_that_may_not_be_read_are_told(vit: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(vit, tmp_path / "vit"))
    (folder / "open_clip_model.safetensors").chmod(0)
    with ordinary_user(), pytest.raises(WeightsUnavailable, match="Permission denied"):
        resolve(str(folder), print)


class _Rogue:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("rogue-was-here",)


def test_checkpoint_that_wants_to_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rogue.pt").write_bytes(pickle.dumps({"state_dict": _Rogue()}))
    for runtime in ("torch", "auto"):
        with pytest.raises(EncoderError, match="refused"):
            load_encoder("ViT-B-32@rogue.pt", runtime=runtime, device="cpu")
    assert not (tmp_path / "rogue-was-here").exists()


def test_checkpoint_of_another_architecture_is_refused_in_one_line(vit: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be built") as caught:
        load_encoder(f"RN50@{vit}/open_clip_model.safetensors", device="cpu")
    assert "\n" not in str(caught.value)


def test_architectures_are_open_clips() -> None:
    with quiet_libraries():
        import open_clip

        assert architectures() == set(open_clip.list_models())
        assert open_clip_folder() == Path(open_clip.__file__).parent


def test_changed_weights_get_another_hash(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    before = weights_hash(path)
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(1, 1))
    assert weights_hash(path) != before


@pytest.mark.parametrize("name", ["builtin", "ViT-B/32/openai"])
def test_a_name_that_can_be_had_passes_and_fetches_nothing(name: str) -> None:
    check_name(name)  # away_from_home forbids the network


def test_a_folder_with_a_model_passes(vit: Path) -> None:
    check_name(str(vit))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("clip", "neither a folder nor a model"),
        ("ViT-B-32/nonsense", "has no weights 'nonsense'"),
        ("ViT-B-32@gone.pt", "there is no file"),
        ("ViT-B-99@gone.pt", "no architecture 'ViT-B-99'"),
    ],
)
def test_a_name_that_names_nothing_is_told_as_loading_would(name: str, said: str) -> None:
    with pytest.raises(EncoderUnknown, match=said):
        check_name(name)


def test_weights_are_not_fetched_when_that_is_not_wanted() -> None:
    with pytest.raises(WeightsUnavailable, match="not on this computer"):
        resolve("ViT-L-14/openai", print, fetch=False)
