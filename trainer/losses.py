"""Losses: contrastive learning in which several images and several texts may belong together."""

import math

import torch
from torch import Tensor
from torch.nn import functional

LOG_SCALE_MAX = math.log(100)  # as CLIP has it (arXiv 2103.00020, section 2.5)


def multi_positive_contrastive(
    image_vectors: Tensor, text_vectors: Tensor, image_keys: Tensor, text_keys: Tensor, scale: Tensor
) -> Tensor:
    """Average the two directions of InfoNCE, each row's target spread evenly over all its positives.

    image_vectors: (n, dim) unit rows; text_vectors: (m, dim) unit rows; keys: (n,) and (m,) integers, equal
    where image and text belong together; scale: the inverse temperature, a scalar. A text without an image
    in the batch serves as a negative only. With unique keys and n = m this is CLIP's loss
    (Radford et al. 2021, arXiv 2103.00020, figure 3); the even spread over positives is that of supervised
    contrastive learning (Khosla et al. 2020, arXiv 2004.11362, equation 2).
    """
    logits = scale * image_vectors @ text_vectors.T
    return weighted_contrastive(logits, belonging(image_keys, text_keys))


def belonging(image_keys: Tensor, text_keys: Tensor) -> Tensor:
    """Give (n, m) float32 weights: 1 where image and text have one key."""
    return (image_keys[:, None] == text_keys[None, :]).float()


def weighted_contrastive(logits: Tensor, positive: Tensor) -> Tensor:
    """Average the two directions of InfoNCE over (n, m) logits; positive: (n, m) weights, not negative."""
    return (spread_cross_entropy(logits, positive) + spread_cross_entropy(logits.T, positive.T)) / 2


def spread_cross_entropy(logits: Tensor, positive: Tensor) -> Tensor:
    """Average the cross entropy of (n, m) logits, each row's target spread by the weights in `positive`.

    positive: (n, m), not negative; rows without a positive do not count.
    """
    weights = positive.sum(dim=1)
    has_positive = weights > 0
    log_probabilities = functional.log_softmax(logits[has_positive], dim=1)
    targets = positive[has_positive] / weights[has_positive, None]
    return -torch.mean((targets * log_probabilities).sum(dim=1))


def sigmoid_contrastive(logits: Tensor, positive: Tensor) -> Tensor:
    """Give SigLIP's loss of (n, m) logits: every pair by itself is right or wrong, averaged over images.

    positive: (n, m), above zero where image and text belong together (Zhai et al. 2023, arXiv 2303.15343,
    equation 1, with any number of positives).
    """
    signs = torch.where(positive > 0, 1.0, -1.0)
    return -functional.logsigmoid(signs * logits).sum() / len(logits)
