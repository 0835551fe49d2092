"""Pairs that a run keeps for those who resume it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from trainer.examples import Example, ImagePlace
from trainer.tuning.kept_pairs import Parts, Source, read_pairs, write_pairs

ODD = Path(os.fsdecode(b"/photos/caf\xe9 \n\xf0\x9f\x90\x95.jpg"))
EXAMPLES = (
    Example(ImagePlace(ODD), ("a dog", "ein H\u00fcndchen \U0001f415")),
    Example(ImagePlace(Path("shard.tar"), "one.jpg", 512, 99), ("a cat",), label="cat", photo="abc"),
)
PARTS: Parts = (EXAMPLES, EXAMPLES[1:])
SOURCE = Source(EXAMPLES, None, 0.1, 0)


def test_pairs_come_back_as_they_were(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.jsonl", SOURCE.digest(), PARTS)
    assert read_pairs(tmp_path / "pairs.jsonl", SOURCE.digest()) == PARTS


@pytest.mark.parametrize(
    "other",
    [
        replace(SOURCE, seed=1),
        replace(SOURCE, share=0.2),
        replace(SOURCE, examples=EXAMPLES[:1]),
        replace(SOURCE, held_out=()),
        replace(SOURCE, examples=EXAMPLES[:1], held_out=EXAMPLES[1:]),
        replace(SOURCE, examples=(EXAMPLES[0], replace(EXAMPLES[1], captions=("a lion",)))),
    ],
)
def test_pairs_of_another_source_are_not_taken(other: Source, tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.jsonl", SOURCE.digest(), PARTS)
    assert read_pairs(tmp_path / "pairs.jsonl", other.digest()) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"source": "d"}\n{"part": "train"}\n', b"\xff\xfe"])
def test_a_damaged_file_counts_as_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_bytes(content)
    assert read_pairs(tmp_path / "pairs.jsonl", "d") is None
    assert read_pairs(tmp_path / "missing.jsonl", "d") is None
