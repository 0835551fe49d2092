"""Text files: where the tokenizer of a model comes from, and by what rules it is used."""

import contextlib
import errno
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import TemporaryFolderFull, WeightsUnavailable
from .hub import Notify, cached_file, fetch_first
from .names import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, ModelFiles, open_clip_folder
from .tokenizer import (
    CLIP_CONTEXT_LENGTH,
    TextRules,
    clip_tokenizer,
    hub_tokenizer_rules,
    is_clips_own,
)

CLIP_VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"
CLIP_VOCABULARY_SIZE = 49408


@contextlib.contextmanager
def text_files(files: ModelFiles, notify: Notify) -> Iterator[tuple[Path, TextRules]]:
    """Give a model's `tokenizer.json` and its rules; the file may be gone after the block."""
    text_config: dict[str, Any] = files.model_config["text_cfg"]
    beside = (files.folder or files.weights.parent) / TOKENIZER_FILE
    if text_config.get("hf_tokenizer_name"):
        yield _hub_tokenizer(files, text_config, beside, notify)
    elif files.folder is not None and beside.is_file() and not _is_clips_own(text_config, beside):
        yield beside, own_rules(text_config)
    else:
        with tempfile.TemporaryDirectory(prefix="sightline-") as folder:
            yield _clip_file(Path(folder), text_config), clip_rules(text_config)


def _is_clips_own(text_config: Mapping[str, Any], file: Path) -> bool:
    """Tell whether a tokenizer beside a model is CLIP's: the hub has it there, open_clip goes by its own."""
    if text_config.get("vocab_size", CLIP_VOCABULARY_SIZE) != CLIP_VOCABULARY_SIZE:
        return False
    try:
        return is_clips_own(file, open_clip_folder() / CLIP_VOCABULARY_FILE)
    except (ValueError, KeyError, TypeError):  # no tokenizer at all, which is told where it is used
        return False


def tokenizer_is_here(text_config: Mapping[str, Any], weights: Path) -> bool:
    """Tell whether the tokenizer of weights without a folder of their own can be had without a network."""
    repository = text_config.get("hf_tokenizer_name")
    if not repository or (weights.parent / TOKENIZER_FILE).is_file():
        return True
    return all(cached_file(str(repository), name) for name in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE))


def own_rules(text_config: dict[str, Any]) -> TextRules:
    """Give the rules of a `tokenizer.json` that came with its model and says all itself."""
    return TextRules(
        cleaning="none",
        context_length=int(text_config.get("context_length", CLIP_CONTEXT_LENGTH)),
        pad_id=int(text_config.get("pad_id", 0)),
        read_at=_read_at(text_config),
    )


def clip_rules(text_config: dict[str, Any]) -> TextRules:
    """Give the rules of CLIP's own tokenizer."""
    options = text_config.get("tokenizer_kwargs", {})
    return TextRules(
        cleaning=options.get("clean", "lower"),
        context_length=int(text_config.get("context_length", CLIP_CONTEXT_LENGTH)),
        pad_id=0,
        read_at=_read_at(text_config),
    )


def _read_at(text_config: dict[str, Any]) -> Any:
    """Tell where a causal tower reads; the text towers that see the whole context have no such place."""
    whole = ("no_causal_mask", "embed_cls", "use_pad_mask", "hf_model_name", "output_tokens")
    if any(text_config.get(key) for key in whole):
        return None
    pool = text_config.get("pool_type", "argmax")
    return "highest" if pool == "argmax" else text_config.get("eos_id", 2) if pool == "eos" else None


def _clip_file(folder: Path, text_config: dict[str, Any]) -> Path:
    length = int(text_config.get("context_length", CLIP_CONTEXT_LENGTH))
    file = folder / TOKENIZER_FILE
    content = clip_tokenizer(open_clip_folder() / CLIP_VOCABULARY_FILE, length).to_str(pretty=False)
    try:
        file.write_bytes(content.encode())
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise TemporaryFolderFull(folder.parent) from error
    return file


def _hub_tokenizer(
    files: ModelFiles, text_config: dict[str, Any], beside: Path, notify: Notify
) -> tuple[Path, TextRules]:
    """Take the tokenizer beside the weights, else that of the hub's repository."""
    if beside.is_file():
        file, config = beside, beside.parent / TOKENIZER_CONFIG_FILE
    else:
        file, config = _from_hub(files, str(text_config["hf_tokenizer_name"]), notify)
    return file, hub_tokenizer_rules(text_config, config if config.is_file() else None, file)


def _from_hub(files: ModelFiles, repository: str, notify: Notify) -> tuple[Path, Path]:
    try:
        found = []
        for name in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE):
            if (cached := cached_file(repository, name)) is None:
                notify(
                    f"fetching the tokenizer of {files.name} from the Hugging Face hub ({repository}), once"
                )
                cached = fetch_first(repository, (name,))
            found.append(cached)
    except OSError as error:
        raise WeightsUnavailable(
            files.name,
            f"its tokenizer comes from {repository}: {error}; "
            f"put {TOKENIZER_FILE} and {TOKENIZER_CONFIG_FILE} beside {files.weights.name}",
        ) from error
    return found[0], found[1]
