"""PACL's compatibility of pictures and texts, from patch vectors.

Patch Aligned Contrastive Learning (Mukhoti et al. 2023, arXiv 2212.04994, equations 2 and 3): a text weighs
the patches of a picture by its cosines with them, the picture's vector for that text is the weighted sum, and
the score is the cosine of that sum with the text.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.records import Vectors

Patches: TypeAlias = NDArray[np.float32]  # (b, n, dim), each vector has length one

# The paper, as far as we could learn, divides by nothing inside the softmax; a tenth is sharper.
TEMPERATURE = 0.1


def compatibility(patches: Patches, texts: Vectors, temperature: float = TEMPERATURE) -> NDArray[np.float32]:
    """Score (b, n, dim) pictures with (c, dim) texts, each pair by its own weights; (b, c) cosines.

    The weighted sum v is never made: its product with the text is sum(a * s), and its length is the root of
    a G a with G the products of the patches with one another. So memory goes with b * c * n, not b * c * dim.
    """
    similar = patches @ texts.T  # (b, n, c)
    weights = _softmax(similar / temperature)
    products = patches @ patches.transpose(0, 2, 1)
    lengths = np.sqrt(np.maximum((weights * (products @ weights)).sum(axis=1), 1e-12))
    return np.asarray((weights * similar).sum(axis=1) / lengths, np.float32)


def _softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make weights of (b, n, c) values, over the patches."""
    risen = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(risen / risen.sum(axis=1, keepdims=True), np.float32)
