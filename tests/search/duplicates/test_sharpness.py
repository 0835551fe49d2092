from pathlib import Path

import cv2
import numpy as np
import pytest

from indexer.opening import open_upright
from search.duplicates import sharpness

from .photos import photo


def test_detail_is_that_of_the_whole_picture_however_it_is_cut_into_strips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("coffee").save(tmp_path / "x.png")
    grey = np.asarray(photo("coffee").convert("L"), np.float32)
    whole = np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean() / grey.std()
    monkeypatch.setattr(sharpness, "ROWS_AT_ONCE", 7)
    assert sharpness._detail(tmp_path / "x.png", 1) == pytest.approx(whole, rel=1e-5)


def test_a_picture_that_was_taken_in_over_the_usual_limit_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("coffee").save(tmp_path / "x.png")
    monkeypatch.setitem(open_upright.__kwdefaults__, "max_megapixels", 0.001)
    assert sharpness._detail(tmp_path / "x.png", 2) > 0
