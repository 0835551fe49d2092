"""Spool: candidates on their way from the searches to the judge; on disk when they are very many.

A million frames of cameras that stand still make fifty million pairs: more than should be in memory. Past a
bar the pairs gathered so far are put in order and written to a temporary file, a *run*. In the end all runs
are merged piece by piece, and the result is read through memory maps.
"""

import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from indexer.errors import SightlineError, TemporaryFolderFull
from indexer.records import Ids

from .candidates import Candidates, merged

IN_MEMORY_MAX = 2_000_000  # pairs; some 100 bytes each while they are put in order
_COLUMNS = Candidates.__slots__
_ALIGNMENT = 8  # bytes, of the largest numbers


def gather(parts: Iterable[Candidates], *, in_memory_max: int = IN_MEMORY_MAX) -> Candidates:
    """Join candidates as `merged` does, whatever their number; raises TemporaryFolderFull."""
    try:
        return _gather(parts, in_memory_max)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TemporaryFolderFull(Path(tempfile.gettempdir())) from error
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise SightlineError(
                "the system lets this program open no further file; allow more with `ulimit -n 4096`, and "
                "run the same command again"
            ) from error
        raise


def _gather(parts: Iterable[Candidates], in_memory_max: int) -> Candidates:
    waiting: list[Candidates] = []
    with ExitStack() as stack:
        runs: _Runs | None = None
        for part in parts:
            waiting.append(part)
            if sum(map(len, waiting)) > in_memory_max:
                waiting = [merged(waiting)]  # what two searches found is one pair now
                if len(waiting[0]) > in_memory_max // 2:
                    runs = runs or stack.enter_context(_Runs())
                    runs.add(waiting.pop())
        if runs is None:
            return merged(waiting)
        return _written(_pieces([*runs.maps(), merged(waiting)], in_memory_max))


class _Runs:
    """Runs behind one another in one temporary file: there may be hundreds, and few files may be open."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="sightline-pairs-")  # noqa: SIM115  (closed by __exit__)
        self._columns: list[list[_Column]] = []  # of each run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, pairs: Candidates) -> None:
        """Write a run."""
        self._columns.append([self._write(np.asarray(getattr(pairs, name))) for name in _COLUMNS])

    def _write(self, column: NDArray[Any]) -> "_Column":
        start = self._file.seek(-self._file.tell() % _ALIGNMENT, os.SEEK_CUR)
        self._file.write(column.tobytes())
        return _Column(start, column.nbytes, column.dtype)

    def maps(self) -> list[Candidates]:
        """Give all runs as maps of the file."""
        self._file.flush()
        whole = np.memmap(self._file, np.uint8, "r")
        return [
            Candidates(*(whole[c.start : c.start + c.size].view(c.dtype) for c in columns))
            for columns in self._columns
        ]


class _Column(NamedTuple):
    """Where a column of a run lies in the file."""

    start: int  # bytes
    size: int
    dtype: np.dtype[Any]


def _pieces(runs: Sequence[Candidates], in_memory_max: int) -> Iterator[Candidates]:
    """Merge runs, a range of first contents at a time."""
    starts = [0] * len(runs)
    while any(start < len(run) for start, run in zip(starts, runs, strict=True)):
        bound = _next_bound(runs, starts, max(1, in_memory_max // len(runs)))
        ends = [int(np.searchsorted(run.first, bound)) for run in runs]
        yield merged([run.chosen(slice(a, b)) for run, a, b in zip(runs, starts, ends, strict=True)])
        starts = ends


def _next_bound(runs: Sequence[Candidates], starts: Sequence[int], rows: int) -> int:
    """Give the first content before which no run has many more rows than that; one content passes always."""
    left = [run.first[start:] for run, start in zip(runs, starts, strict=True) if start < len(run)]
    least = min(int(first[0]) for first in left)
    if all(len(first) <= rows for first in left):
        return max(int(first[-1]) for first in left) + 1
    return max(least + 1, min(int(first[rows]) for first in left if len(first) > rows))


def _written(pieces: Iterable[Candidates]) -> Candidates:
    """Write candidates one after another, a file for each column; what comes back are maps of these files."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(prefix="sightline-pairs-")) for _ in _COLUMNS]
        dtypes = []
        for piece in pieces:
            columns = [np.asarray(getattr(piece, name)) for name in _COLUMNS]
            dtypes = [column.dtype for column in columns]
            for file, column in zip(files, columns, strict=True):
                file.write(column.tobytes())
        for file in files:
            file.flush()
        # The maps stay when the files are closed, and the files go with the last map.
        return Candidates(*(np.memmap(file, dtype, "r") for file, dtype in zip(files, dtypes, strict=True)))


def chosen(pairs: Candidates, is_wanted: Callable[[Candidates], NDArray[np.bool_]]) -> Candidates:
    """Give those that are wanted; is_wanted: some pairs -> (n,) whether each is."""
    return gather(block.chosen(is_wanted(block)) for block in blocks(pairs))


def blocks(pairs: Candidates) -> Iterator[Candidates]:
    """Cut candidates to what can be in memory."""
    size = IN_MEMORY_MAX // 4
    return (pairs.chosen(slice(start, start + size)) for start in range(0, len(pairs), size))


class Neighbours:
    """What each content is paired with."""

    def __init__(self, pairs: Candidates) -> None:
        self._pairs = pairs
        self._back = gather(replace(block, first=block.second, second=block.first) for block in blocks(pairs))

    def of(self, content: int) -> list[int]:
        """Give the contents paired with this one, in order."""
        return [*_partners(self._back, content), *_partners(self._pairs, content)]

    def contents(self) -> Ids:
        """Give all contents that have a neighbour, in order."""
        found = np.empty(0, np.int64)
        for block in (*blocks(self._pairs), *blocks(self._back)):
            found = np.union1d(found, block.first)
        return found


def _partners(pairs: Candidates, content: int) -> list[int]:
    begin, end = np.searchsorted(pairs.first, [content, content + 1])
    partners: list[int] = pairs.second[begin:end].tolist()
    return partners
