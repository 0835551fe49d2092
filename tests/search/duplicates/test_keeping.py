from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from indexer.store.records import StoredImage
from search.duplicates.keeping import Keep, is_protected, order_to_keep

PLAIN = StoredImage(
    content_id=1,
    path=Path("/p/photo.jpg"),
    relative="photo.jpg",
    content_hash=bytes(32),
    width=1000,
    height=800,
    format="JPEG",
    taken_at=None,
    camera=None,
    latitude=None,
    longitude=None,
    size=200_000,
    mtime_ns=1_700_000_000_000_000_000,
)


def first(keep: Keep, *others: StoredImage, protected: tuple[Path, ...] = ()) -> StoredImage:
    return order_to_keep([*others, PLAIN], keep, protected)[0]


@pytest.mark.parametrize(
    "better",
    [
        replace(PLAIN, width=2000, size=10),
        replace(PLAIN, format="PNG", size=100),
        replace(PLAIN, size=300_000),
        replace(PLAIN, camera="Canon EOS 5D"),
        replace(PLAIN, mtime_ns=PLAIN.mtime_ns - 1),
        replace(PLAIN, path=Path("/p/a.jpg")),
    ],
    ids=["pixels", "lossless", "less compressed", "metadata", "older", "shorter path"],
)
def test_best_prefers_what_the_documentation_says(better: StoredImage) -> None:
    assert first(Keep.BEST, better) is better


def test_pixels_count_before_compression_and_metadata() -> None:
    told = replace(PLAIN, camera="Canon", latitude=1.0, size=900_000)
    large = replace(PLAIN, width=1100)
    assert order_to_keep([told, large], Keep.BEST)[0] is large


def test_largest_asks_for_bytes_and_oldest_for_the_camera_s_date_before_the_file_s() -> None:
    heavy = replace(PLAIN, width=10, size=10_000_000)
    assert first(Keep.LARGEST, heavy) is heavy
    old = replace(PLAIN, taken_at=datetime(1999, 1, 1), mtime_ns=PLAIN.mtime_ns + 10**18)
    assert first(Keep.OLDEST, old) is old
    assert first(Keep.NEWEST, old) is PLAIN


def test_first_goes_by_the_path() -> None:
    other = replace(PLAIN, path=Path("/a/very/long/way/down/photo.jpg"))
    assert first(Keep.FIRST, other) is other


def test_a_protected_file_stays_however_small() -> None:
    small = replace(PLAIN, path=Path("/album/photo.jpg"), width=10)
    assert first(Keep.BEST, small, protected=(Path("/album"),)) is small


@pytest.mark.parametrize("spelt", ["sub/../sub", "link", "."])
def test_a_folder_is_protected_however_it_is_spelt(
    spelt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("sub")
    monkeypatch.chdir(tmp_path)
    assert is_protected(tmp_path / "sub/photo.jpg", (tmp_path / spelt,))


def test_a_file_is_protected_by_where_its_folder_leads(tmp_path: Path) -> None:
    (tmp_path / "albums").mkdir()
    (tmp_path / "link").symlink_to("albums")
    assert is_protected(tmp_path / "link/photo.jpg", (tmp_path / "albums",))
    assert not is_protected(tmp_path / "photo.jpg", (tmp_path / "albums",))


def test_a_gif_comes_after_a_jpeg_of_its_size() -> None:
    assert first(Keep.BEST, replace(PLAIN, format="GIF", size=900_000)) is PLAIN


def test_a_sidecar_counts_as_metadata(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg.xmp").write_text("rating 5")
    told = replace(PLAIN, path=tmp_path / "photo.jpg", mtime_ns=PLAIN.mtime_ns + 1)
    assert first(Keep.BEST, told) is told


def test_the_order_never_depends_on_the_order_asked_in() -> None:
    images = [replace(PLAIN, path=Path(f"/p/{name}.jpg")) for name in "cab"]
    assert order_to_keep(images, Keep.BEST) == order_to_keep(images[::-1], Keep.BEST)
