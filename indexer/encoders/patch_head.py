"""The patch head: a learned map of patch vectors, kept beside the encoder whose patches it was learned from.

`pacl_head.safetensors` holds the weights, `pacl_head.json` tells whose they are. What it computes is that of
PACL's patch embedder (Mukhoti et al. 2023, arXiv 2212.04994, appendix A.1); trainer/pacl.py learns it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import HeadUnfit
from .base import unit_rows
from .dense import PatchSettings, Variant
from .names import ModelFiles

HEAD_FILE = "pacl_head.safetensors"
HEAD_CARD_FILE = "pacl_head.json"
# As trainer/pacl.py names them: the linear skip, and two layers with a ReLU between them.
TENSORS = tuple(
    f"{layer}.{part}" for layer in ("skip", "layers.0", "layers.2") for part in ("weight", "bias")
)

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class HeadCard:
    """What a head belongs to, and how it came about."""

    weights_hash: str  # of the encoder
    encoder: str  # by name, for people
    patch_dimension: int
    text_dimension: int
    hidden: int
    temperature: float  # inside the softmax over patches
    scale: float  # the inverse temperature of the contrast between pairs
    short_sides: tuple[int, ...]  # pixels, at which pictures were looked at
    window: int  # pixels
    variant: Variant
    trained_on: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> PatchSettings:
        """Give the sizes that the head was learned at."""
        return PatchSettings(self.short_sides, self.window, self.variant)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what dataclasses.asdict gave; raises KeyError, TypeError or ValueError."""
        return cls(
            weights_hash=str(values["weights_hash"]),
            encoder=str(values["encoder"]),
            patch_dimension=int(values["patch_dimension"]),
            text_dimension=int(values["text_dimension"]),
            hidden=int(values["hidden"]),
            temperature=float(values["temperature"]),
            scale=float(values["scale"]),
            short_sides=tuple(int(side) for side in values["short_sides"]),
            window=int(values["window"]),
            variant=Variant(values["variant"]),
            trained_on=dict(values["trained_on"]),
        )


@dataclass(frozen=True, slots=True)
class PatchHead:
    """Takes patch vectors to vectors that match words better."""

    card: HeadCard
    weights: Weights  # by the names in TENSORS, float32

    def __call__(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take (..., patch_dimension) unit vectors to (..., text_dimension) unit vectors."""
        rows = patches.reshape(-1, self.card.patch_dimension)
        hidden = np.maximum(self._linear("layers.0", rows), 0)
        turned = unit_rows(self._linear("skip", rows) + self._linear("layers.2", hidden))
        return turned.reshape(*patches.shape[:-1], self.card.text_dimension)

    @property
    def digest(self) -> str:
        """Tell its weights from another's in a few characters."""
        digest = hashlib.sha256()
        for name in TENSORS:
            digest.update(np.ascontiguousarray(self.weights[name]).tobytes())
        return digest.hexdigest()[:12]

    def _linear(self, layer: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows @ self.weights[f"{layer}.weight"].T + self.weights[f"{layer}.bias"]

    @property
    def notice(self) -> str:
        """Tell in one line that it is used."""
        images = self.card.trained_on.get("images")
        learned = f" (from {images:,} images)" if isinstance(images, int) else ""
        return f"patches go through the PACL head of the model{learned}; `highlight --no-head` does without"


def load_head(files: ModelFiles) -> PatchHead | None:
    """Read the head beside a model, None where there is none; raises HeadUnfit."""
    if files.folder is None or not (files.folder / HEAD_CARD_FILE).is_file():
        return None
    card = _read_card(files.folder / HEAD_CARD_FILE)
    if card.weights_hash not in (files.weights_hash, files.former_hash):
        raise HeadUnfit(files.folder / HEAD_CARD_FILE, f"belongs to other weights than those of {files.name}")
    return PatchHead(card, _read_weights(files.folder / HEAD_FILE, card))


def _read_card(file: Path) -> HeadCard:
    try:
        return HeadCard.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HeadUnfit(file, f"tells of no head ({type(error).__name__}: {error})") from error


def _read_weights(file: Path, card: HeadCard) -> Weights:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        stored = load_file(file)
    except (OSError, SafetensorError) as error:
        raise HeadUnfit(file, f"cannot be read ({type(error).__name__})") from error
    patch, text, hidden = card.patch_dimension, card.text_dimension, card.hidden
    shapes = ((text, patch), (text,), (hidden, patch), (hidden,), (text, hidden), (text,))
    if {name: stored[name].shape for name in stored} != dict(zip(TENSORS, shapes, strict=True)):
        raise HeadUnfit(file, "its weights are not those that its card tells of")
    if not all(np.isfinite(tensor).all() for tensor in stored.values()):
        raise HeadUnfit(file, "holds weights that are no numbers")
    return {name: np.asarray(tensor, np.float32) for name, tensor in stored.items()}
