"""Exporting patches: a model's patch module from torch to OpenVINO files in the cache folder, once per model.

Imports torch at the top: it is itself imported only when there is something to export.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .base import PixelBatch
from .cache import whole_folder
from .dense import Variant
from .dense_grid import neighbourhood, positions_on
from .dense_openvino import PATCHES, POSITIONS_FILE, ExportedPatches
from .dense_torch import TransformerPatches, patch_module, patch_stride, usual_settings
from .export import Inputs, save_exact
from .names import ModelFiles
from .openclip import ImageTower, build_model


class _Flat(nn.Module):
    """A patch module from uint8 pixels to (n, rows * columns, dim); grids come from outside."""

    def __init__(self, module: Any, pixels: ImageTower) -> None:
        super().__init__()
        self.module, self.pixels = module, pixels

    def forward(self, pixels: Tensor, *grid: Tensor) -> Tensor:
        standardised = self.pixels.standardised(pixels)
        if grid:
            transformed: Tensor = self.module.cells(standardised, *grid)
            return transformed
        cells: Tensor = self.module(standardised)
        return cells.flatten(1, 2)


def export_patches(files: ModelFiles, variant: Variant, target: Path) -> None:
    """Write the patch module of a model, checked against torch on two grids; raises NoPatchVectors."""
    model = build_model(files)
    module = patch_module(model, files.name, variant)
    flat = _Flat(module, ImageTower(model, files.preprocessing, torch.float32)).eval()
    stride = patch_stride(module)
    settings = usual_settings(module, min(files.preprocessing.height, 256), variant)
    cells = max(settings.short_sides) // stride
    with whole_folder(target) as folder, torch.no_grad():
        known = None
        shapes = [[-1, -1, -1, 3]]
        if isinstance(module, TransformerPatches):
            known = module.visual.positional_embedding.float().numpy()
            np.save(folder / POSITIONS_FILE, known)
            shapes += [[-1, known.shape[1]], [-1, -1]]
        examples, check = (
            _inputs(stride, rows, columns, known) for rows, columns in ((cells, cells + 1), (2, 3))
        )
        precision = save_exact(flat, examples, shapes, folder / PATCHES, (check,))
        ExportedPatches(
            stride, settings.short_sides, settings.window, variant, precision, known is not None
        ).write(folder)


def _inputs(stride: int, rows: int, columns: int, known: Any) -> Inputs:
    pixels: PixelBatch = np.random.default_rng(0).integers(
        0, 256, (2, rows * stride, columns * stride, 3), dtype=np.uint8
    )
    if known is None:
        return (pixels,)
    return pixels, positions_on(known, rows, columns), neighbourhood(rows, columns)
