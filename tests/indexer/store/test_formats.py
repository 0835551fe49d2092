"""docs/formats.md says what is so."""

import re
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np

from indexer.store import revisions, schema
from indexer.store.files import catalog_file
from indexer.store.library import open_library

from .making import DIMENSION, make_library

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")


def test_the_reader_on_the_page_reads_a_library(photos: Path) -> None:
    library = make_library(photos, 30)
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(program.strip().splitlines()) <= 15
    command = [sys.executable, "-c", program, str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    with open_library(library) as reader:
        encoder = reader.default_encoder()
        _, vectors = reader.embeddings(encoder)
        near = reader.nearest(encoder, vectors[:1], k=10)[0]
        images = reader.images([item.content_id for item in near])
    assert [Path(path) for _, path in lines] == [images[item.content_id][0].path for item in near]
    assert np.allclose([float(score) for score, _ in lines], [item.score for item in near], atol=1e-3)


def test_the_page_names_every_table_and_column() -> None:
    for table in schema.metadata.sorted_tables:
        assert f"**{table.name}**" in PAGE
        named = {"id", "key", "value"}  # told by their table's sentence
        for column in table.columns:
            assert column.name in named or f"`{column.name}`" in PAGE, f"{table.name}.{column.name}"


def test_the_page_tells_the_schema_of_today(library: Path) -> None:
    assert f"this page: `{revisions.HEAD}`" in PAGE
    with closing(sqlite3.connect(catalog_file(library))) as connection:
        assert connection.execute("PRAGMA page_size").fetchone() == (8192,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_offsets_of_the_faiss_file_are_those_of_the_page(library: Path) -> None:
    [path] = (library / "vectors").iterdir()
    raw = path.read_bytes()
    same = struct.pack("<iqqqBi", DIMENSION, 60, 1048576, 1048576, 1, 0)
    assert raw[:41] == b"IxM2" + same + b"IxSQ"
    assert raw[41:74] == same
    assert raw[74:110] == struct.pack("<iifQQQ", 4, 0, 0, DIMENSION, 2 * DIMENSION, 0)
    codes = 2 * DIMENSION * 60
    assert raw[110:118] == struct.pack("<Q", codes)
    with open_library(library) as reader:
        ids, vectors = reader.embeddings(reader.default_encoder())
    assert (np.frombuffer(raw[118 : 118 + codes], "<f2").reshape(60, -1) == vectors).all()
    assert raw[118 + codes :] == struct.pack("<Q", 60) + ids.astype("<i8").tobytes()
