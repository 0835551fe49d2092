"""What one file tells beside its picture counts where another does not tell it."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from search.duplicates.lacking import tells_more

from .test_keeping import PLAIN


@pytest.mark.parametrize(
    "fact",
    [{"taken_at": datetime(2019, 5, 3)}, {"camera": "Canon"}, {"latitude": 47.5}],
    ids=["date", "camera", "place"],
)
def test_a_file_that_alone_knows_a_fact_tells_more(fact: dict[str, Any], tmp_path: Path) -> None:
    plain = replace(PLAIN, path=tmp_path / "plain.jpg")
    told = replace(plain, path=tmp_path / "told.jpg", **fact)
    assert tells_more(told, plain)
    assert not tells_more(plain, told)
    assert not tells_more(told, replace(told, path=tmp_path / "copy.jpg"))


def test_a_file_with_edits_beside_it_tells_more(tmp_path: Path) -> None:
    edited, plain = (replace(PLAIN, path=tmp_path / name) for name in ("edited.jpg", "plain.jpg"))
    (tmp_path / "edited.jpg.xmp").write_text("rating 5")
    assert tells_more(edited, plain)
    assert not tells_more(plain, edited)
