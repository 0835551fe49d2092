"""PACL: a head that aligns patches with texts, learned over frozen encoders (arXiv 2212.04994).

Every pair of a picture and a caption is pooled with the weights of that very caption. Pooling each picture
once, by its own caption, lets the caption's meaning leak into the picture's vector: unrelated random data is
then "recognised" four times in five, as a test of ours shows.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from indexer.encoders.patch_head import PatchHead
from indexer.records import Vectors

from .losses import weighted_contrastive

WEIGHTS_MAX = 20_000_000  # weights of patches held at a time: 80 MB, a few times over


class PatchEmbedder(nn.Module):
    """A residual head over patch vectors: two linear layers with a ReLU, beside a linear skip.

    As in the paper's appendix A.1. Where the patches are projected into the text space already, the skip
    begins as the identity and the layers at zero, so that learning starts from the training-free map.
    """

    def __init__(self, patch_dimension: int, text_dimension: int, hidden: int | None = None) -> None:
        super().__init__()
        self.hidden = hidden or text_dimension
        self.skip = nn.Linear(patch_dimension, text_dimension)
        self.layers = nn.Sequential(
            nn.Linear(patch_dimension, self.hidden), nn.ReLU(), nn.Linear(self.hidden, text_dimension)
        )
        if patch_dimension == text_dimension:
            nn.init.eye_(self.skip.weight)
            nn.init.zeros_(self.skip.bias)
            for parameter in self.layers[2].parameters():
                nn.init.zeros_(parameter)

    def forward(self, patches: Tensor) -> Tensor:
        """Take (..., patch_dimension) to (..., text_dimension) unit vectors."""
        return functional.normalize(self.skip(patches) + self.layers(patches), dim=-1)


def embedder_of(head: PatchHead) -> PatchEmbedder:
    """Make a stored head one that torch runs."""
    card = head.card
    embedder = PatchEmbedder(card.patch_dimension, card.text_dimension, card.hidden)
    embedder.load_state_dict({name: torch.from_numpy(values) for name, values in head.weights.items()})
    return embedder.eval()


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
    positive: Tensor,
    *,
    scale: float | Tensor,
    temperature: float | Tensor,
) -> Tensor:
    """Give the symmetric contrastive loss over the compatibilities of all pairs.

    patches: (b, n, dim) and texts: (c, dim), unit vectors; positive: (b, c), above zero where image and text
    belong together; scale: the inverse temperature of the contrast; temperature: that inside the softmax over
    patches.
    """
    return weighted_contrastive(scale * compatibility(patches, texts, temperature), positive)


@torch.no_grad()
def scores_of_all(
    patches: NDArray[Any],
    texts: Vectors,
    temperature: float,
    *,
    head: PatchEmbedder | None = None,
    device: torch.device | str = "cpu",
) -> NDArray[np.float32]:
    """Score many pictures with many texts, in blocks of bounded memory; (c, b) compatibilities.

    patches: (b, n, dim) unit vectors of any float type, which may lie on disk; texts: (c, dim); head: what
    the patches go through first.
    """
    wanted = torch.from_numpy(texts).to(device)
    scores = np.empty((len(texts), len(patches)), np.float32)
    step = max(1, WEIGHTS_MAX // max(1, len(texts) * patches.shape[1]))
    for start in range(0, len(patches), step):
        block = torch.from_numpy(np.asarray(patches[start : start + step], np.float32)).to(device)
        found = compatibility(head(block) if head else block, wanted, temperature)
        scores[:, start : start + step] = found.T.cpu().numpy()
    return scores
