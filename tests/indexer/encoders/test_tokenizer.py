"""Our tokenizer against open_clip's own, string by string."""

import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.encoders.names import open_clip_folder
from indexer.encoders.quiet import quiet_libraries
from indexer.encoders.tokenizer import (
    TextRules,
    TextTokenizer,
    clean,
    clip_tokenizer,
    hub_tokenizer_rules,
)

from .small_models import write_vocabulary

RULES = TextRules(cleaning="lower", context_length=77, pad_id=0, read_at="highest")

ODD_TEXTS = [
    "",
    "   \t\n ",
    "a dog on the beach",
    "it's I'LL we've they'd 'S 'Re don't''s 'ſ",
    "İstanbul ΣΑΣ Straße ŒUVRE ﬁne",
    "&amp;lt;b&gt; &eacute;&#x1F600; &nbsp; AT&T R&D",
    "schÃ¶n â€œquoteâ€\x9d",
    "a\x00b\x1fc\x85d\u200be\u2028f\ufefe\u180eg",
    "1234 ١٢٣ Ⅷ ½ 3.14 1,000,000",
    "dog " * 200,
    "x" * 5000,
    "!?" * 500,
    "🏳️‍🌈👨‍👩‍👧 👍🏽" * 30,
    "日本語のテキスト 中文 한국어 ไทย العربية עברית हिन्दी",
    "e\u0301 a\u0308 o\u0327\u0301 a\u0345b",
    "#tag @me http://x.y/?a=b&c=d c:\\path\\file_name.JPG",
    "<start_of_text>",
    "!!<start_of_text>",
    "a<END_OF_TEXT>b <end_of_text> <end_of_text",
    "<|endoftext|> </w> a</w>",
    "\x1b[31mred\x1b[0m",
]
ALPHABETS = {
    "Latin": (0x20, 0x24F),
    "Greek and Cyrillic": (0x370, 0x52F),
    "Semitic": (0x590, 0x6FF),
    "Indic": (0x900, 0xDFF),
    "punctuation": (0x2000, 0x2BFF),
    "CJK": (0x3000, 0x9FFF),
    "Hangul": (0xAC00, 0xD7A3),
    "half width": (0xFF00, 0xFFEF),
    "emoji": (0x1F300, 0x1FAFF),
    "combining": (0x300, 0x36F),
}


def is_assigned(letter: str) -> bool:
    """Letters newer than this Python's Unicode are split differently by each library's own tables."""
    return unicodedata.category(letter) not in ("Cn", "Cs")


texts = st.text(st.characters(exclude_categories=["Cs", "Cn"]).filter(is_assigned), max_size=60)


@pytest.fixture(scope="module")
def open_clip_tokenizer() -> Any:
    with quiet_libraries():
        import open_clip

        return open_clip.get_tokenizer("ViT-B-32")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    file = tmp_path_factory.mktemp("clip") / "tokenizer.json"
    clip_tokenizer(open_clip_folder() / "bpe_simple_vocab_16e6.txt.gz").save(str(file))
    return TextTokenizer(file, RULES)


def assert_equal(ours: TextTokenizer, theirs: Any, batch: list[str]) -> None:
    found, expected = ours.ids(batch), theirs(batch).numpy()
    assert [text for text, same in zip(batch, (found == expected).all(1), strict=True) if not same] == []


def generated_texts(alphabet: tuple[int, int], count: int) -> list[str]:
    generator = random.Random(repr(alphabet))
    letters = [chr(code) for code in range(*alphabet) if is_assigned(chr(code))] + [" "] * 20
    return ["".join(generator.choices(letters, k=generator.randint(1, 120))) for _ in range(count)]


def test_odd_texts_get_open_clips_ids(ours: TextTokenizer, open_clip_tokenizer: Any) -> None:
    assert_equal(ours, open_clip_tokenizer, ODD_TEXTS)


@pytest.mark.parametrize("name", ALPHABETS)
def test_300_texts_of_an_alphabet_get_open_clips_ids(
    name: str, ours: TextTokenizer, open_clip_tokenizer: Any
) -> None:
    assert_equal(ours, open_clip_tokenizer, generated_texts(ALPHABETS[name], 300))


def test_mixed_words_get_open_clips_ids(ours: TextTokenizer, open_clip_tokenizer: Any) -> None:
    generator = random.Random(0)
    words = [word for text in [*ODD_TEXTS[2:], "& ' &#233;"] for word in set(text.split(" "))]
    mixed = [
        generator.choice(("", " ")).join(generator.choices(words, k=generator.randint(1, 30)))
        for _ in range(1000)
    ]
    assert_equal(ours, open_clip_tokenizer, mixed)


@given(st.lists(texts, min_size=1, max_size=20))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_text_gets_open_clips_ids(
    ours: TextTokenizer, open_clip_tokenizer: Any, batch: list[str]
) -> None:
    assert_equal(ours, open_clip_tokenizer, batch)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="&")))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_repair_of_plain_text_may_be_left_out(text: str) -> None:
    from open_clip.tokenizer import get_clean_fn

    for cleaning in ("lower", "whitespace", "canonicalize"):
        assert clean(text, cleaning) == get_clean_fn(cleaning)(text)


@pytest.mark.parametrize("cleaning", ["lower", "whitespace", "canonicalize"])
def test_cleaning_is_open_clips(cleaning: Any) -> None:
    from open_clip.tokenizer import get_clean_fn

    # The one mark that is dropped in cleaning, and by open_clip in splitting.
    odd = [text for text in ODD_TEXTS if "\u0345" not in text]
    assert [clean(text, cleaning) for text in odd] == [get_clean_fn(cleaning)(text) for text in odd]


def test_columns_no_text_reaches_are_trimmed(ours: TextTokenizer) -> None:
    batch = ["a dog", "a dog on the beach"]
    trimmed = ours.trimmed_ids(batch)
    assert trimmed.shape == (2, 7)
    assert np.array_equal(trimmed, ours.ids(batch)[:, :7])


def test_long_text_keeps_its_end_token(ours: TextTokenizer) -> None:
    (row,) = ours.trimmed_ids(["dog " * 500])
    assert (len(row), row[0], row[-1]) == (77, 49406, 49407)


def test_other_context_length_is_open_clips(tmp_path: Path) -> None:
    with quiet_libraries():
        import open_clip

        theirs = open_clip.get_tokenizer("ViT-B-32", context_length=12)
    file = tmp_path / "tokenizer.json"
    clip_tokenizer(open_clip_folder() / "bpe_simple_vocab_16e6.txt.gz", 12).save(str(file))
    rules = TextRules(cleaning="lower", context_length=12, pad_id=0)
    assert_equal(TextTokenizer(file, rules), theirs, ODD_TEXTS)


def test_own_tokenizer_is_used_as_it_is(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    write_vocabulary(tmp_path, ["a dog", "a cat"], size=300, context_length=24)
    batch = ["A Dog!", "", "cat " * 50, "É"]
    rules = TextRules(cleaning="none", context_length=24, pad_id=0, read_at=1)
    expected = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode_batch(batch)
    found = TextTokenizer(tmp_path / "tokenizer.json", rules).ids(batch)
    assert found.tolist() == [encoding.ids for encoding in expected]


def test_hub_tokenizer_is_padded_as_its_settings_say(tmp_path: Path) -> None:
    """A `tokenizer.json` of the hub often leaves length and padding to the settings beside it."""
    from tokenizers import Tokenizer

    write_vocabulary(tmp_path, ["a dog", "a cat"], size=300, context_length=24)
    file = tmp_path / "tokenizer.json"
    plain = Tokenizer.from_file(str(file))
    plain.no_padding()
    plain.no_truncation()
    plain.save(str(file))
    settings_file = tmp_path / "tokenizer_config.json"
    settings_file.write_text('{"pad_token": {"content": "<end>"}, "sep_token": "<pad>"}')
    text_config = {"context_length": 9, "tokenizer_kwargs": {"clean": "canonicalize"}}
    rules = hub_tokenizer_rules(text_config, settings_file, file)
    assert rules == TextRules(cleaning="canonicalize", context_length=9, pad_id=1)
    (row,) = TextTokenizer(file, rules).ids(["a_dog!"])
    assert row.tolist() == plain.encode("a dog").ids + [1] * (9 - len(plain.encode("a dog").ids))
