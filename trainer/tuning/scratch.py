"""Scratch: configurations of models that begin with nothing, ready ones and the user's own."""

import json
from pathlib import Path
from typing import Any

from indexer.encoders.names import BUILTIN_FOLDER, CONFIG_FILE, architecture_config, architectures
from indexer.errors import EncoderUnknown

from .settings import LossName, Method, Settings

SMALL = "small"  # the shape of the built-in model
_FOLDER = Path(__file__).parent / "configurations"


def ready_names() -> list[str]:
    """Give the names of the configurations that come with the product."""
    return sorted([SMALL, *(path.stem for path in _FOLDER.glob("*.json"))])


def read_configuration(name: str) -> dict[str, Any]:
    """Read a configuration: a ready one, a JSON file, or one of open_clip's architectures.

    It has open_clip's `model_cfg`, and where there are any `preprocess_cfg` and `settings` (`Settings`) that
    suit it. Raises EncoderUnknown.
    """
    file = _FOLDER / f"{name}.json" if name in ready_names() else Path(name)
    if name == SMALL:
        file = BUILTIN_FOLDER / CONFIG_FILE
    if name in architectures():
        return _of_architecture(name)
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        shape = config["model_cfg"]
        wanting = {"embed_dim", "vision_cfg", "text_cfg"} - shape.keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        known = (
            f"; ready ones: {', '.join(ready_names())}; or one of open_clip's architectures, or a JSON file"
        )
        raise EncoderUnknown(name, f"no configuration to begin from{known}") from error
    if wanting:
        raise EncoderUnknown(name, f"its model_cfg lacks {', '.join(sorted(wanting))}")
    _check_settings(name, config.get("settings", {}))
    return config


def _check_settings(name: str, settings: object) -> None:
    usual = Settings(Method.SCRATCH).as_dict()
    del usual["method"]
    if not isinstance(settings, dict):
        raise EncoderUnknown(name, f"its settings are no JSON object of {', '.join(usual)}")
    if unknown := sorted(settings.keys() - usual.keys()):
        raise EncoderUnknown(name, f"its settings have {unknown[0]!r}; known are {', '.join(usual)}")
    if wrong := [key for key, value in settings.items() if not _is_like(value, usual[key])]:
        raise EncoderUnknown(name, f"its settings have {settings[wrong[0]]!r} for {wrong[0]!r}")


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
    text = shape["text_cfg"]
    if "hf_model_name" in text:
        raise EncoderUnknown(
            name, "its text tower comes from the Hugging Face hub; choose another to begin with"
        )
    plain = {key: text[key] for key in ("width", "heads", "layers") if key in text}
    shape["text_cfg"] = plain | {
        "context_length": min(64, text.get("context_length", 64)),
        "vocab_size": 8000,
        "pool_type": "eos",
        "pad_id": 0,
        "eos_id": 1,
    }
    return {"model_cfg": shape | {"custom_text": True}, "settings": {}}
