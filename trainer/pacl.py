"""PACL: a head that aligns patches with texts, learned over frozen encoders (arXiv 2212.04994).

Every pair of a picture and a caption is pooled with the weights of that very caption. Pooling each picture
once, by its own caption, lets the caption's meaning leak into the picture's vector: unrelated random data is
then "recognised" four times in five, as a test of ours shows.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .losses import weighted_contrastive


class PatchEmbedder(nn.Module):
    """A residual head over patch vectors: two linear layers with a ReLU, beside a linear skip.

    As in the paper's appendix A.1. Where the patches are projected into the text space already, the skip
    begins as the identity and the layers at zero, so that learning starts from the training-free map.
    """

    def __init__(self, patch_dimension: int, text_dimension: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or text_dimension
        self.skip = nn.Linear(patch_dimension, text_dimension)
        self.layers = nn.Sequential(
            nn.Linear(patch_dimension, hidden), nn.ReLU(), nn.Linear(hidden, text_dimension)
        )
        if patch_dimension == text_dimension:
            nn.init.eye_(self.skip.weight)
            nn.init.zeros_(self.skip.bias)
            for parameter in self.layers[2].parameters():
                nn.init.zeros_(parameter)

    def forward(self, patches: Tensor) -> Tensor:
        """Take (..., patch_dimension) to (..., text_dimension) unit vectors."""
        return functional.normalize(self.skip(patches) + self.layers(patches), dim=-1)


def compatibility(patches: Tensor, texts: Tensor, temperature: float | Tensor) -> Tensor:
    """Score (b, n, dim) unit patches with (c, dim) unit texts, each pair by its own weights; (b, c) cosines.

    The equations 2 and 3 of the paper in the form of search/regions_pacl.py: memory b * c * n.
    """
    similar = torch.einsum("bnd,cd->bcn", patches, texts)
    weights = torch.softmax(similar / temperature, dim=-1)
    products = patches @ patches.transpose(1, 2)
    lengths = ((weights @ products) * weights).sum(dim=-1).clamp_min(1e-12).sqrt()
    scores: Tensor = (weights * similar).sum(dim=-1) / lengths
    return scores


def pacl_loss(
    patches: Tensor,
    texts: Tensor,
    image_keys: Tensor,
    text_keys: Tensor,
    *,
    scale: Tensor,
    temperature: float | Tensor,
) -> Tensor:
    """Give the symmetric contrastive loss over the compatibilities of all pairs.

    patches: (b, n, dim) and texts: (c, dim), unit vectors; keys: (b,) and (c,) integers, equal where image
    and text belong together; scale: the inverse temperature of the contrast, a scalar; temperature: that
    inside the softmax over patches.
    """
    scores = compatibility(patches, texts, temperature)
    positive = (image_keys[:, None] == text_keys[None, :]).to(scores.dtype)
    return weighted_contrastive(scale * scores, positive)
