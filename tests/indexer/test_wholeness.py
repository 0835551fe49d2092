from pathlib import Path

import pytest

from indexer.wholeness import has_lost_part
from tests.search.duplicates.negatives import negative_with_preview
from tests.search.duplicates.photos import photo


@pytest.mark.parametrize(("share", "lost"), [(1.0, False), (0.95, True), (0.1, True)])
def test_a_negative_without_all_of_its_sensor_data_has_lost_a_part(
    share: float, lost: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data, sensor_at = negative_with_preview(photo("coffee"))
    (tmp_path / "x.dng").write_bytes(data[: sensor_at + round((len(data) - sensor_at) * share)])
    assert has_lost_part(tmp_path / "x.dng", "RAW") == lost
    assert capfd.readouterr().err == ""


def test_a_jpeg_with_a_sector_of_zeros_has_lost_a_part(tmp_path: Path) -> None:
    photo("coffee").save(tmp_path / "x.jpg", quality=90)
    assert not has_lost_part(tmp_path / "x.jpg", "JPEG")
    with (tmp_path / "x.jpg").open("r+b") as file:
        file.seek(20_000)
        file.write(bytes(512))
    assert has_lost_part(tmp_path / "x.jpg", "JPEG")


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        has_lost_part(tmp_path / "gone.jpg", "JPEG")
