"""What the trainer says, in words that fit their number."""

from pathlib import Path

import pytest

from sightline.train_report import checked_lines, lines
from trainer.checking import Checked, Finding
from trainer.examples import Example, ImagePlace
from trainer.tuning.running import Summary
from trainer.tuning.settings import Method
from trainer.tuning.validation import Score


def examples(count: int, classes: int = 0) -> tuple[Example, ...]:
    labels = [f"class {number % classes}" if classes else None for number in range(count)]
    return tuple(
        Example(ImagePlace(Path(f"{number}.jpg")), (f"caption {number}",), label)
        for number, label in enumerate(labels)
    )


def test_the_sizes_come_first_and_then_what_was_found() -> None:
    finding = Finding("leak", 1, "validation images", "kept out", "a.jpg")
    assert list(checked_lines(Checked(examples(40, classes=4), (), (finding,)))) == [
        "40 images of 4 classes with 40 captions to learn from; 0 images with 0 captions to validate on",
        str(finding),
    ]


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, ["1 image with 1 caption to validate on", "1 image to validate on: of so few"]),
        (10, ["10 images with 10 captions to validate on", "10 images to validate on: of so few"]),
        (20, ["20 images with 20 captions to validate on"]),
    ],
)
def test_few_images_to_validate_on_are_warned_of_in_their_number(count: int, said: list[str]) -> None:
    told = list(checked_lines(Checked(examples(30), examples(count), ())))
    assert len(told) == len(said)
    assert all(words in line for words, line in zip(said, told, strict=True))


def test_one_held_out_image_is_one() -> None:
    score = Score(1.0, 1.0, 1.0, 1.0, 1.0, images=1)
    summary = Summary(Path("run"), Method.HEAD, None, score, None, (), 1.0, 1, 0.0, probe=None)
    assert next(lines(summary)).endswith("on 1 held-out image")
