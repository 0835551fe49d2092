import json
import os
import pickle
import shutil
from pathlib import Path

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
