"""Validation counts what is right: equal texts, and copies of a photo."""

from pathlib import Path

import numpy as np
import pytest

from trainer.examples import Example, ImagePlace
from trainer.tuning.images import Images
from trainer.tuning.validation import Validation


class NoImages(Images):
    """Scores are given, so that no image is read."""

    def __init__(self) -> None:
        pass


def example(name: str, text: str, photo: str | None = None) -> Example:
    return Example(ImagePlace(Path(name)), (text,), photo=photo)


# Both texts find the second image first.
SCORES = np.array([[0.1, 0.9], [0.2, 0.8]], np.float32)


@pytest.mark.parametrize(("photo", "recall"), [(None, 0.5), ("p", 1.0)])
def test_a_text_is_right_for_a_copy_of_its_photo(photo: str | None, recall: float) -> None:
    examples = (example("0", "a dog", photo), example("1", "a terrier", photo))
    assert Validation(examples, NoImages()).score_matrix(SCORES).recall_1 == recall


def test_captions_that_say_the_same_are_one_text() -> None:
    examples = (example("0", "A dog."), example("1", "a dog"))
    assert Validation(examples, NoImages()).texts == ["A dog."]
