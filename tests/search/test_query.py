import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.encoders.base import unit_rows
from indexer.errors import ExampleMissing, QueryInvalid
from search.query import EncodedQuery, Query, QueryPart, encode_query, make_query, mix, parse_query

from ..indexer.store.making import make_card


def texts(*words: str) -> list[tuple[float, str | None]]:
    return [(part.weight, part.text) for part in parse_query(words).parts]


def test_plain_words_side_by_side_are_one_phrase():
    assert texts("a", "dog", "on", "the", "beach") == [(1.0, "a dog on the beach")]


def test_quoted_arguments_are_parts_of_their_own():
    assert texts("a dog", "a red ball") == [(1.0, "a dog"), (1.0, "a red ball")]


def test_a_lone_plus_ends_a_phrase():
    assert texts("dog", "+", "red", "ball") == [(1.0, "dog"), (1.0, "red ball")]


def test_a_number_and_a_colon_weigh_one_argument():
    assert texts("2:sunset", "sea", "0.5:old town") == [(2.0, "sunset"), (1.0, "sea"), (0.5, "old town")]


@pytest.mark.parametrize("words", ["16:9", "10:30", "3:2"])
def test_ratios_and_times_are_words(words: str):
    assert texts(words, "format") == [(1.0, f"{words} format")]


def test_without_takes_away_and_may_be_weighted():
    query = parse_query(["dog"], without=["people", "2:snow"])
    assert query.parts == (
        QueryPart(1.0, "dog"),
        QueryPart(-1.0, "people"),
        QueryPart(-2.0, "snow"),
    )


def test_a_file_is_an_example_and_splits_the_phrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cat.jpg").touch()
    monkeypatch.chdir(tmp_path)
    query = parse_query(["cat.jpg", "in", "the", "snow"])
    assert query.parts == (QueryPart(1.0, path=Path("cat.jpg")), QueryPart(1.0, "in the snow"))


def test_a_weighted_file_is_an_example(tmp_path: Path):
    file = tmp_path / "cat with space.jpg"
    file.touch()
    assert parse_query([f"3:{file}"]).parts == (QueryPart(3.0, path=file),)


def test_a_file_named_like_a_word_needs_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "dog").touch()
    monkeypatch.chdir(tmp_path)
    assert [part.text for part in parse_query(["dog", "./dog"]).parts] == ["dog", None]


def test_home_is_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cat.jpg").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_query(["~/cat.jpg"]).parts[0].path == tmp_path / "cat.jpg"


def test_like_may_name_a_file_of_any_name(tmp_path: Path):
    file = tmp_path / "dog"
    file.touch()
    assert parse_query([], like=[file]).parts == (QueryPart(1.0, path=file),)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to look for"),
        ([""], "empty part"),
        (["  "], "empty part"),
        (["2:"], "empty part"),
        (["0:dog"], "weight lies above 0"),
        (["1000.5:dog"], "up to 1000"),
        (["apple", "-", "fruit"], "--without"),
        (["./missing.jpg"], "no such file"),
        (["holiday.jpg"], "no such file"),
        (["HOLIDAY.JPG"], "no such file"),
        (["./" + "x" * 300], "cannot be read: "),
        (["/nowhere/at/all"], "no such file"),
        (["https://example.org/cat.jpg"], "not fetched"),
        (["./"], "a folder, not an image"),
    ],
)
def test_what_cannot_be_read_is_said(words: list[str], said: str):
    with pytest.raises(QueryInvalid, match=said):
        parse_query(words)


def test_a_missing_example_names_the_file():
    with pytest.raises(QueryInvalid, match=r"^gone\.jpg: no such file"):
        parse_query(["dog"], like=["gone.jpg"])


def test_strangers_texts_never_open_files():
    query = make_query(["/etc/hostname", "2:./cat.jpg"], without=["./dog.jpg"])
    assert [part.path for part in query.parts] == [None, None, None]


def test_words_with_a_slash_or_dot_are_words():
    assert texts("AC/DC", "vs.", "St.", "John") == [(1.0, "AC/DC vs. St. John")]


def test_a_word_too_long_for_a_file_name_is_a_word():
    assert texts("St." + "x" * 300) == [(1.0, "St." + "x" * 300)]


def test_bytes_that_are_no_utf8_become_question_marks():
    assert texts("caf\udce9") == [(1.0, "caf?")]


def test_each_text_of_a_program_is_a_part():
    assert [part.text for part in make_query(["dog", "red", "2:sea"]).parts] == ["dog", "red", "sea"]


@given(st.lists(st.text(), max_size=5))
def test_any_words_give_a_query_or_a_sentence(words: list[str]):
    try:
        assert make_query(words).parts
    except QueryInvalid as error:
        assert str(error)


def test_a_query_is_told_in_one_line():
    query = parse_query(["2:sunset", "sea"], without=["people"])
    assert str(query) == "2:sunset + sea \N{MINUS SIGN} people"
    assert str(Query(())) == ""


def encoded(vectors: np.ndarray, *weights: float) -> EncodedQuery:
    count = len(weights)
    return EncodedQuery(unit_rows(vectors), np.array(weights, np.float32), np.zeros(count, bool), frozenset())


def test_one_part_is_its_own_vector():
    vector = np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32)
    one = encoded(vector, 3.0)
    assert np.allclose(mix(one, np.zeros((0, 8), np.float32)).vector, one.vectors[0])


@pytest.mark.parametrize("images", [20, 500])
def test_each_part_moves_the_ranking_by_its_weight(images: int):
    generator = np.random.default_rng(1)
    sample = unit_rows(
        generator.normal(size=(images, 16)).astype(np.float32) * np.linspace(0.05, 3, 16, dtype="f4")
    )
    narrow, wide = np.eye(16, dtype=np.float32)[
        [0, 15]
    ]  # scores of the first hardly differ, of the second much
    vector = mix(encoded(np.stack([narrow, wide]), 1.0, 1.0), sample).vector
    moved = [float(vector[axis] * (sample[:, axis]).std()) for axis in (0, 15)]
    assert moved[0] == pytest.approx(moved[1], rel=1e-3)


def test_a_part_that_is_taken_away_counts_against():
    sample = unit_rows(np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32))
    vector = mix(encoded(np.eye(4, dtype=np.float32)[:2], 1.0, -1.0), sample).vector
    assert vector[0] > 0 > vector[1]


def test_a_tiny_library_mixes_by_plain_weights():
    sample = np.eye(4, dtype=np.float32)[:3]
    vector = mix(encoded(np.eye(4, dtype=np.float32)[:2], 3.0, 4.0), sample).vector
    assert np.allclose(vector, [0.6, 0.8, 0, 0])


@pytest.mark.parametrize(
    ("parts", "images"), [([0, 0], 50), ([0, 1], 1)], ids=["the same taken away", "images that are all alike"]
)
def test_parts_that_tell_no_image_from_another_give_numbers_all_the_same(parts: list[int], images: int):
    sample = unit_rows(np.random.default_rng(2).normal(size=(images, 4)).astype(np.float32))
    sample = np.tile(sample, (50 // images, 1))
    mixed = mix(encoded(np.eye(4, dtype=np.float32)[parts], 1.0, -1.0), sample)
    assert np.isfinite([*mixed.vector, *mixed.shares]).all()


def test_an_example_of_a_user_who_is_none_is_told() -> None:
    with pytest.raises(QueryInvalid, match="no such user as ~nouser"):
        parse_query(["~nouser/cat.jpg"])


def test_what_helps_with_an_example_that_is_too_large_is_a_smaller_copy(tmp_path: Path) -> None:
    image = tmp_path / "huge.png"
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 12_000, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = struct.pack(">I", 20_000) + b"IDAT" + bytes(20_000)
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data)
    encoder: Any = SimpleNamespace(card=make_card())
    with pytest.raises(QueryInvalid) as raised:
        encode_query(make_query([], like=[image]), encoder)
    assert str(raised.value) == f"{image}: 240 MP is over the limit of 200 MP; give a smaller copy of it"


def test_a_page_may_name_an_example_by_its_address(tmp_path: Path):
    file = tmp_path / "photo 0 Zoë.jpg"
    file.touch()
    assert parse_query([file.as_uri(), "snow"]).parts == (QueryPart(1.0, path=file), QueryPart(1.0, "snow"))


@pytest.mark.parametrize(
    ("words", "like"),
    [
        (["./photo", "10.jpg"], []),
        (["dog", "2:./photo", "10.jpg"], []),
        (["photo", "10.jpg"], []),
        (["10.jpg", "dog"], ["photo"]),
    ],
)
def test_a_name_that_the_shell_split_is_told_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], like: list[str]
):
    (tmp_path / "photo 10.jpg").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExampleMissing, match=r"no such file; did you forget quotes\? '(\./)?photo 10\.jpg'$"):
        parse_query(words, like=like)


@pytest.mark.parametrize("word", ["./dog", "2:./dog"])
def test_a_missing_file_that_may_be_a_word_is_told_as_such(word: str):
    with pytest.raises(QueryInvalid) as raised:
        parse_query([word])
    assert str(raised.value) == (
        "dog: no such file; check the spelling, or, to search for words, leave out ./ and the ending"
    )


def test_a_folder_with_blanks_is_advised_in_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "Summer 2019").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryInvalid, match=r"--in 'Summer 2019'$"):
        parse_query(["./Summer 2019"])
