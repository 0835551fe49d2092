import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.encoders.base import PixelBatch, prepared_batch, unit_rows
from indexer.errors import PairsInvalid, UsageError
from indexer.records import EncoderCard, Preprocessing, Vectors
from trainer.comparison import TELLING_IMAGES, Choices, Comparison, Figure, compare
from trainer.examples import Example, ImagePlace
from trainer.questions import ask_for_captions, ask_for_classes

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


class ColourEncoder:
    """Knows the mean colour of an image, and the colours that a text names; `noise` makes it worse."""

    batch_size = 8

    def __init__(self, name: str = "colours", noise: float = 0.0) -> None:
        side = Preprocessing(4, 4, "squash", "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 0)
        self.card = EncoderCard(name, name, side, 4, "float32")
        self.noise = noise

    def encode_pixels(self, pixels: PixelBatch) -> Vectors:
        return self._vectors(pixels.mean(axis=(1, 2)), [zlib.crc32(one.tobytes()) for one in pixels])

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        return self.encode_pixels(prepared_batch(images, self.card.preprocessing))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        said = [[COLOURS[word] for word in text.split() if word in COLOURS] or [(9, 9, 9)] for text in texts]
        return self._vectors(np.array([np.mean(one, axis=0) for one in said]), [zlib.crc32(b"")] * len(texts))

    def _vectors(self, colours: np.ndarray, seeds: Sequence[int]) -> Vectors:
        noise = np.array([np.random.default_rng(seed).normal(size=3) for seed in seeds])
        rows = np.hstack([colours - 127 + 127 * self.noise * noise, np.full((len(colours), 1), 20.0)])
        return unit_rows(rows.astype(np.float32))


def paint(file: Path, colour: str, number: int = 0) -> ImagePlace:
    patch = np.random.default_rng(number).integers(0, 60, (6, 6, 3)) * (1 if number else 0)
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.abs(np.array(COLOURS[colour]) - patch).astype(np.uint8)
    Image.fromarray(pixels).save(file)
    return ImagePlace(file)


@pytest.fixture
def captioned(tmp_path: Path) -> list[Example]:
    """Give four images of plain colours, one of them with two captions."""
    examples = [
        Example(paint(tmp_path / f"{colour}.png", colour), (f"a {colour} wall",)) for colour in COLOURS
    ]
    return [replace(examples[0], captions=("a red wall", "something red")), *examples[1:]]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Give sixty images of four classes."""
    folder = tmp_path_factory.mktemp("labelled")
    names = [(colour, number) for number in range(1, 16) for colour in COLOURS]
    return [
        Example(paint(folder / f"{colour} {number}.png", colour, number), (f"a {colour}",), colour)
        for colour, number in names
    ]


def measure(examples: Sequence[Example], *encoders: ColourEncoder, **chosen: object) -> Comparison:
    return compare(examples, encoders, Choices(**chosen), lambda *_: None)  # type: ignore[arg-type]


def figure(comparison: Comparison, name: str) -> Figure:
    return next(one for one in comparison.figures if one.name == name)


def test_an_encoder_that_knows_the_colours_finds_every_picture(captioned: list[Example]) -> None:
    found = measure(captioned, ColourEncoder())
    names = [one.name for one in found.figures]
    assert names == [
        f"{way} {what}" for way in ("text to image", "image to text") for what in ("recall@1", "median rank")
    ]
    assert [one.estimates[0].value for one in found.figures] == [1.0, 1.0, 1.0, 1.0]


def test_recall_is_left_out_where_it_cannot_fail(captioned: list[Example]) -> None:
    names = [one.name for one in measure(captioned, ColourEncoder()).figures]
    assert "text to image recall@5" not in names  # of four images
    assert "text to image recall@1" in names


def test_equal_captions_are_one_text_and_any_of_their_images_is_right(captioned: list[Example]) -> None:
    twin = replace(captioned[0], captions=("A  red wall .",))
    asked = ask_for_captions([*captioned, twin])
    assert len(asked.captions) == 6
    assert len(asked.texts) == 5
    first = asked.links.answers[asked.links.queries == asked.text_of[0]]
    assert first.tolist() == [0, 4]


def test_of_two_models_the_better_is_named_when_the_draws_agree(labelled: list[Example]) -> None:
    found = figure(
        measure(labelled, ColourEncoder("worse", noise=1.5), ColourEncoder("better")), "zero-shot top-1"
    )
    assert found.estimates[1].value > found.estimates[0].value
    assert found.changes[0].low > 0
    assert found.best == 1


def test_of_two_equal_models_none_is_better(labelled: list[Example]) -> None:
    found = measure(labelled, ColourEncoder("one", noise=1.0), ColourEncoder("other", noise=1.0))
    assert [one.best for one in found.figures] == [None] * len(found.figures)
    assert 0 < found.figures[0].estimates[0].value < 1


@pytest.mark.parametrize(
    "name, noises, best",
    [
        ("text to image median rank", (2.0, 1.0), 1),
        ("text to image median rank", (1.0, 2.0), 0),
        ("text to image median rank", (2.0, 1.0, 1.0), None),
        ("image to text median rank", (2.0, 1.0), None),
        ("image to text recall@1", (2.0, 1.0), 1),
        ("image to text recall@1", (1.5, 1.4), None),
    ],
)
def test_the_model_of_lower_ranks_or_higher_shares_is_best_where_no_draws_doubt_it(
    labelled: list[Example], name: str, noises: tuple[float, ...], best: int | None
) -> None:
    by_caption = [replace(example, label=None) for example in labelled]
    encoders = [ColourEncoder(f"model {place}", noise) for place, noise in enumerate(noises)]
    found = figure(measure(by_caption, *encoders), name)
    assert len({one.value for one in found.estimates}) == 2  # so that doubt is what holds it back
    assert found.best == best


def test_intervals_depend_on_the_seed(labelled: list[Example]) -> None:
    encoders = ColourEncoder("worse", noise=1.5), ColourEncoder("better", noise=1.0)
    first, again, other = (measure(labelled, *encoders, seed=seed).figures for seed in (4, 4, 5))
    assert first == again
    assert first != other


def test_chance_is_that_of_as_many_candidates_as_there_are(captioned: list[Example]) -> None:
    found = measure(captioned, ColourEncoder())
    assert figure(found, "text to image recall@1").chance == pytest.approx(1 / 4)
    # Of five texts two are right for the first image, and one for each other.
    assert figure(found, "image to text recall@1").chance == pytest.approx((2 + 1 + 1 + 1) / 4 / 5)


def test_each_caption_has_its_own_nearest_image_though_another_says_the_same(
    captioned: list[Example],
) -> None:
    red, green, *others = captioned
    found = measure([red, green, red, *others], ColourEncoder())
    assert found.captions is not None
    answers = found.models[0].texts
    assert answers is not None
    nearest = [found.examples[row] for row in answers.nearest]
    asked = zip(found.captions.captions, nearest, strict=True)
    assert [caption for caption, image in asked if caption not in image.captions] == []


def test_of_few_images_none_is_better_and_the_reader_is_told(labelled: list[Example]) -> None:
    few = labelled[: TELLING_IMAGES - 1]
    found = measure(few, ColourEncoder("worse", noise=3.0), ColourEncoder("better"))
    assert found.figures[0].changes[0].low > 0
    assert found.figures[0].best is None
    assert any("are few" in note for note in found.notes)


def test_class_names_can_be_told(labelled: list[Example]) -> None:
    swapped = {"red": "green", "green": "red"}
    found = figure(measure(labelled, ColourEncoder(), class_names=swapped), "zero-shot top-1")
    assert found.estimates[0].value == 0.5


def test_captions_can_be_class_names(captioned: list[Example]) -> None:
    found = measure(captioned, ColourEncoder(), captions_are_names=True)
    assert found.classes is not None
    assert found.classes.labels == ("a blue wall", "a green wall", "a red wall", "a white wall")


def test_a_linear_probe_learns_classes_whose_names_say_nothing(labelled: list[Example]) -> None:
    nameless = [replace(example, label=f"kind {ord((example.label or 'x')[0])}") for example in labelled]
    found = measure(nameless[:32], ColourEncoder(), probe_train=nameless[32:])
    assert figure(found, "zero-shot top-1").estimates[0].value < 0.5
    assert figure(found, "linear probe top-1").estimates[0].value > 0.9


def test_a_probe_needs_images_of_every_class(labelled: list[Example]) -> None:
    some = [example for example in labelled if example.label != "blue"]
    with pytest.raises(PairsInvalid, match=r"no image of 1 of the 4 classes \('blue' among them\)"):
        measure(labelled, ColourEncoder(), probe_train=some)


def test_a_class_that_a_probe_lacks_is_told_before_anything_is_encoded(labelled: list[Example]) -> None:
    told: list[str] = []
    some = [example for example in labelled if example.label != "blue"]
    with pytest.raises(PairsInvalid):
        compare(labelled, [ColourEncoder()], Choices(probe_train=some), lambda *what: told.append(what[0]))
    assert told == []


def test_an_image_that_cannot_be_read_is_left_out_for_all_models(
    captioned: list[Example], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes((tmp_path / "red.png").read_bytes()[:40])
    found = measure(
        [Example(ImagePlace(broken), ("a broken wall",)), *captioned], ColourEncoder(), ColourEncoder("other")
    )
    assert len(found.examples) == 4
    assert [name for name, _ in found.unreadable] == [str(broken)]
    assert found.figures[0].estimates[0].value == 1.0


@pytest.fixture
def cut(tmp_path: Path) -> ImagePlace:
    """Give a JPEG of which the lower half is missing."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    content = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    return ImagePlace(tmp_path / "cut.jpg")


def test_an_image_that_is_cut_off_is_named_and_not_measured_on(
    captioned: list[Example], cut: ImagePlace
) -> None:
    found = measure([*captioned, Example(cut, ("a grey wall",))], ColourEncoder())
    assert len(found.examples) == 4
    assert found.unreadable == ((str(cut.path), "damaged: only a part of it can be decoded"),)


def test_an_image_that_is_cut_off_is_named_where_a_probe_should_learn_from_it(
    labelled: list[Example], cut: ImagePlace
) -> None:
    train = [*labelled[32:], Example(cut, ("a red",), "red")]
    found = measure(labelled[:32], ColourEncoder(), ColourEncoder("other"), probe_train=train)
    assert [name for name, _ in found.unreadable] == [str(cut.path)]


@pytest.mark.parametrize("count, said", [(0, "no image"), (1, "one image")])
def test_fewer_than_two_images_are_refused(captioned: list[Example], count: int, said: str) -> None:
    with pytest.raises(PairsInvalid, match=said):
        measure(captioned[:count], ColourEncoder())


def test_one_caption_for_all_images_is_refused(captioned: list[Example]) -> None:
    same = [replace(example, captions=("a photo",)) for example in captioned]
    with pytest.raises(PairsInvalid, match="all 4 images have the same caption"):
        measure(same, ColourEncoder())


def test_images_of_one_class_are_refused(labelled: list[Example]) -> None:
    with pytest.raises(PairsInvalid, match="of one class"):
        measure([example for example in labelled if example.label == "red"], ColourEncoder())


@pytest.fixture
def partly_labelled(labelled: list[Example]) -> list[Example]:
    """Give sixty images of classes, and one with a description instead."""
    described = replace(labelled[0], captions=("Anna in a red hat",), label=None)
    return [*labelled, described]


def test_images_of_which_only_some_have_a_class_are_found_by_their_captions(
    partly_labelled: list[Example],
) -> None:
    found = measure(partly_labelled, ColourEncoder())
    assert found.captions is not None
    assert found.captions.texts == ("a red", "a green", "a blue", "a white", "Anna in a red hat")


def test_how_many_images_have_a_class_is_told_where_not_all_have(partly_labelled: list[Example]) -> None:
    notes = measure(partly_labelled, ColourEncoder()).notes
    assert [note for note in notes if "class" in note] == [
        "60 of 61 images have a class, 1 a description instead: all are asked for by captions, those of a "
        "class made of its name; --classes takes each description for a class"
    ]


def test_questions_of_classes_refuse_an_image_that_has_none(partly_labelled: list[Example]) -> None:
    with pytest.raises(PairsInvalid, match="images without a class: 1"):
        ask_for_classes(partly_labelled, {})


def test_with_classes_a_description_stands_for_a_class_beside_the_labels(
    partly_labelled: list[Example],
) -> None:
    found = measure(partly_labelled, ColourEncoder(), captions_are_names=True)
    assert found.classes is not None
    assert found.classes.labels == ("Anna in a red hat", "blue", "green", "red", "white")


def test_a_probe_on_images_of_which_some_have_no_class_is_refused(partly_labelled: list[Example]) -> None:
    with pytest.raises(UsageError, match=r"1 of 61 images have none \(first: .*red 1\.png\)"):
        measure(partly_labelled, ColourEncoder(), probe_train=partly_labelled)
