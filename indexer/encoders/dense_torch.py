"""Patch vectors by torch: open_clip's image towers, read before they pool.

Imports torch at the top: it is itself imported only when torch is wanted.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import NoPatchVectors
from .base import PixelBatch
from .dense import PatchSettings, RawPatches, Variant
from .dense_grid import neighbourhood, positions_on
from .names import ModelFiles
from .openclip import ImageTower, build_model


class TransformerPatches(nn.Module):
    """Patch vectors of an open_clip vision transformer, its last block changed."""

    def __init__(self, visual: Any, variant: Variant) -> None:
        super().__init__()
        self.visual = visual
        self.variant = variant
        self.stride = int(visual.patch_size[0])

    def forward(self, pixels: Tensor) -> Tensor:
        """Take (n, 3, height, width), standardised, to (n, rows, columns, dim)."""
        rows, columns = (side // self.stride for side in pixels.shape[2:])
        known = self.visual.positional_embedding.detach().float().cpu().numpy()
        grid = (positions_on(known, rows, columns), neighbourhood(rows, columns))
        cells = self.cells(pixels, *(torch.from_numpy(each).to(pixels) for each in grid))
        return cells.reshape(len(cells), rows, columns, -1)

    def cells(self, pixels: Tensor, positions: Tensor, nearness: Tensor) -> Tensor:
        """Take pixels, and what depends on the grid alone, to (n, rows * columns, dim)."""
        visual = self.visual
        patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
        start = visual.class_embedding.to(patches.dtype).expand(patches.shape[0], 1, -1)
        hidden = visual.ln_pre(torch.cat([start, patches], dim=1) + positions)
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            hidden = block(hidden)
        hidden = visual.ln_post(changed_block(last, hidden, self.variant, nearness))[:, 1:]
        cells: Tensor = hidden if visual.proj is None else hidden @ visual.proj
        return cells


def changed_block(block: Any, hidden: Tensor, variant: Variant, nearness: Tensor) -> Tensor:
    """Run the last block over (n, 1 + rows * columns, width) in one of the variants; see `Variant`.

    nearness: of `neighbourhood`, for NACLIP.
    """
    if variant is Variant.VANILLA:
        plain: Tensor = block(hidden)
        return plain
    queries, keys, values = _heads(block, block.ln_1(hidden))
    if variant is Variant.MASKCLIP:
        attended = values
    elif variant is Variant.SCLIP:
        attended = (_similarity(queries).softmax(-1) + _similarity(keys).softmax(-1)) @ values
    elif variant is Variant.CLEARCLIP:
        attended = _similarity(queries).softmax(-1) @ values
    else:
        attended = (_similarity(keys) + nearness).softmax(-1) @ values
    added: Tensor = block.ls_1(block.attn.out_proj(attended.transpose(1, 2).flatten(2)))
    if variant is not Variant.SCLIP:
        return added
    hidden = hidden + added
    widened: Tensor = block.ls_2(block.mlp(block.ln_2(hidden)))
    return hidden + widened


def _heads(block: Any, hidden: Tensor) -> tuple[Tensor, ...]:
    """Give queries, keys and values, each (n, heads, tokens, width of a head)."""
    attention = block.attn
    joined = functional.linear(hidden, attention.in_proj_weight, attention.in_proj_bias)
    shape = (*hidden.shape[:2], attention.num_heads, attention.head_dim)
    return tuple(part.reshape(shape).transpose(1, 2) for part in joined.chunk(3, dim=-1))


def _similarity(vectors: Tensor) -> Tensor:
    """Give the scaled products of all tokens with one another."""
    products: Tensor = vectors @ vectors.transpose(-2, -1)
    return products / math.sqrt(vectors.shape[-1])


class AttentionPoolPatches(nn.Module):
    """Patch vectors of an open_clip ResNet: its attention pool's value path, cell by cell.

    As in MaskCLIP (Zhou et al. 2022, arXiv 2112.01071, section 3.2).
    """

    stride = 32

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, pixels: Tensor) -> Tensor:
        """Take (n, 3, height, width), standardised, to (n, rows, columns, dim)."""
        visual = self.visual
        hidden = visual.stem(pixels)
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            hidden = layer(hidden)
        pool = visual.attnpool
        cells: Tensor = pool.c_proj(pool.v_proj(hidden.permute(0, 2, 3, 1)))
        return cells


class AveragePoolPatches(nn.Module):
    """Patch vectors of a convolutional network that averages its last map: each cell read as a picture."""

    def __init__(self, visual: Any, stride: int) -> None:
        super().__init__()
        self.visual = visual
        self.stride = stride

    def forward(self, pixels: Tensor) -> Tensor:
        """Take (n, 3, height, width), standardised, to (n, rows, columns, dim)."""
        features = self.visual.trunk.forward_features(pixels)
        count, channels, rows, columns = features.shape
        cells = features.permute(0, 2, 3, 1).reshape(-1, channels, 1, 1)
        vectors: Tensor = self.visual.head(self.visual.trunk.forward_head(cells))
        return vectors.reshape(count, rows, columns, -1)


def patch_module(model: Any, name: str, variant: Variant) -> nn.Module:
    """Choose how a model's patches are read; raises NoPatchVectors."""
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    visual = model.visual
    if isinstance(visual, VisionTransformer):
        last: Any = visual.transformer.resblocks[-1]
        if visual.attn_pool is not None:
            raise NoPatchVectors(name, "it pools its patches by attention of its own")
        if type(last) is not ResidualAttentionBlock or not isinstance(last.attn, nn.MultiheadAttention):
            raise NoPatchVectors(name, "its last block is of a kind that cannot be changed")
        return TransformerPatches(visual, variant)
    if isinstance(visual, ModifiedResNet):
        return AttentionPoolPatches(visual)
    if isinstance(visual, TimmModel):
        return _timm_patches(visual, name)
    raise NoPatchVectors(name, f"its image tower ({type(visual).__name__}) is of an unknown kind")


def _timm_patches(visual: Any, name: str) -> nn.Module:
    from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d

    pools = [part for part in visual.trunk.modules() if isinstance(part, SelectAdaptivePool2d)]
    if "pool" in dict(visual.head.named_children()) or [pool.pool_type for pool in pools] != ["avg"]:
        raise NoPatchVectors(name, "it pools its patches by attention, as SigLIP does")
    reduction = visual.trunk.feature_info[-1]["reduction"]
    return AveragePoolPatches(visual, int(reduction))


def usual_settings(module: nn.Module, input_side: int, variant: Variant) -> PatchSettings:
    """Give the settings for a kind of tower whose input has this side, in pixels."""
    if isinstance(module, AveragePoolPatches):
        # Measured with the built-in model on half of the region photos: pointing about .18 at any one of
        # these, .22 with all three; larger ones or finer grids gained nothing beyond noise (.02).
        sides = (input_side, 2 * input_side, 7 * input_side // 2)
        return PatchSettings(sides, window=4 * sides[-1], variant=variant)
    # NACLIP's 336 px for 16 px patches; 32 px patches need more for a grid as fine.
    side = 2 * input_side if patch_stride(module) > 16 else 3 * input_side // 2
    return PatchSettings((side,), window=2 * side, variant=variant)


def patch_stride(module: nn.Module) -> int:
    """Give the side of a patch module's cells in pixels."""
    return int(module.stride)  # type: ignore[arg-type]


class TorchPatchTower:
    """A patch module with its pixels' standardisation, on a device."""

    def __init__(self, files: ModelFiles, device: str, variant: Variant = Variant.NACLIP) -> None:
        self._device = torch.device(device)
        self._dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        self.precision = "float16" if self._device.type == "cuda" else "float32"
        model = build_model(files, "fp16" if self._device.type == "cuda" else "fp32", device)
        self._module = patch_module(model, files.name, variant)
        self._pixels = ImageTower(model, files.preprocessing, self._dtype).to(self._device).eval()
        self.stride = patch_stride(self._module)
        self.settings = usual_settings(self._module, min(files.preprocessing.height, 256), variant)

    @torch.inference_mode()
    def __call__(self, pixels: PixelBatch) -> RawPatches:
        """Run one batch."""
        batch = torch.from_numpy(np.array(pixels)).to(self._device)
        vectors: Tensor = self._module(self._pixels.standardised(batch))
        return vectors.float().cpu().numpy()
