"""Our tokenizer against open_clip's own, string by string."""

import errno
import json
import random
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.encoders.names import open_clip_folder, resolve
from indexer.encoders.quiet import quiet_libraries
from indexer.encoders.text_files import text_files
from indexer.encoders.tokenizer import (
    TextRules,
    TextTokenizer,
    clean,
    clip_tokenizer,
    hub_tokenizer_rules,
)
from indexer.errors import EncoderError, TemporaryFolderFull

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


def bert(folder: Path) -> Path:
    """Write a tokenizer as BERT's is on the hub: its settings name no special token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    unused = [f"[unused{number}]" for number in range(99)]
    words = ["[PAD]", *unused, "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "two", "red"]
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 101), ("[SEP]", 102)]
    )
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return saved(tokenizer, folder, "bert")


def roberta(folder: Path) -> Path:
    """Write a tokenizer as RoBERTa's is on the hub: its settings name no special token."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["<s>", "<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz\u0120"]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    return saved(tokenizer, folder, "roberta")


def saved(tokenizer: Any, folder: Path, kind: str) -> Path:
    words = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
    (folder / "vocab.txt").write_text("\n".join(words))
    (folder / "vocab.json").write_text(json.dumps(tokenizer.get_vocab()))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@pytest.mark.parametrize("strip_sep_token", [True, False])
@pytest.mark.parametrize("write", [bert, roberta])
def test_special_tokens_that_no_settings_name_are_open_clips(
    write: Any, strip_sep_token: bool, tmp_path: Path
) -> None:
    from open_clip.tokenizer import HFTokenizer

    file = write(tmp_path)
    options = {"strip_sep_token": strip_sep_token}
    config = {"context_length": 12, "tokenizer_kwargs": options}
    rules = hub_tokenizer_rules(config, tmp_path / "tokenizer_config.json", file)
    with quiet_libraries():
        theirs = HFTokenizer(str(tmp_path), context_length=12, **options)
    assert_equal(TextTokenizer(file, rules), theirs, ["two red", "", "a dog " * 20])


def test_special_tokens_are_also_read_from_their_own_map(tmp_path: Path) -> None:
    file = roberta(tmp_path)
    (tmp_path / "special_tokens_map.json").write_text('{"pad_token": {"content": "<unk>"}}')
    assert hub_tokenizer_rules({}, tmp_path / "tokenizer_config.json", file).pad_id == 3


def test_a_separator_that_cannot_be_found_is_told(tmp_path: Path) -> None:
    write_vocabulary(tmp_path, ["a dog"], size=300, context_length=9)
    config = {"tokenizer_kwargs": {"strip_sep_token": True}}
    with pytest.raises(EncoderError, match="sep_token"):
        hub_tokenizer_rules(config, None, tmp_path / "tokenizer.json")


def hub_clip(folder: Path) -> None:
    """Write CLIP's tokenizer as it lies beside models on the hub."""
    from tokenizers import Regex, normalizers

    tokenizer = clip_tokenizer(open_clip_folder() / "bpe_simple_vocab_16e6.txt.gz")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    told = tokenizer.to_str().replace("<start_of_text>", "<|startoftext|>")
    (folder / "tokenizer.json").write_text(told.replace("<end_of_text>", "<|endoftext|>"), encoding="utf-8")


def test_clips_tokenizer_beside_a_model_is_used_as_open_clip_does(vit: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(vit, tmp_path / "vit"))
    hub_clip(folder)
    with quiet_libraries():
        import open_clip

        theirs = open_clip.get_tokenizer(f"local-dir:{folder}")
    with text_files(resolve(str(folder), print), print) as (file, rules):
        assert_equal(TextTokenizer(file, rules), theirs, ODD_TEXTS)


def test_a_full_disk_for_temporary_files_is_told(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(self: Path, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(TemporaryFolderFull), text_files(resolve(str(vit), print), print):
        pass
