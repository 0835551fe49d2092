"""Tokenizers: texts to the ids a text tower reads, through the `tokenizers` library alone.

A model's tokenizer is two things: a `tokenizer.json`, and the `TextRules` of what happens around it.
"""

import gzip
import json
import os
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError

if TYPE_CHECKING:
    import tokenizers

TokenIds: TypeAlias = NDArray[np.int64]  # (n, length)
Cleaning: TypeAlias = Literal["none", "lower", "whitespace", "canonicalize"]

START_TOKEN = "<start_of_text>"
END_TOKEN = "<end_of_text>"
CLIP_CONTEXT_LENGTH = 77

# open_clip's pattern of a word, with its two special tokens first.
_CLIP_WORD = (
    rf"(?i){START_TOKEN}|{END_TOKEN}|'s|'t|'re|'ve|'m|'ll|'d|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+"
)
SPECIAL_TOKENS_FILE = "special_tokens_map.json"  # of the hub; not every repository has one
# As the classes of transformers have them, which open_clip gets its tokenizers from.
_USUAL_PADS = ("<pad>", "[PAD]")
_USUAL_SEPARATORS = ("[SEP]", "</s>")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class TextRules:
    """What happens to a text before its `tokenizer.json`, and to the ids after it."""

    cleaning: Cleaning
    context_length: int
    pad_id: int
    zeroed_id: int | None = None  # an id that becomes 0 (open_clip's `strip_sep_token`)
    # Where a causal text tower is read: at its highest id, or at the first of this id. What comes after
    # that place cannot matter, so it is cut off. None: the whole context counts.
    read_at: Literal["highest"] | int | None = None


class TextTokenizer:
    """Turns texts into ids, as open_clip's tokenizer for the same model does."""

    def __init__(self, file: Path, rules: TextRules) -> None:
        self._rules = rules
        self._tokenizer = load_tokenizer_file(file, rules)
        self._special_ids = {
            token: self._tokenizer.token_to_id(token)
            for token in (START_TOKEN, END_TOKEN)
            if rules.cleaning == "lower"
        }

    def ids(self, texts: Sequence[str]) -> TokenIds:
        """Give (n, context_length) ids: over-long texts cut before their end token, short ones padded."""
        cleaned = [clean(text, self._rules.cleaning) for text in texts]
        encodings = self._tokenizer.encode_batch(cleaned) if cleaned else []
        rows = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
        rows = rows.reshape(len(cleaned), self._rules.context_length)
        for row, text in enumerate(cleaned):
            if any(token in text for token in self._special_ids):
                rows[row] = self._spelt_out(text)
        if self._rules.zeroed_id is not None:
            rows[rows == self._rules.zeroed_id] = 0
        return rows

    def trimmed_ids(self, texts: Sequence[str]) -> TokenIds:
        """Give the ids without the columns that no text of these reaches."""
        ids = self.ids(texts)
        if self._rules.read_at is None or not len(ids):
            return ids
        marks = ids if self._rules.read_at == "highest" else ids == self._rules.read_at
        return np.ascontiguousarray(ids[:, : marks.argmax(axis=1).max() + 1])

    def _spelt_out(self, text: str) -> TokenIds:
        """Encode a text that spells a special token: open_clip takes a whole word of it for the token."""
        pieces = self._tokenizer.pre_tokenizer.pre_tokenize_str(text)
        ids = [self._special_ids[START_TOKEN]]
        for piece, _ in pieces:
            special = self._special_ids.get(piece)
            tokens = self._tokenizer.model.tokenize(piece) if special is None else ()
            ids += [token.id for token in tokens] if special is None else [special]
        length = self._rules.context_length
        ids = [*ids[: length - 1], self._special_ids[END_TOKEN]]
        return np.array(ids + [self._rules.pad_id] * (length - len(ids)), dtype=np.int64)


def load_tokenizer_file(file: Path, rules: TextRules) -> "tokenizers.Tokenizer":
    """Load a `tokenizer.json`; length and padding are set where the file leaves them open."""
    # Its threads gain nothing on short texts, and it warns on the terminal when a process forks after.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    if (tokenizer.truncation or {}).get("max_length") != rules.context_length:
        tokenizer.enable_truncation(rules.context_length)
    if (tokenizer.padding or {}).get("length") != rules.context_length:
        tokenizer.enable_padding(
            length=rules.context_length,
            pad_id=rules.pad_id,
            pad_token=tokenizer.id_to_token(rules.pad_id) or "",
        )
    return tokenizer


def clean(text: str, cleaning: Cleaning) -> str:
    """Clean a text as open_clip's function of the same name does."""
    if cleaning == "none":
        return text
    text = _repaired(text)
    if cleaning == "canonicalize":
        text = text.replace("_", " ").translate(_WITHOUT_PUNCTUATION).lower()
    text = " ".join(text.split())
    # This combining mark is a letter to open_clip's pattern only when case matters, and so falls out of it.
    return text.lower().replace("\u0345", " ") if cleaning == "lower" else text


def _repaired(text: str) -> str:
    """Undo wrong decodings and HTML entities; plain ASCII has neither, so it is spared the imports."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return text
    import html

    import ftfy

    return html.unescape(html.unescape(ftfy.fix_text(text)))


def clip_tokenizer(vocabulary: Path, context_length: int = CLIP_CONTEXT_LENGTH) -> "tokenizers.Tokenizer":
    """Build CLIP's byte-pair tokenizer from open_clip's `bpe_simple_vocab_16e6.txt.gz`."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    ids, merges = _clip_vocabulary(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges, end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_WORD), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START_TOKEN} $A {END_TOKEN}",
        special_tokens=[(START_TOKEN, ids[START_TOKEN]), (END_TOKEN, ids[END_TOKEN])],
    )
    tokenizer.enable_truncation(context_length)
    tokenizer.enable_padding(length=context_length, pad_id=0, pad_token="!")
    return tokenizer


def _clip_vocabulary(file: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Read the merges; the ids follow from their order, after the 256 bytes and the bytes that end a word."""
    lines = gzip.decompress(file.read_bytes()).decode("utf-8").split("\n")
    merges = [(first, second) for first, second in (line.split() for line in lines[1 : 49152 - 256 - 2 + 1])]
    letters = _byte_letters()
    words = letters + [letter + "</w>" for letter in letters] + [first + second for first, second in merges]
    return {word: number for number, word in enumerate([*words, START_TOKEN, END_TOKEN])}, merges


def _byte_letters() -> list[str]:
    """Give the letter that stands for each byte, in the order of CLIP's vocabulary."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = len(set(range(256)) - set(printable))
    return [chr(code) for code in [*printable, *range(256, 256 + others)]]


def is_clips_own(file: Path, vocabulary: Path) -> bool:
    """Tell whether a `tokenizer.json` has CLIP's words under its ids; the special ones have other names."""
    words = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
    ids, _ = _clip_vocabulary(vocabulary)
    named_alike = {word: number for word, number in ids.items() if word not in (START_TOKEN, END_TOKEN)}
    return isinstance(words, dict) and named_alike.items() <= words.items()


def hub_tokenizer_rules(text_config: dict[str, Any], tokenizer_config: Path | None, file: Path) -> TextRules:
    """Give the rules of a tokenizer taken from the Hugging Face hub, as open_clip applies them."""
    from tokenizers import Tokenizer

    options = text_config.get("tokenizer_kwargs", {})
    settings = _settings(file.with_name(SPECIAL_TOKENS_FILE)) | _settings(tokenizer_config)
    tokenizer = Tokenizer.from_file(str(file))
    separator = _token_id(tokenizer, settings.get("sep_token"), *_USUAL_SEPARATORS)
    if options.get("strip_sep_token") and separator is None:
        raise EncoderError(
            f"{file}: the model strips a separator that the tokenizer does not name; name its sep_token in a "
            "tokenizer_config.json beside it"
        )
    return TextRules(
        cleaning=options.get("clean", "whitespace"),
        context_length=text_config.get("context_length", CLIP_CONTEXT_LENGTH),
        pad_id=_pad_id(tokenizer, settings),
        zeroed_id=separator if options.get("strip_sep_token") else None,
    )


def _pad_id(tokenizer: "tokenizers.Tokenizer", settings: Mapping[str, Any]) -> int:
    """Find what texts are padded with: where the settings do not name it, the tokenizer's class does."""
    named = _token_id(tokenizer, settings.get("pad_token"))
    if named is None and tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    return named if named is not None else _token_id(tokenizer, *_USUAL_PADS) or 0


def _settings(file: Path | None) -> dict[str, Any]:
    """Read what tells the special tokens, but for those it has no value for."""
    if file is None or not file.is_file():
        return {}
    try:
        settings: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {name: value for name, value in settings.items() if value is not None}
    except (OSError, ValueError, AttributeError) as error:
        raise EncoderError(f"{file} cannot be read ({error}); fetch it again") from error


def _token_id(tokenizer: "tokenizers.Tokenizer", *tokens: Any) -> int | None:
    """Look up the first of some tokens that there is; settings name one as a string or as an object."""
    texts = (token.get("content") if isinstance(token, dict) else token for token in tokens)
    ids = (tokenizer.token_to_id(text) for text in texts if isinstance(text, str))
    return next((number for number in ids if number is not None), None)
