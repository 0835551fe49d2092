"""The built-in model while it learns: what only training needs, the words it must name, and the loss."""

import copy
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from ..losses import LOG_SCALE_MAX, belonging, spread_cross_entropy, weighted_contrastive
from ..precision import has_fast_bfloat16
from ..templates import TRAINING_TEMPLATES
from .batches import Batch
from .kinds import kinds_of
from .pairs import PairSet

LENGTH_PARTS = 3  # captions are twice as long as names: halves the cost of the text side
WORD_LOSS_WEIGHT = 1.0
LEAST_GROUPS = 12  # whose texts must hold a word before it is asked for
# fmt: off
STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "her", "his", "in", "into", "is", "it",
    "its", "near", "of", "on", "one", "out", "over", "that", "the", "their", "there", "through", "to", "up",
    "while", "with",
})
# fmt: on


NAME_MARK = "name: "  # before a class name that is asked for whole


@dataclass(frozen=True)
class WordQueries:
    """Words as queries: what the text tower gives for each, and which images each is in."""

    texts: Tensor  # (k, dim), from `Learner.encode_texts`, fresh or remembered
    weights: Tensor  # (n, k) float32


class WordTargets:
    """For each key of a batch: which words its texts hold, the target of the word head.

    To name the words of its captions is a signal an image network learns from sooner than from contrast alone
    (Joulin et al. 2016, arXiv 1511.02251). A class name is asked for whole as well, and the plain words for
    its kind are among its words.
    """

    def __init__(self, sets: Sequence[PairSet]) -> None:
        bags = [_bag(group, pairs.are_names) for pairs in sets for group in pairs.texts]
        counts = Counter(word for bag in bags for word in bag)
        names = [group for pairs in sets if pairs.are_names for group in pairs.texts]
        named = {word for group in names for word in _bag(group, are_names=True)}
        self.words = sorted(word for word, n in counts.items() if n >= LEAST_GROUPS or word in named)
        self.texts = [word.removeprefix(NAME_MARK) for word in self.words]
        column = {word: index for index, word in enumerate(self.words)}
        self._weights = np.zeros((len(bags), len(column)), dtype=np.float16)
        for row, bag in enumerate(bags):
            for word, weight in bag.items():
                if word in column:
                    self._weights[row, column[word]] = weight

    def rows(self, keys: Tensor) -> Tensor:
        """Give the (n, words) float32 weights of these keys."""
        return torch.from_numpy(self._weights[keys.cpu().numpy()]).float()


def draw_columns(weights: Tensor, most: int | None, chance: np.random.Generator) -> Tensor:
    """Draw at most so many (None: all) columns of (n, words) weights that have an image; (k,) int64."""
    present = torch.nonzero(weights.sum(dim=0)).flatten()
    return present[torch.from_numpy(chance.permutation(len(present))[:most])]


def _bag(texts: Sequence[str], are_names: bool) -> Counter[str]:
    bag = _words(texts)
    if are_names:
        bag[NAME_MARK + texts[0]] += max(1, len(bag))
        bag |= _words(kinds_of(texts[0]))
    return bag


def _words(texts: Iterable[str]) -> Counter[str]:
    return Counter(
        word for text in texts for word in set(re.findall("[a-z]+", text.lower())) if word not in STOP_WORDS
    )


class Learner(nn.Module):
    """A CLIP model in training; `finished` gives the model alone.

    While the text tower is locked, `text_map` alone turns its vectors towards the images.
    """

    def __init__(self, model: Any, words: int) -> None:
        super().__init__()
        self.model = model
        dimension = model.text.text_projection.shape[1]
        self.text_map: Any = nn.Linear(dimension, dimension, bias=False)  # or a bridge from a teacher
        nn.init.eye_(self.text_map.weight)
        self.word_head = nn.Linear(model.visual.trunk.num_features, words)

    def encode_texts(self, tokens: Tensor) -> Tensor:
        """Encode (n, length) ids to (n, dim), not normalised and not yet mapped.

        Short and long texts go apart, so that a model that trims padding has less of it.
        """
        order = torch.argsort(torch.count_nonzero(tokens, dim=1))
        parts = [self.model.encode_text(tokens[rows]) for rows in order.chunk(LENGTH_PARTS)]
        return torch.cat(parts)[torch.argsort(order)]

    def loss(self, batch: Batch, texts: Tensor, words: Tensor, queries: WordQueries | None = None) -> Tensor:
        """Give the loss of a batch.

        texts: (m, dim) from `encode_texts`, fresh or remembered; words: (n, words), the weights of the words
        of each image; queries: words that shall find their images through the text tower too.
        """
        device = self.word_head.weight.device
        with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
            features = self.model.visual.trunk(batch.pixels.to(device))
            images = self.model.visual.head(features)
            mapped = self.text_map(texts)
            named = self.word_head(features)
        scale = self.model.logit_scale.clamp(max=LOG_SCALE_MAX).exp()
        images = functional.normalize(images.float(), dim=1)
        logits = scale * images @ functional.normalize(mapped.float(), dim=1).T
        belong = belonging(batch.image_keys, batch.text_keys).to(device)
        loss = weighted_contrastive(logits, batch.targets(belong))
        named_loss = spread_cross_entropy(named.float(), batch.targets(words.to(device)))
        loss = loss + WORD_LOSS_WEIGHT * named_loss
        if queries is None:
            return loss
        found = functional.normalize(self.text_map(queries.texts), dim=1)
        asked_for = batch.targets(queries.weights.to(device))
        return loss + weighted_contrastive(scale * images @ found.T, asked_for)

    def finished(self) -> Any:
        """Give a copy of the model with the text map folded into its projection, ready to encode."""
        model = copy.deepcopy(self.model).eval()
        with torch.no_grad():
            model.text.text_projection.copy_(model.text.text_projection @ self.text_map.weight.T)
            model.logit_scale.clamp_(max=LOG_SCALE_MAX)
        return model


class RememberedTexts:
    """The vectors of every training text under a text tower that stays as it is."""

    @torch.no_grad()
    def __init__(
        self, learner: Learner, tokenizer: Tokenizer, sets: Sequence[PairSet], words: Sequence[str] = ()
    ) -> None:
        in_templates = (template.format(word) for word in words for template in TRAINING_TEMPLATES)
        texts = sorted({text for pairs in sets for text in wordings_of(pairs)}.union(in_templates))
        self._row = {text: row for row, text in enumerate(texts)}
        parts = [texts[start : start + 500] for start in range(0, len(texts), 500)]
        self._vectors = torch.cat([learner.encode_texts(tokenize(tokenizer, part)) for part in parts])

    def rows(self, texts: Sequence[str]) -> Tensor:
        """Look up (n, dim) vectors."""
        return self._vectors[[self._row[text] for text in texts]]


def wordings_of(pairs: PairSet) -> Iterable[str]:
    """Give every text that a batch may draw of a set."""
    templates = TRAINING_TEMPLATES if pairs.are_names else ("{}",)
    # str.replace: captions may hold braces
    return (t.replace("{}", text) for group in pairs.texts for text in group for t in templates)


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """Give (n, context_length) int64 ids."""
    return torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(list(texts))])
