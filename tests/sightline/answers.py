"""Answers made by hand, over images made on the spot."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from PIL import Image

from search.query import make_query
from search.results import Hit, SearchAnswer

NAMES = ("red.jpg", "tall & <b>bold.png", "Zoë 🐶 日本.jpg", "'\" onerror=alert(1) x='.jpg")
SIZES = ((640, 480), (300, 900), (1200, 400), (64, 64))


def make_images(folder: Path, names: Sequence[str] = NAMES) -> list[Path]:
    paths = [folder / name for name in names]
    for number, (path, size) in enumerate(zip(paths, SIZES, strict=False)):
        Image.new("RGB", size, (200, 60 * number, 90)).save(path)
    return paths


def make_answer(paths: Sequence[Path], *, nothing_matches: bool = False, query: str = "a red <i>dog</i>"):
    return SearchAnswer(
        query=make_query([query]),
        hits=tuple(make_hit(path, rank) for rank, path in enumerate(paths)),
        nothing_matches=nothing_matches,
        images=1234,
        files=1250,
        encoder="builtin",
        weights_hash="of other weights",
        seconds=0.5,
    )


def make_hit(path: Path, rank: int) -> Hit:
    return Hit(
        path=path,
        score=0.3 - 0.01 * rank,
        relevance=max(0.95 - 0.2 * rank, 0.0),
        width=640,
        height=480,
        format="JPEG",
        taken_at=datetime(2024, 5, 17, 9, 30),
        modified_at=datetime(2024, 6, 1),
        camera="Canon EOS <5D>",
        latitude=52.5,
        longitude=13.4,
        size=123_456,
        content_hash=f"{rank:064x}",
    )
