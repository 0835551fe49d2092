"""Comparison: several models measured on the same examples."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from indexer.encoders.base import Encoder
from indexer.encoders.dense import PatchEncoder
from indexer.errors import PairsInvalid, UsageError
from indexer.records import EncoderCard, Vectors
from search.regions_pacl import TEMPERATURE

from .bootstrap import Draws, Estimate, MedianRank, Resampled, draw_images, resample
from .embedding import Embedded, Progress, embed_images, embed_texts
from .evaluate import Measured, class_figures, class_vectors, label_ranks, retrieval_figures
from .examples import Example
from .metrics import Answers, Links, ask_scores
from .questions import CaptionQuestions, ClassQuestions, Rows, ask_for_captions, ask_for_classes
from .scoring import Cosines, Scorer, WithParts
from .templates import ENSEMBLE, prompts

# Of fewer images the intervals come out too narrow, so that a lucky model would be called the better one.
TELLING_IMAGES = 30
LABEL_SHARE = 0.5  # texts an image: where fewer are different, captions are names of classes rather


@dataclass(frozen=True)
class Choices:
    """What is measured, and how."""

    templates: tuple[str, ...] = ENSEMBLE
    class_names: Mapping[str, str] = field(default_factory=dict)  # label -> name
    captions_are_names: bool = False  # of classes
    probe_train: Sequence[Example] = ()  # labelled; empty for no probe
    seed: int = 0


@dataclass(frozen=True)
class Figure:
    """One figure of all models, in their order."""

    name: str  # "text to image recall@10"
    is_rank: bool  # lower is better then; otherwise a share of one
    chance: float
    estimates: tuple[Estimate, ...]
    changes: tuple[Estimate, ...]  # each later model minus the first, on the same draws of images
    best: int | None  # the model that beats every other one with its paired interval clear of zero


@dataclass(frozen=True)
class ModelAnswers:
    """What one model answered; None where that was not asked."""

    card: EncoderCard
    images_per_second: float  # decoding included
    figures: tuple[Measured, ...]
    texts: Answers | None = None  # of each text the images
    images: Answers | None = None  # of each image the texts
    classes: Answers | None = None  # of each image the classes, zero-shot
    untaught: tuple[tuple[str, str], ...] = ()  # of the probe's images those that could not be read, and why


@dataclass(frozen=True)
class Comparison:
    """What came of comparing models."""

    examples: tuple[Example, ...]  # those that every model was asked about
    captions: CaptionQuestions | None
    classes: ClassQuestions | None
    models: tuple[ModelAnswers, ...]
    figures: tuple[Figure, ...]
    unreadable: tuple[tuple[str, str], ...]  # name and reason
    notes: tuple[str, ...]  # what the reader of the figures must know


def compare(
    examples: Sequence[Example],
    encoders: Sequence[Encoder],
    choices: Choices,
    progress: Progress,
    *,
    parts: Sequence[PatchEncoder] = (),
) -> Comparison:
    """Measure models on the same examples: retrieval by captions, or classes where all images have labels.

    parts: for each encoder its patches; each is then measured by whole images, and by their parts too. An
    image that cannot be read is left out for all models. Raises PairsInvalid for examples that ask nothing,
    EncoderError for a model that gives no numbers, UsageError for a probe and parts at once.
    """
    if parts and choices.probe_train:
        raise UsageError("a linear probe asks no words, which parts are compared with; leave one of them out")
    _check(examples, choices)
    models: list[ModelAnswers] = []
    readable = tuple(examples)
    unreadable: list[tuple[str, str]] = []
    for nth, encoder in enumerate(encoders):
        embedded = embed_images(encoder, readable, f"images, {encoder.card.name}", progress)
        if embedded.unreadable and models:
            raise PairsInvalid(None, f"{embedded.unreadable[0][0]} changed meanwhile; start again")
        unreadable += embedded.unreadable
        readable = embedded.examples
        asked = _Asked.of(readable, choices)
        models += _measure(encoder, embedded, asked, choices, progress, parts[nth] if parts else None)
    unreadable += dict.fromkeys(found for model in models for found in model.untaught)
    progress("intervals", 0, 0)
    figures = _figures(models, draw_images(len(readable), seed=choices.seed))
    notes = tuple(_notes(asked, readable))
    return Comparison(
        readable, asked.captions, asked.classes, tuple(models), figures, tuple(unreadable), notes
    )


@dataclass(frozen=True)
class _Asked:
    captions: CaptionQuestions | None
    classes: ClassQuestions | None

    @classmethod
    def of(cls, examples: Sequence[Example], choices: Choices) -> "_Asked":
        """Ask for classes where all images have labels: their captions are made of the names then.

        Where only some have, as in a library with a few described photos, captions are what all images have.
        """
        by_caption = choices.captions_are_names
        if by_caption or _labelled(examples) == len(examples):
            return cls(None, ask_for_classes(examples, choices.class_names, captions_are_names=by_caption))
        if choices.probe_train:
            raise UsageError(_no_probe(examples))
        return cls(ask_for_captions(examples), None)


def _check(examples: Sequence[Example], choices: Choices) -> None:
    """Say what is off before an hour of encoding."""
    asked = _Asked.of(examples, choices)
    if choices.probe_train and asked.classes is not None:
        _probe_examples(choices, asked.classes.labels)


def _labelled(examples: Sequence[Example]) -> int:
    return sum(example.label is not None for example in examples)


def _no_probe(examples: Sequence[Example]) -> str:
    """Tell why a probe cannot be measured on images of which some, or all, have no class."""
    none = [example.image.name for example in examples if example.label is None]
    if len(none) == len(examples):
        return "a linear probe tells classes apart, and these images have none; add --classes"
    return (
        f"a linear probe tells classes apart, and {len(none):,} of {len(examples):,} images have none "
        f"(first: {none[0]}); leave these out, or measure without --probe-train"
    )


def _measure(
    encoder: Encoder,
    embedded: Embedded,
    asked: _Asked,
    choices: Choices,
    progress: Progress,
    parts: PatchEncoder | None,
) -> Iterator[ModelAnswers]:
    """Yield what a model answers, and what it answers by parts."""
    card, pace = encoder.card, embedded.images_per_second
    whole = Cosines(embedded.vectors, _text_vectors(encoder, asked, choices, progress))
    if asked.captions is not None:
        yield _retrieve(card, pace, whole, asked.captions)
    else:
        assert asked.classes is not None
        answers, figures = _classify(whole, asked.classes)
        untaught: tuple[tuple[str, str], ...] = ()
        if choices.probe_train:
            ranks, untaught = _probe(encoder, embedded.vectors, asked.classes, choices, progress)
            figures += class_figures("linear probe", ranks, len(asked.classes.labels))
        yield ModelAnswers(card, pace, tuple(figures), classes=answers, untaught=untaught)
    if parts is not None:
        yield _measure_parts(card, pace, whole, embedded.examples, asked, parts, progress)


def _measure_parts(
    card: EncoderCard,
    pace: float,
    whole: Cosines,
    examples: Sequence[Example],
    asked: _Asked,
    encoder: PatchEncoder,
    progress: Progress,
) -> ModelAnswers:
    """Tell what a model answers by parts too; pace: of whole images."""
    from .patches import keep_patches  # torch, which whole images may do without

    named = replace(card, name=f"{card.name}, with parts")
    temperature = encoder.head.card.temperature if encoder.head else TEMPERATURE
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="sightline-parts-") as folder:
        tell = partial(progress, f"parts of images, {card.name}")
        patches = keep_patches(encoder, examples, Path(folder) / "patches", tell)
        both = len(examples) / pace + time.perf_counter() - began  # seconds
        progress(f"comparing parts, {card.name}", 0, 0)
        scorer = WithParts(whole, patches, temperature)
        if asked.captions is not None:
            return _retrieve(named, len(examples) / both, scorer, asked.captions)
        assert asked.classes is not None
        answers, figures = _classify(scorer, asked.classes)
        return ModelAnswers(named, len(examples) / both, tuple(figures), classes=answers)


def _text_vectors(encoder: Encoder, asked: _Asked, choices: Choices, progress: Progress) -> Vectors:
    """Encode the captions, or the names of classes in their sentences."""
    name = encoder.card.name
    if asked.captions is not None:
        return embed_texts(encoder, asked.captions.texts, f"captions, {name}", progress)
    assert asked.classes is not None
    written = prompts(asked.classes.names, choices.templates)
    vectors = embed_texts(encoder, written, f"class names, {name}", progress)
    return class_vectors(vectors, len(choices.templates))


def _classify(scorer: Scorer, asked: ClassQuestions) -> tuple[Answers, list[Measured]]:
    links = Links(np.arange(len(asked.own)), asked.own)
    answers = ask_scores(scorer.of_images, len(asked.own), len(asked.labels), links)
    return answers, class_figures("zero-shot", answers.ranks, len(asked.labels))


def _retrieve(card: EncoderCard, pace: float, scorer: Scorer, asked: CaptionQuestions) -> ModelAnswers:
    back = asked.links.reversed
    n, texts = len(back.rights), len(asked.texts)
    of_texts = ask_scores(scorer.of_texts, texts, n, asked.links)
    of_images = ask_scores(scorer.of_images, n, texts, back)
    of_captions = Answers(of_texts.ranks[asked.text_of], of_texts.nearest[asked.text_of])
    rights = asked.links.rights[asked.text_of]
    figures = [
        *retrieval_figures("text to image", of_captions.ranks, rights, asked.owners, images=n, candidates=n),
        *retrieval_figures(
            "image to text", of_images.ranks, back.rights, np.arange(n), images=n, candidates=texts
        ),
    ]
    return ModelAnswers(card, pace, tuple(figures), texts=of_captions, images=of_images)


def _probe(
    encoder: Encoder, vectors: Vectors, classes: ClassQuestions, choices: Choices, progress: Progress
) -> tuple[Rows, tuple[tuple[str, str], ...]]:
    """Rank each image's class by a probe trained on other images; tells those of them that cannot be read."""
    from .linear_probe import train_probe

    row = {label: index for index, label in enumerate(classes.labels)}
    train = _probe_examples(choices, classes.labels)
    embedded = embed_images(encoder, train, f"images to learn from, {encoder.card.name}", progress)
    labels = np.array([row[_label(example, choices)] for example in embedded.examples], dtype=np.int64)
    progress(f"linear probe, {encoder.card.name}", 0, 0)
    probe = train_probe(embedded.vectors, labels, len(row), seed=choices.seed)
    return label_ranks(probe.scores(vectors), classes.own), embedded.unreadable


def _probe_examples(choices: Choices, labels: Sequence[str]) -> list[Example]:
    """Give the images to learn from that are of these classes; raises PairsInvalid where a class has none."""
    asked = set(labels)
    train = [example for example in choices.probe_train if _label(example, choices) in asked]
    missing = asked - {_label(example, choices) for example in train}
    if missing:
        raise PairsInvalid(
            None,
            f"the pairs to train the probe on have no image of {len(missing):,} of the {len(asked):,} "
            f"classes ({min(missing)!r} among them); a probe knows only what it was shown",
        )
    return train


def _label(example: Example, choices: Choices) -> str:
    if example.label is not None:
        return example.label
    return example.captions[0] if choices.captions_are_names else ""


def _figures(models: Sequence[ModelAnswers], draws: Draws) -> tuple[Figure, ...]:
    rows = zip(*(model.figures for model in models), strict=True)
    return tuple(_figure(row, draws) for row in rows)


def _figure(row: Sequence[Measured], draws: Draws) -> Figure:
    resampled = [resample(measured.statistic, draws) for measured in row]
    is_rank = isinstance(row[0].statistic, MedianRank)
    return Figure(
        name=row[0].name,
        is_rank=is_rank,
        chance=row[0].chance,
        estimates=tuple(one.estimate for one in resampled),
        changes=tuple(resampled[0].change_to(other) for other in resampled[1:]),
        best=_best(resampled, is_rank=is_rank) if draws.shape[1] >= TELLING_IMAGES else None,
    )


def _best(resampled: Sequence[Resampled], *, is_rank: bool) -> int | None:
    if len(resampled) < 2:
        return None
    values = [one.value for one in resampled]
    best = int(np.argmin(values) if is_rank else np.argmax(values))
    changes = [one.change_to(resampled[best]) for place, one in enumerate(resampled) if place != best]
    clear = all(change.high < 0 if is_rank else change.low > 0 for change in changes)
    return best if clear else None


def _notes(asked: _Asked, examples: Sequence[Example]) -> "list[str]":
    notes, images, labelled = [], len(examples), _labelled(examples)
    if images < TELLING_IMAGES:
        notes.append(
            f"{images:,} images are few: the intervals are too narrow to trust, and no model is called better"
        )
    if asked.captions is not None:
        captions = len(asked.captions.captions)
        equal = captions - len(asked.captions.texts)
        if equal:
            notes.append(f"{equal:,} of {captions:,} captions repeat another; any image of theirs is right")
        if labelled:
            notes.append(
                f"{labelled:,} of {images:,} images have a class, {images - labelled:,} a description "
                "instead: all are asked for by captions, those of a class made of its name; --classes takes "
                "each description for a class"
            )
        elif len(asked.captions.texts) < LABEL_SHARE * images:
            notes.append("most captions repeat others; if they are names of classes, add --classes")
    return notes
