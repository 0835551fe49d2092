"""The built-in model itself: its configuration, the untrained network, its vocabulary, and its figures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from indexer.encoders.builtin.network import register_image_network
from indexer.records import Vectors
from search.regions_texts import SENTENCES

from ..evaluate import class_vectors
from ..templates import prompts
from ..vocabulary import learn_vocabulary
from .batches import normalise
from .data import Data, at_side
from .learner import tokenize
from .measuring import Recall, text_to_image_recall, zero_shot_top_1
from .pairs import PairSet
from .rounds import SEED

BUILTIN_FOLDER = Path(__file__).parents[2] / "indexer" / "encoders" / "builtin"
CONFIG_FILE = BUILTIN_FOLDER / "open_clip_config.json"
TEMPLATES = SENTENCES  # six plain ones; more gained nothing measurable at the model's size


def model_config() -> dict[str, Any]:
    """Read the model's part of the open_clip configuration that ships with the weights."""
    config: dict[str, Any] = json.loads(CONFIG_FILE.read_text())["model_cfg"]
    return config


def make_tokenizer(data: Data) -> Tokenizer:
    """Learn the vocabulary from the training captions and class names."""
    text_config = model_config()["text_cfg"]
    texts = [text for pairs in data.learned_from for group in pairs.texts for text in group]
    return learn_vocabulary(
        texts, size=text_config["vocab_size"], context_length=text_config["context_length"]
    )


def make_model() -> Any:
    """Build the untrained model from its open_clip configuration."""
    import open_clip

    register_image_network()
    torch.manual_seed(SEED)
    config = model_config()
    model = open_clip.CustomTextCLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])
    _trim_padding(model.text)
    return model.to(memory_format=torch.channels_last)


def _trim_padding(text_tower: nn.Module) -> None:
    """Cut the columns that are padding in all rows: behind a causal mask they change nothing but the cost."""
    whole_mask: Any = text_tower.attn_mask

    def trim(tower: nn.Module, arguments: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        (tokens,) = arguments
        length = int(torch.count_nonzero(tokens, dim=1).max())
        tower.attn_mask = whole_mask[:length, :length]
        return (tokens[:, :length],)

    text_tower.register_forward_pre_hook(trim)


@torch.no_grad()
def encode_images(model: nn.Module, pairs: PairSet, batch_size: int = 250) -> Vectors:
    """Encode all images of a set at the shipped size; (n, dim) float32 unit rows."""
    side = int(model_config()["vision_cfg"]["image_size"])
    parts = [
        model.encode_image(normalise(at_side(pairs.pixels[start : start + batch_size], side)), normalize=True)  # type: ignore[operator]
        for start in range(0, len(pairs), batch_size)
    ]
    return torch.cat(parts).numpy()


@torch.no_grad()
def encode_texts(
    model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str], batch_size: int = 500
) -> Vectors:
    """Encode texts; (n, dim) float32 unit rows."""
    parts = []
    for start in range(0, len(texts), batch_size):
        tokens = tokenize(tokenizer, texts[start : start + batch_size])
        parts.append(model.encode_text(tokens, normalize=True))  # type: ignore[operator]
    return torch.cat(parts).numpy()


def measure(model: nn.Module, tokenizer: Tokenizer, data: Data) -> tuple[Recall, float]:
    """Measure text-to-image recall on Flickr8k dev, and zero-shot top-1 on the held-out class photos."""
    captions = [text for group in data.dev.texts for text in group]
    own = np.repeat(np.arange(len(data.dev)), [len(group) for group in data.dev.texts])
    recall = text_to_image_recall(
        encode_texts(model, tokenizer, captions), encode_images(model, data.dev), own
    )
    names = [synonyms[0] for synonyms in data.held_out.texts]
    classes = class_vectors(encode_texts(model, tokenizer, prompts(names, TEMPLATES)), len(TEMPLATES))
    return recall, zero_shot_top_1(encode_images(model, data.held_out), data.held_out.groups, classes)
