"""A teacher's meaning crosses the bridge, is blended, and ends in the small text tower."""

import copy
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from trainer.builtin.learner import Learner, tokenize
from trainer.builtin.model import make_model, model_config
from trainer.builtin.teacher import Bridge
from trainer.builtin.teacher_round import (
    IMAGE_SHARE,
    MeanTexts,
    Texts,
    blend_images,
    fit_bridge,
    remembered,
    teach_text_tower,
)
from trainer.vocabulary import learn_vocabulary

from .teachers import WordTeacher

CAPTIONS = [
    f"a {colour} {thing}" for colour in ("red", "blue", "old") for thing in ("dog", "car", "boat", "hat")
]
NAMES = ["tabby cat", "bullet train", "water lily"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return learn_vocabulary(
        CAPTIONS + NAMES, size=400, context_length=model_config()["text_cfg"]["context_length"]
    )


@pytest.fixture
def learner() -> Learner:
    return Learner(make_model().eval(), words=3)


@pytest.fixture
def known() -> Texts:
    texts = sorted(CAPTIONS + NAMES)
    return Texts(texts, WordTeacher().encode(texts))


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(functional.cosine_similarity(one, other, dim=1).mean())


def test_the_bridge_begins_by_saying_what_the_text_tower_says(
    known: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.builtin.teacher_round.BRIDGE_STEPS", 150)
    wanted = functional.normalize(torch.randn(len(known.texts), 16), dim=1)
    bridge = Bridge(16).eval()
    with torch.no_grad():
        before = cosine(bridge(known.vectors), wanted)
    fit_bridge(bridge, known, wanted, seed=0)
    with torch.no_grad():
        assert cosine(bridge(known.vectors), wanted) > before + 0.4


def test_texts_are_encoded_once(tmp_path: Path) -> None:
    first = remembered(WordTeacher(), CAPTIONS, tmp_path / "texts.pt")
    again = remembered(None, CAPTIONS, tmp_path / "texts.pt")  # type: ignore[arg-type]
    assert torch.equal(first.vectors, again.vectors)
    torch.testing.assert_close(first.rows([CAPTIONS[3]])[0], WordTeacher().encode([CAPTIONS[3]])[0])


def test_image_weights_move_by_their_share(learner: Learner) -> None:
    before, after = learner.model, make_model()
    with torch.no_grad():
        for parameter in after.parameters():
            parameter.add_(1.0)
    weight = next(before.visual.parameters())
    expected = torch.lerp(weight, next(after.visual.parameters()), IMAGE_SHARE).detach()
    text = before.text.token_embedding.weight.detach().clone()
    blend_images(before, after)
    torch.testing.assert_close(weight.detach(), expected)
    assert torch.equal(before.text.token_embedding.weight, text)


def test_the_mean_lies_between_the_two(learner: Learner, tokenizer: Tokenizer, known: Texts) -> None:
    bridge = Bridge(256).eval()
    mean = MeanTexts(learner, tokenizer, bridge)
    with torch.no_grad():
        old = functional.normalize(learner.encode_texts(tokenize(tokenizer, known.texts)), dim=1)
        new = functional.normalize(bridge(known.vectors), dim=1)
    assert cosine(mean.of(known), old) == pytest.approx(cosine(mean.of(known), new), abs=1e-4)
    assert cosine(mean.of(known, 9.0), new) > 0.95


def test_the_text_tower_learns_the_mean(
    learner: Learner, tokenizer: Tokenizer, known: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.builtin.distilling.BATCH", 20)
    monkeypatch.setattr("trainer.builtin.teacher_round.SPANS", 30)
    monkeypatch.setattr("trainer.builtin.teacher_round.DISTIL_STEPS", 60)
    bridge = Bridge(256)
    wanted = MeanTexts(copy.deepcopy(learner), tokenizer, bridge).of(known)

    def said() -> torch.Tensor:
        with torch.no_grad():
            return learner.encode_texts(tokenize(tokenizer, known.texts))

    before = cosine(said(), wanted)
    teach_text_tower(learner, tokenizer, bridge, WordTeacher(), known, CAPTIONS, tmp_path, seed=0)
    assert cosine(said(), wanted) > before + 0.1
