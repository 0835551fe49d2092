"""Patch vectors by OpenVINO: an exported patch module, run without torch and open_clip.

A folder of exported patches holds patches.xml with its weights, patches.json (how to use it) and, for vision
transformers, positions.npy: the position vectors of the grid they were learned at.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .base import PixelBatch
from .dense import PatchSettings, RawPatches, Variant
from .dense_grid import neighbourhood, positions_on
from .openvino import CompiledTower, Precision, TowersDamaged

PATCHES = "patches.xml"
PATCHES_FILE = "patches.json"
POSITIONS_FILE = "positions.npy"


@dataclass(frozen=True, slots=True)
class ExportedPatches:
    """What patches.json tells."""

    stride: int  # pixels a cell
    short_sides: tuple[int, ...]  # as PatchSettings has them
    window: int
    variant: Variant
    precision: Precision
    has_positions: bool  # a vision transformer

    def write(self, folder: Path) -> None:
        """Keep it beside the module."""
        (folder / PATCHES_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it back; raises TowersDamaged."""
        try:
            stored: Mapping[str, Any] = json.loads((folder / PATCHES_FILE).read_text(encoding="utf-8"))
            sides = tuple(int(side) for side in stored["short_sides"])
            return cls(**{**stored, "short_sides": sides, "variant": Variant(stored["variant"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TowersDamaged(folder, type(error).__name__) from error


class OpenVinoPatchTower:
    """Exported patches, compiled for this processor."""

    def __init__(self, folder: Path) -> None:
        told = ExportedPatches.read(folder)
        self.stride = told.stride
        self.precision: str = told.precision
        self.settings = PatchSettings(told.short_sides, told.window, told.variant)
        self._positions = _read_positions(folder) if told.has_positions else None
        self._compiled = CompiledTower(folder / PATCHES, precision=told.precision)

    def __call__(self, pixels: PixelBatch) -> RawPatches:
        """Run one batch."""
        rows, columns = (side // self.stride for side in pixels.shape[1:3])
        inputs: list[NDArray[Any]] = [np.ascontiguousarray(pixels)]
        if self._positions is not None:
            inputs += [positions_on(self._positions, rows, columns), neighbourhood(rows, columns)]
        cells = self._compiled(*inputs)
        return cells.reshape(len(pixels), rows, columns, -1)


def _read_positions(folder: Path) -> NDArray[np.float32]:
    try:
        return np.asarray(np.load(folder / POSITIONS_FILE, allow_pickle=False), np.float32)
    except (OSError, ValueError) as error:
        raise TowersDamaged(folder, type(error).__name__) from error
