"""Candidates are joined the same way in memory and on disk."""

import errno
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import DiskFull, SightlineError
from search.duplicates import spool
from search.duplicates.candidates import Candidates, merged
from search.duplicates.spool import Neighbours, chosen, gather


def drawn(count: int, seed: int, contents: int = 60) -> Candidates:
    """Draw pairs, some of them several times."""
    chance = np.random.default_rng(seed)
    one, other = chance.integers(0, contents, (2, count))
    other = np.where(one == other, one + 1, other)
    cosine = chance.random(count).astype(np.float32)
    return Candidates(
        np.minimum(one, other),
        np.maximum(one, other),
        chance.integers(-1, 32, count).astype(np.int16),
        chance.integers(0, 8, count).astype(np.int8),
        np.where(chance.random(count) < 0.5, np.nan, cosine).astype(np.float32),
        np.where(chance.random(count) < 0.5, np.nan, 1 - cosine).astype(np.float32),
    )


def same(one: Candidates, other: Candidates) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in ("cosine", "nearness"))
        for name in Candidates.__slots__
    )


def distinct(parts: list[Candidates]) -> list[Candidates]:
    """Give a pair its own turn: which of two equally near ones counts is left open."""
    return [replace(p, turn=(p.hash_distance % 8).astype(np.int8)) for p in parts]


@pytest.mark.parametrize("in_memory_max", [1, 7, 50, 400])
@pytest.mark.parametrize("contents", [5, 60, 5000])
def test_on_disk_the_same_pairs_come_out_as_in_memory(in_memory_max: int, contents: int) -> None:
    parts = distinct([drawn(count, seed, contents) for seed, count in enumerate((0, 90, 1, 250, 33))])
    assert same(gather(parts, in_memory_max=in_memory_max), merged(parts))


def test_few_pairs_touch_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    parts = distinct([drawn(90, 1)])
    assert same(gather(parts), merged(parts))


def test_what_is_on_disk_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0

    def noting(parts):
        nonlocal largest
        largest = max(largest, sum(map(len, parts)))
        return merged(parts)

    monkeypatch.setattr(spool, "merged", noting)
    gather((drawn(100, seed, contents=100_000) for seed in range(300)), in_memory_max=1000)
    assert largest <= 2 * 1000


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["disk", "quota"])
def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DiskFull, match=f"{tempfile.gettempdir()}: .* TMPDIR"):
        gather([drawn(90, 1)], in_memory_max=10)


def test_a_system_that_opens_no_further_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(tempfile, "TemporaryFile", no_more)
    with pytest.raises(SightlineError, match="ulimit"):
        gather([drawn(90, 1)], in_memory_max=10)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted as Linux tells them")
def test_very_many_runs_keep_few_files_open() -> None:
    before, most = open_files(), 0

    def noting():
        nonlocal most
        for seed in range(200):
            most = max(most, open_files() - before)
            yield drawn(60, seed, contents=30)

    gather(noting(), in_memory_max=50)
    assert most <= 2  # of the runs, and what counts them


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_pair_is_found_by_its_contents() -> None:
    found = merged([drawn(200, 3)])
    for row in (0, 57, len(found) - 1):
        assert found.row_of(int(found.first[row]), int(found.second[row])) == row
    for first, second in ((1000, 1001), (int(found.first[0]), 1000)):
        with pytest.raises(KeyError):
            found.row_of(first, second)


def test_neighbours_are_both_sides_of_the_pairs() -> None:
    found = merged([drawn(200, 4)])
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    neighbours = Neighbours(found)
    for item in range(70):
        expected = {a + b - item for a, b in pairs if item in (a, b)}
        assert neighbours.of(item) == sorted(expected)
    assert neighbours.contents().tolist() == sorted({item for pair in pairs for item in pair})


def test_those_that_are_wanted_are_chosen_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY_MAX", 40)
    found = merged([drawn(200, 5)])
    assert same(chosen(found, lambda some: some.first % 2 == 0), found.chosen(found.first % 2 == 0))
