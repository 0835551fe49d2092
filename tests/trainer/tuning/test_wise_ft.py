"""Mixtures run from the weights before to those after, and the best of them is kept."""

import torch

from trainer.tuning.validation import Score
from trainer.tuning.wise_ft import ALPHAS, Blend, choose, mix, state_of

from .models import tiny_trainee


def scored(alpha: float, recall: float) -> Blend:
    return Blend(alpha, Score(recall, recall, recall, recall, 1.0, 10), None)


def test_half_way_is_the_mean_of_both() -> None:
    one, other = tiny_trainee(0).model, tiny_trainee(1).model
    before, after = state_of(one), state_of(other)
    mix(one, before, after, 0.5)
    for name, tensor in one.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (before[name] + after[name]) / 2)


def test_the_ends_are_the_weights_themselves() -> None:
    one, other = tiny_trainee(0).model, tiny_trainee(1).model
    before, after = state_of(one), state_of(other)
    for alpha, expected in ((ALPHAS[0], before), (ALPHAS[-1], after)):
        mix(one, before, after, alpha)
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(tensor, expected[name])


def test_the_best_mixture_is_chosen_and_of_equals_the_one_nearest_to_before() -> None:
    assert choose([scored(0.0, 0.2), scored(0.3, 0.5), scored(0.6, 0.5), scored(1.0, 0.4)]).alpha == 0.3
