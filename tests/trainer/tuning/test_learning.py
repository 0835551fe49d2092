"""A step of learning is held to a length that no single batch can exceed."""

from pathlib import Path

import torch

from trainer.tuning.folder import RunFolder
from trainer.tuning.images import Images
from trainer.tuning.learning import CLIP_NORM, Learning
from trainer.tuning.processes import Process
from trainer.tuning.settings import Method, Settings
from trainer.tuning.validation import Validation

from .models import draw_pairs, tiny_trainee


def test_a_gradient_of_any_length_is_cut_to_one(tmp_path: Path) -> None:
    trainee, pairs = tiny_trainee(), draw_pairs(tmp_path)
    validation = Validation(pairs, Images(pairs, trainee.preprocessing))
    settings = Settings(Method.FULL, batch_size=16, precision="float32")
    learning = Learning(trainee, settings, pairs, validation, RunFolder(tmp_path), Process(), lambda _: None)
    parameters = list(trainee.model.parameters())
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 100.0)
    learning._update()
    norms = [parameter.grad.norm() for parameter in parameters if parameter.grad is not None]
    assert float(torch.stack(norms).norm()) <= CLIP_NORM * 1.0001
    validation.close()
