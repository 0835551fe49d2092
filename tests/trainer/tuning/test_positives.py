"""Pairs of one image, of one text or of one class are no negatives of each other."""

import pytest
import torch

from trainer.examples import Example, ImagePlace
from trainer.losses import sigmoid_contrastive
from trainer.tuning.positives import KeyTable, positives_of_all


def example(name: str, caption: str, label: str | None = None) -> Example:
    from pathlib import Path

    return Example(ImagePlace(Path(name)), (caption,), label)


def positives(*drawn: Example) -> list[list[float]]:
    rows = [int(each.image.path.stem) for each in drawn]
    table = KeyTable(drawn)
    found: list[list[float]] = (
        table.keys(rows, drawn, [each.captions[0] for each in drawn]).positive().tolist()
    )
    return found


def test_each_image_belongs_to_its_own_text() -> None:
    assert positives(example("0", "a dog"), example("1", "a cat")) == [[1, 0], [0, 1]]


def test_equal_texts_are_positives_whatever_their_case_and_stops() -> None:
    assert positives(example("0", "A dog."), example("1", "a  dog")) == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("one", "other"),
    [("เสือ", "เสื้อ"), ("काला घोड़ा", "कील घोड़ा"), ("chord C#", "chord C"), ("-5 °C", "5 °C"), ("😀", "🚗")],
)
def test_marks_and_symbols_tell_texts_apart(one: str, other: str) -> None:
    assert positives(example("0", one), example("1", other)) == [[1, 0], [0, 1]]


def test_a_text_is_a_positive_of_every_image_that_has_it_whichever_was_drawn() -> None:
    from dataclasses import replace

    first = replace(example("0", ""), captions=("a brown dog", "a dog"))
    second = replace(example("1", ""), captions=("a dog", "a dog on grass"))
    keys = KeyTable([first, second]).keys([0, 1], [first, second], ["a brown dog", "a dog"])
    assert keys.positive().tolist() == [[1, 1], [0, 1]]


def test_what_is_said_of_a_copy_is_no_negative_of_the_photo() -> None:
    from dataclasses import replace

    photo, copy = (
        replace(example(name, text), photo="p") for name, text in (("0", "a dog"), ("1", "a terrier"))
    )
    other = example("2", "a terrier")
    keys = KeyTable([photo, copy, other]).keys([0, 2], [photo, other], ["a dog", "a terrier"])
    assert keys.positive().tolist() == [[1, 1], [0, 1]]


def test_two_texts_of_one_image_are_positives() -> None:
    assert positives(example("0", "a dog"), example("0", "a terrier")) == [[1, 1], [1, 1]]


def test_what_is_said_of_a_photo_is_true_of_its_copy() -> None:
    from dataclasses import replace

    pair = [replace(example(name, text), photo="p") for name, text in (("0", "a dog"), ("1", "a terrier"))]
    assert positives(*pair, example("2", "a cat")) == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert positives_of_all(pair).tolist() == [[1, 1], [1, 1]]


def test_images_of_one_class_are_positives() -> None:
    pair = example("0", "a photo of a dog", "dog"), example("1", "the dog", "dog")
    assert positives(*pair) == [[1, 1], [1, 1]]


def test_images_without_a_class_are_not_of_one_class() -> None:
    assert positives(example("0", "a dog"), example("1", "a bird"))[0][1] == 0


def test_the_sigmoid_loss_is_that_of_each_pair_by_itself() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    signed = torch.tensor([[2.0, 1.0], [-0.5, 3.0]])
    expected = -(1 / (1 + torch.exp(-signed))).log().sum() / 2
    torch.testing.assert_close(sigmoid_contrastive(logits, torch.eye(2)), expected)


def test_all_captions_of_an_image_are_its_positives_and_so_are_equal_ones() -> None:
    from dataclasses import replace

    first = replace(example("0", ""), captions=("a dog", "a terrier"))
    second = replace(example("1", ""), captions=("A dog.", "a cat"))
    assert positives_of_all([first, second]).tolist() == [[1, 1, 1, 0], [1, 0, 1, 1]]
