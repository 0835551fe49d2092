import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from trainer.builtin.batches import Share, batches
from trainer.builtin.learner import Learner, RememberedTexts, WordQueries, WordTargets, draw_columns, tokenize
from trainer.builtin.model import make_model, model_config
from trainer.builtin.pairs import PairSet
from trainer.vocabulary import learn_vocabulary

CAPTIONS = tuple((f"a dog runs {n}", f"the dog is running {n}") for n in range(12))


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def captioned() -> PairSet:
    return PairSet(pixels(12), np.arange(12), CAPTIONS, are_names=False)


@pytest.fixture(scope="module")
def named() -> PairSet:
    names = (("tabby", "tabby cat"), ("bullet train",))
    return PairSet(pixels(4), np.array([0, 0, 1, 1]), names, are_names=True)


@pytest.fixture(scope="module")
def tokenizer(captioned: PairSet, named: PairSet) -> Tokenizer:
    texts = [text for pairs in (captioned, named) for group in pairs.texts for text in group]
    return learn_vocabulary(texts, size=400, context_length=model_config()["text_cfg"]["context_length"])


@pytest.fixture(scope="module")
def learner() -> Learner:
    return Learner(make_model(), words=3)


def test_the_words_of_a_caption_are_asked_for_when_common_and_all_words_of_names(
    captioned: PairSet, named: PairSet
) -> None:
    targets = WordTargets([captioned, named])
    assert {"dog", "runs", "running", "tabby", "cat", "bullet", "train"} <= set(targets.words)
    assert "a" not in targets.words
    cat = targets.rows(torch.tensor([12]))[0]
    assert {targets.words[i] for i in torch.nonzero(cat).flatten()} == {"tabby", "cat", "name: tabby"}


def test_remembered_texts_are_what_encoding_them_gives(
    captioned: PairSet, named: PairSet, tokenizer: Tokenizer, learner: Learner
) -> None:
    remembered = RememberedTexts(learner, tokenizer, [captioned, named])
    texts = ["a photo of a tabby cat", "the dog is running 7", "bullet train"]
    with torch.no_grad():
        torch.testing.assert_close(remembered.rows(texts), learner.encode_texts(tokenize(tokenizer, texts)))


def test_the_finished_model_has_the_text_map_in_it(tokenizer: Tokenizer, learner: Learner) -> None:
    tokens = tokenize(tokenizer, ["a dog", "a cat on a mat"])
    with torch.no_grad():
        learner.text_map.weight += 0.1 * torch.randn(
            learner.text_map.weight.shape, generator=torch.Generator().manual_seed(2)
        )
        mapped = torch.nn.functional.normalize(learner.text_map(learner.encode_texts(tokens)), dim=1)
        finished = learner.finished().encode_text(tokens, normalize=True)
    torch.testing.assert_close(finished, mapped, atol=1e-5, rtol=1e-4)


def test_remembered_texts_teach_the_map_and_leave_the_text_tower_alone(
    captioned: PairSet, named: PairSet, tokenizer: Tokenizer
) -> None:
    words = WordTargets([captioned, named])
    learner = Learner(make_model(), len(words.words))
    remembered = RememberedTexts(learner, tokenizer, [captioned, named])
    shares = [Share(captioned, 6, 0, texts_per_group=2), Share(named, 4, 0)]
    batch = next(batches(lambda _: shares, size=lambda _: 32, seed=1))
    learner.loss(batch, remembered.rows(batch.texts), words.rows(batch.image_keys)).backward()
    assert all(p.grad is None for p in learner.model.text.parameters())
    assert float(learner.text_map.weight.grad.abs().sum()) > 0
    assert float(learner.word_head.weight.grad.abs().sum()) > 0


def test_the_plain_word_for_a_class_is_asked_for_too() -> None:
    dogs = PairSet(pixels(2), np.array([0, 1]), (("golden retriever",), ("Chihuahua",)), are_names=True)
    targets = WordTargets([dogs])
    dog = targets.words.index("dog")
    assert targets.rows(torch.tensor([0, 1]))[:, dog].tolist() == [1, 1]


def test_words_are_drawn_from_those_that_the_images_have() -> None:
    weights = torch.tensor([[0.0, 1, 0, 2], [0, 0, 0, 1]])
    chance = np.random.default_rng(1)
    assert sorted(draw_columns(weights, None, chance).tolist()) == [1, 3]
    assert len(draw_columns(weights, 1, chance)) == 1


def test_words_as_queries_teach_the_image_tower(
    captioned: PairSet, named: PairSet, tokenizer: Tokenizer
) -> None:
    words = WordTargets([captioned, named])
    learner = Learner(make_model(), len(words.words))
    remembered = RememberedTexts(learner, tokenizer, [captioned, named], words.texts)
    shares = [Share(captioned, 6, 0), Share(named, 4, 0)]
    batch = next(batches(lambda _: shares, size=lambda _: 32, seed=1))
    weights = words.rows(batch.image_keys)
    queries = WordQueries(remembered.rows([f"a photo of a {text}" for text in words.texts]), weights)
    texts = remembered.rows(batch.texts)
    with torch.no_grad():
        assert learner.loss(batch, texts, weights, queries) > learner.loss(batch, texts, weights)
