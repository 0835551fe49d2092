"""Low-rank additions begin at nothing, learn alone, and are merged without a trace."""

import torch

from trainer.tuning.lora import add_low_rank, merge

from .models import random_pixels, tiny_trainee


def test_additions_change_nothing_at_first() -> None:
    trainee = tiny_trainee().eval()
    before = trainee.encode_pixels(random_pixels(3)).detach()
    add_low_rank(trainee.model, 4)
    torch.testing.assert_close(trainee.encode_pixels(random_pixels(3)).detach(), before)


def test_only_the_additions_learn() -> None:
    trainee = tiny_trainee()
    learning = add_low_rank(trainee.model, 4)
    assert {id(p) for p in trainee.model.parameters() if p.requires_grad} == {id(p) for p in learning}


def test_both_towers_have_additions() -> None:
    trainee = tiny_trainee()
    add_low_rank(trainee.model, 4)
    names = [name for name, p in trainee.model.named_parameters() if p.requires_grad]
    assert any("visual" in name and "in_proj" in name for name in names)
    assert any("text" in name and "in_proj" in name for name in names)


def test_merging_keeps_what_the_additions_say() -> None:
    trainee = tiny_trainee().eval()
    names = sorted(trainee.model.state_dict())
    for parameter in add_low_rank(trainee.model, 4):
        torch.nn.init.normal_(parameter, std=0.1)
    adapted = trainee.encode(trainee.inputs(random_pixels(3), ["a red circle", "left", "blue"]))
    merge(trainee.model)
    merged = trainee.encode(trainee.inputs(random_pixels(3), ["a red circle", "left", "blue"]))
    for one, other in zip(adapted, merged, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert sorted(trainee.model.state_dict()) == names
