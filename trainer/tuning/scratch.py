"""Scratch: configurations of models that begin with nothing, ready ones and the user's own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from indexer.encoders.names import BUILTIN_FOLDER, CONFIG_FILE, architecture_config, architectures
from indexer.errors import EncoderUnknown
from indexer.paths import home_expanded_or_kept

from .settings import LossName, Method, Settings, limits_broken

SMALL = "small"  # the shape of the built-in model
# Of these liteclip is that recipe, but for AdamW with a cosine and a warm-up in the place of plain Adam, and
# without dropout in the text tower, which open_clip's has no place for.
_FOLDER = Path(__file__).parent / "configurations"
_OF_TEXTS = {"vocab_size", "context_length"}  # by which a vocabulary is learned from the captions


def ready_names() -> list[str]:
    """Give the names of the configurations that come with the product."""
    return sorted([SMALL, *(path.stem for path in _FOLDER.glob("*.json"))])


def read_configuration(name: str) -> dict[str, Any]:
    """Read a configuration: a ready one, a JSON file, or one of open_clip's architectures.

    It has open_clip's `model_cfg`, and where there are any `preprocess_cfg` and `settings` (`Settings`) that
    suit it. Raises EncoderUnknown.
    """
    if name in architectures():
        return _of_architecture(name)
    try:
        config: dict[str, Any] = json.loads(_file(name).read_text(encoding="utf-8"))
        shape = config["model_cfg"]
        wanting = {"embed_dim", "vision_cfg", "text_cfg"} - shape.keys()
        wanting |= {key for key in ("vision_cfg", "text_cfg") if not isinstance(shape.get(key), dict)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        known = (
            f"; ready ones: {', '.join(ready_names())}; or one of open_clip's architectures, or a JSON file"
        )
        raise EncoderUnknown(name, f"no configuration to begin from{known}") from error
    if wanting:
        raise EncoderUnknown(name, f"its model_cfg lacks {', '.join(sorted(wanting))}")
    _check_towers(name, shape)
    if lacking := _OF_TEXTS - shape["text_cfg"].keys():
        raise EncoderUnknown(name, f"its text_cfg lacks {', '.join(sorted(lacking))}")
    _check_settings(name, config.get("settings", {}))
    return config


def canonical_configuration(name: str) -> str:
    """Give a configuration's name a form that holds from any working folder."""
    is_file = name not in ready_names() and name not in architectures()
    return str(_file(name).resolve()) if is_file else name


def asked_with_own(name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings of a configuration, and above them those that were asked for (not None)."""
    own = read_configuration(name).get("settings", {})
    return {**own, **{key: value for key, value in asked.items() if value is not None}}


def _file(name: str) -> Path:
    if name == SMALL:
        return BUILTIN_FOLDER / CONFIG_FILE
    return _FOLDER / f"{name}.json" if name in ready_names() else home_expanded_or_kept(Path(name))


def _check_towers(name: str, shape: Mapping[str, Any]) -> None:
    """Refuse what a contrast of images and texts alone does not train, or what comes with weights."""
    if "multimodal_cfg" in shape:
        raise EncoderUnknown(
            name, "it writes captions as well (multimodal_cfg), which is not trained here; take another"
        )
    if shape["text_cfg"].get("hf_model_name"):
        raise EncoderUnknown(
            name, "its text tower comes from the Hugging Face hub; choose another to begin with"
        )


def _check_settings(name: str, settings: object) -> None:
    usual = Settings(Method.SCRATCH).as_dict()
    del usual["method"]
    if not isinstance(settings, dict):
        raise EncoderUnknown(name, f"its settings are no JSON object of {', '.join(usual)}")
    if unknown := sorted(settings.keys() - usual.keys()):
        raise EncoderUnknown(name, f"its settings have {unknown[0]!r}; known are {', '.join(usual)}")
    if wrong := [key for key, value in settings.items() if not _is_like(value, usual[key])]:
        raise EncoderUnknown(name, f"its settings have {settings[wrong[0]]!r} for {wrong[0]!r}")
    for key, want in limits_broken(settings):
        raise EncoderUnknown(name, f"its settings have {settings[key]!r} for {key!r}, which must be {want}")


def _is_like(value: object, usual: object) -> bool:
    """Tell whether a value from JSON is of the usual one's kind; null stands for the usual one."""
    if value is None:
        return True
    if isinstance(usual, LossName):
        return value in [*LossName]
    if usual is None or type(usual) is int:
        return type(value) is int
    return isinstance(value, type(usual)) or (isinstance(usual, float) and type(value) is int)


def _of_architecture(name: str) -> dict[str, Any]:
    """Take open_clip's shape; the vocabulary will be our own, learned from the captions."""
    shape = architecture_config(name)
    _check_towers(name, shape)
    text = shape["text_cfg"]
    plain = {key: text[key] for key in ("width", "heads", "layers") if key in text}
    shape["text_cfg"] = plain | {
        "context_length": min(64, text.get("context_length", 64)),
        "vocab_size": 8000,
        "pool_type": "eos",
        "pad_id": 0,
        "eos_id": 1,
    }
    return {"model_cfg": shape | {"custom_text": True}, "settings": {}}
