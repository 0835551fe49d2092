import numpy as np
import torch
from torch import nn

from trainer.builtin.captions import text_batches, text_loss
from trainer.builtin.learner import Learner, tokenize
from trainer.builtin.model import make_model, model_config
from trainer.builtin.pairs import PairSet
from trainer.loop import make_optimizer
from trainer.vocabulary import learn_vocabulary

SUBJECTS = ("dog", "ship", "child", "car", "bird", "tower", "horse", "river")


def captions() -> PairSet:
    texts = tuple((f"a {s} in the sun", f"one {s} outdoors", f"there is a {s}") for s in SUBJECTS)
    return PairSet(np.zeros((len(texts), 4, 4, 3), np.uint8), np.arange(len(texts)), texts, are_names=False)


def test_the_two_views_of_a_group_are_different_captions_of_it() -> None:
    batch = next(text_batches([captions()], [5], seed=1))
    assert len(batch) == 5
    for first, second, key in zip(batch.first, batch.second, batch.keys.tolist(), strict=True):
        assert first != second
        assert set(first.split()) <= set(" ".join(captions().texts[key]).split())


def test_learning_from_captions_brings_those_of_one_photo_together() -> None:
    pairs = captions()
    every = [text for group in pairs.texts for text in group]
    tokenizer = learn_vocabulary(every, size=400, context_length=model_config()["text_cfg"]["context_length"])
    learner = Learner(make_model(), words=1)
    optimizer = make_optimizer([(learner.model.text.parameters(), 1.0)], weight_decay=0.0)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    for batch, _ in zip(text_batches([pairs], [8], seed=1), range(40), strict=False):
        first, second = tokenize(tokenizer, batch.first), tokenize(tokenizer, batch.second)
        optimizer.zero_grad()
        text_loss(learner, first, second, batch.keys).backward()
        optimizer.step()
    with torch.no_grad():
        vectors = nn.functional.normalize(learner.encode_texts(tokenize(tokenizer, every)), dim=1)
    nearest = (vectors @ vectors.T - 2 * torch.eye(len(every))).argmax(dim=1)
    own = torch.arange(len(every)) // 3
    assert float((own[nearest] == own).float().mean()) > 0.9
