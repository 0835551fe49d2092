"""Export: a model's two towers from torch to OpenVINO files in the cache folder, once per model.

Imports torch at the top: it is itself imported only when there is something to export.
"""

import errno
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .base import unit_rows
from .cache import towers_folder, whole_folder
from .hub import Notify
from .names import EXPORT_FORMAT, ModelFiles, own_tokenizer
from .openclip import ImageTower, TextTower, build_model, causal_tower
from .openvino import (
    IMAGE_TOWER,
    TEXT_TOWER,
    TOWERS_FILE,
    CannotRun,
    CompiledTower,
    Precision,
    discard_towers,
    fastest_precision,
    noted_files,
    openvino_core,
    openvino_version,
    read_towers,
)
from .quiet import quiet_libraries, without_modules
from .tokenizer import TextRules, TextTokenizer

EXAMPLES = ("a dog on the beach", "two people at a table, seen from above", "")
LEAST_COSINE = 0.999

Inputs: TypeAlias = tuple[NDArray[Any], ...]


def export_towers(files: ModelFiles, tokenizer: Path, rules: TextRules, notify: Notify) -> Path:
    """Export a model, check each tower against torch, and give the folder in the cache."""
    target = towers_folder() / files.export_key
    if read_towers(target) is not None:
        return target
    discard_towers(target)  # whatever is there is damaged
    notify(f"preparing {files.name} for this computer; this is done once")
    model = build_model(files)
    with whole_folder(target) as folder:
        _write_towers(model, files, tokenizer, rules, folder)
    _discard_former(target)
    return target


def _discard_former(target: Path) -> None:
    """Throw away what was exported of the same model before its tokenizer changed."""
    new = read_towers(target)
    for folder in target.parent.glob(f"{target.name.partition('-')[0]}-*"):
        former = read_towers(folder) if folder != target else None
        if new and former and (former.format, former.card) == (new.format, new.card):
            discard_towers(folder)


def _write_towers(
    model: nn.Module, files: ModelFiles, tokenizer: Path, rules: TextRules, folder: Path
) -> None:
    size = files.preprocessing
    pixels = np.random.default_rng(0).integers(0, 256, (3, size.height, size.width, 3), dtype=np.uint8)
    pixels[1:] //= np.array([[[[2]]], [[[3]]]], dtype=np.uint8)
    ids = TextTokenizer(tokenizer, rules).ids(EXAMPLES)
    images = ImageTower(model, size, torch.float32).eval()
    texts = TextTower(model).eval()
    precisions: list[Precision] = [
        _export(images, pixels, [-1, size.height, size.width, 3], folder / IMAGE_TOWER),
        _export(
            texts, ids, [-1, -1 if causal_tower(model) is not None else ids.shape[1]], folder / TEXT_TOWER
        ),
    ]
    if causal_tower(model) is None:
        rules = replace(rules, read_at=None)
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    precision: Precision = "float32" if "float32" in precisions else "bfloat16"
    description = {
        "format": EXPORT_FORMAT,
        "card": asdict(files.card(precision)),
        "rules": asdict(rules),
        "tokenizer": own_tokenizer(files.name),
        "openvino": openvino_version(),
        "files": noted_files(folder),
    }
    (folder / TOWERS_FILE).write_text(json.dumps(description, indent=1), encoding="utf-8")


def _export(tower: nn.Module, example: NDArray[Any], shape: list[int], file: Path) -> Precision:
    return save_exact(tower, (example,), (shape,), file)


def save_exact(
    tower: nn.Module, examples: Inputs, shapes: Sequence[list[int]], file: Path, checks: Sequence[Inputs] = ()
) -> Precision:
    """Write a module, with float16 weights unless that shows; tell how compactly it may be computed.

    shapes: of its inputs, -1 is any length; checks: further inputs that must give what torch gives.
    """
    expected = [(inputs, _run_torch(tower, inputs)) for inputs in (examples, *checks)]
    converted = convert(tower, examples, shapes)
    exact: Precision = "float32"
    precisions = dict.fromkeys((fastest_precision(), exact))
    for half_weights in (True, False):
        _save(converted, file, half_weights=half_weights)
        for precision in precisions:
            compiled = CompiledTower(file, precision=precision, keep_compiled=False)
            if all(_agrees(compiled, inputs, wanted) for inputs, wanted in expected):
                return precision
    raise CannotRun("the exported model disagrees with the original")


def _save(converted: Any, file: Path, *, half_weights: bool) -> None:
    """Write a converted model; raises OSError where the disk is full, which OpenVINO does not tell."""
    with without_modules(*HIDDEN_MODULES):
        import openvino
    try:
        openvino.save_model(converted, file, compress_to_fp16=half_weights)
    except RuntimeError as error:
        # What was written of it is gone by now.
        if shutil.disk_usage(file.parent).free >= _weights_bytes(converted) // (2 if half_weights else 1):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file.parent.parent)) from error


def _weights_bytes(converted: Any) -> int:
    return sum(part.get_byte_size() for part in converted.get_ops() if part.get_type_name() == "Constant")


def _agrees(compiled: CompiledTower, inputs: Inputs, expected: NDArray[np.float32]) -> bool:
    found, wanted = (unit_rows(each.reshape(-1, each.shape[-1])) for each in (compiled(*inputs), expected))
    return bool((found * wanted).sum(axis=1).min() >= LEAST_COSINE)


HIDDEN_MODULES = ("openvino_telemetry",)


def convert(tower: nn.Module, examples: Inputs, shapes: Sequence[list[int]]) -> Any:
    """Convert a torch module to an OpenVINO model whose inputs have these shapes; -1 is any length."""
    openvino_core()
    with quiet_libraries(), without_modules(*HIDDEN_MODULES):
        from openvino.tools.ovc import convert_model
    # Traced with two rows: a batch of one could be taken for a constant.
    batch = tuple(torch.from_numpy(each) for each in (examples[0][:2], *examples[1:]))
    fast_path = torch.backends.mha.get_fastpath_enabled()
    # torch's fused transformer layer cannot be converted.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with quiet_libraries(), torch.no_grad():
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                tower, batch, check_trace=False
            )
            converted = convert_model(traced, example_input=batch)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    converted.reshape(dict(zip(converted.inputs, shapes, strict=True)))
    return converted


@torch.inference_mode()
def _run_torch(tower: nn.Module, inputs: Inputs) -> NDArray[np.float32]:
    vectors: torch.Tensor = tower(*map(torch.from_numpy, inputs))
    return vectors.numpy()
