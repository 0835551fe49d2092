"""Small random models of the kinds that matter, as folders in open_clip's local form."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from indexer.encoders.names import BUILTIN_FOLDER, CONFIG_FILE, WEIGHTS_FILES
from indexer.encoders.quiet import quiet_libraries

WORDS = ("a photo of a small dog on the beach", "two red buses in a busy street", "snow on a mountain")

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}

VIT = {
    "embed_dim": 48,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": TEXT,
}
RESNET = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
    "text_cfg": TEXT,
}
SIGLIP = {
    "embed_dim": 64,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 160,
        "timm_model_name": "test_vit",
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    },
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 400,
        "hf_tokenizer_name": "nobody/no-such-tokenizer",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": 64,
        "heads": 2,
        "layers": 2,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
    },
}
CLIP_TRANSFORM = {"interpolation": "bicubic", "resize_mode": "shortest"}
SIGLIP_TRANSFORM = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "squash",
}


def write_model(folder: Path, model: dict[str, Any], transform: dict[str, Any], *, seed: int = 0) -> Path:
    """Write a random model in open_clip's local form."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": model, "preprocess_cfg": transform}
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    write_random_weights(folder, seed=seed)
    return folder


def write_builtin(folder: Path, *, seed: int = 0) -> Path:
    """Write the built-in model with random weights and a small vocabulary."""
    folder.mkdir(parents=True)
    (folder / CONFIG_FILE).write_bytes((BUILTIN_FOLDER / CONFIG_FILE).read_bytes())
    write_vocabulary(folder, WORDS, size=400, context_length=24)
    write_random_weights(folder, seed=seed, half=True)
    return folder


def write_vocabulary(folder: Path, texts: Iterable[str], *, size: int, context_length: int) -> None:
    """Write a learned tokenizer.json."""
    from trainer.vocabulary import learn_vocabulary

    tokenizer = learn_vocabulary(texts, size=size, context_length=context_length)
    tokenizer.save(str(folder / "tokenizer.json"))


def write_random_weights(folder: Path, *, seed: int, half: bool = False) -> None:
    """Write the weights of an untrained model beside its configuration."""
    import torch
    from safetensors.torch import save_file

    tensors = build(f"local-dir:{folder}", seed=seed).state_dict()
    if half:
        tensors = {name: _half(tensor) for name, tensor in tensors.items()}
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(tensors, folder / WEIGHTS_FILES[0])
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())


def build(name: str, *, seed: int = 0) -> Any:
    """Build an untrained open_clip model."""
    with quiet_libraries():
        import open_clip
        import torch

        from indexer.encoders.builtin.network import register_image_network

        register_image_network()
        torch.manual_seed(seed)
        return open_clip.create_model(name, load_weights=False, pretrained_text=False).eval()


def _half(tensor: Any) -> Any:
    return tensor.half() if tensor.is_floating_point() else tensor
