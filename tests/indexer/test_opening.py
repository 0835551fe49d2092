"""What an image is opened for decides how much of it is read."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageOps

from indexer.opening import open_later_pictures, open_upright
from tests.search.duplicates.photos import photo


def test_a_heic_is_decoded_itself_where_its_thumbnail_may_not_stand_for_it(tmp_path: Path) -> None:
    pillow_heif.register_heif_opener()
    photo("coffee", 600).resize((1200, 800)).save(tmp_path / "x.heic", thumbnails=[600])
    whole = np.asarray(open_upright(tmp_path / "x.heic")[0].resize((300, 200), Image.Resampling.BOX), int)

    def off(*, thumbnails: bool) -> float:
        image = open_upright(tmp_path / "x.heic", target=(100, 100), thumbnails=thumbnails)[0]
        seen = np.asarray(image.resize((300, 200), Image.Resampling.BOX), int)
        return float(np.abs(seen - whole).mean())

    assert off(thumbnails=False) < 0.5 < off(thumbnails=True)


def failing(*_: Any, **__: Any) -> Image.Image:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("opens", [open_upright, lambda path: open_later_pictures(path, most=2, enough=32)])
def test_a_drive_that_fails_is_not_taken_for_damage_of_the_picture(
    opens: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("coffee").save(tmp_path / "x.png")
    monkeypatch.setattr("indexer.opening.Image.open", failing)
    with pytest.raises(OSError, match="Input/output error"):
        opens(tmp_path / "x.png")


def test_an_upright_image_is_not_turned_again_by_who_reads_what_it_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    photo("coffee", 64).save(tmp_path / "x.jpg", exif=exif)
    upright = open_upright(tmp_path / "x.jpg")[0]
    assert ImageOps.exif_transpose(upright).size == upright.size
