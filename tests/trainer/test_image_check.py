"""Looking at images gives a reason for each that cannot be read, whatever took its decoder away."""

from pathlib import Path
from typing import get_args

import pytest

from indexer.workers import Loss
from trainer.examples import ImagePlace
from trainer.image_check import _lost, look


@pytest.mark.parametrize("loss", get_args(Loss))
def test_every_way_of_losing_a_decoder_has_its_reason(loss: Loss) -> None:
    number, reason = _lost((7, ImagePlace(Path("x.jpg"))), loss)
    assert number == 7
    assert "decode" in str(reason)


def test_an_image_that_is_gone_is_told_in_the_words_of_index(tmp_path: Path) -> None:
    assert look((1, ImagePlace(tmp_path / "gone.jpg")), None) == (1, "no such file")
