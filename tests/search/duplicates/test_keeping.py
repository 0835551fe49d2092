import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from indexer.store.names import absolute
from indexer.store.records import StoredImage
from search.duplicates.keeping import Keep, has_few_colours, is_protected, look_anew, order_to_keep

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
        replace(PLAIN, format="RAW", width=900, size=100),
        replace(PLAIN, width=2000, size=10),
        replace(PLAIN, format="PNG", size=100),
        replace(PLAIN, size=300_000),
        replace(PLAIN, camera="Canon EOS 5D"),
        replace(PLAIN, mtime_ns=PLAIN.mtime_ns - 1),
        replace(PLAIN, path=Path("/p/a.jpg")),
    ],
    ids=["negative", "pixels", "lossless", "less compressed", "metadata", "older", "shorter path"],
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


def test_a_date_that_no_clock_knows_has_its_place_all_the_same() -> None:
    early = replace(PLAIN, taken_at=datetime(1, 1, 1))  # which fails everywhere as 1963 does on Windows
    assert first(Keep.OLDEST, early) is early


def test_whether_a_picture_has_few_colours_is_told_at_any_size(tmp_path: Path) -> None:
    Image.new("1", (13_700, 13_700)).save(tmp_path / "plan.png")
    assert has_few_colours(replace(PLAIN, path=tmp_path / "plan.png", format="PNG"))


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


@pytest.mark.parametrize("sidecar", ["photo.jpg.xmp", "photo.xmp", "photo.XMP"])
def test_a_sidecar_counts_as_metadata(sidecar: str, tmp_path: Path) -> None:
    (tmp_path / sidecar).write_text("rating 5")
    told = replace(PLAIN, path=tmp_path / "photo.jpg", mtime_ns=PLAIN.mtime_ns + 1)
    assert first(Keep.BEST, told) is told


def test_a_sidecar_that_may_be_another_image_s_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "photo.xmp").write_text("rating 5")
    (tmp_path / "photo.dng").touch()
    told = replace(PLAIN, path=tmp_path / "photo.jpg", mtime_ns=PLAIN.mtime_ns + 1)
    assert first(Keep.BEST, told) is PLAIN


def test_a_sidecar_that_comes_later_is_seen(tmp_path: Path) -> None:
    told = replace(PLAIN, path=tmp_path / "photo.jpg", mtime_ns=PLAIN.mtime_ns + 1)
    assert first(Keep.BEST, told) is PLAIN
    (tmp_path / "photo.xmp").write_text("rating 5")
    os.utime(tmp_path, ns=(0, tmp_path.stat().st_mtime_ns + 1))  # clocks of file systems are coarse
    assert first(Keep.BEST, told) is told


def test_the_order_never_depends_on_the_order_asked_in() -> None:
    images = [replace(PLAIN, path=Path(f"/p/{name}.jpg")) for name in "cab"]
    assert order_to_keep(images, Keep.BEST) == order_to_keep(images[::-1], Keep.BEST)


def without_following_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give folders two names that their text does not tell to be one, as APFS and exFAT do by letter case."""
    monkeypatch.setattr("search.duplicates.keeping.real", absolute)
    look_anew()


def test_a_folder_is_protected_by_any_name_that_the_file_system_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "albums/2019").mkdir(parents=True)
    (tmp_path / "Albums").symlink_to("albums")
    without_following_links(monkeypatch)
    assert is_protected(tmp_path / "albums/2019/photo.jpg", (tmp_path / "Albums",))
    assert not is_protected(tmp_path / "photo.jpg", (tmp_path / "Albums",))


def test_a_file_may_be_protected_by_itself(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for named in ("photo.jpg", "link/photo.jpg"):
        assert is_protected(tmp_path / "photo.jpg", (tmp_path / named,))
    assert not is_protected(tmp_path / "other.jpg", (tmp_path / "photo.jpg",))


def test_where_a_link_leads_is_looked_up_anew_for_each_search(tmp_path: Path) -> None:
    for name in ("albums", "phone"):
        (tmp_path / name).mkdir()
    link = tmp_path / "link"
    for target, other in (("albums", "phone"), ("phone", "albums")):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        look_anew()
        protected = [is_protected(tmp_path / name / "photo.jpg", (link,)) for name in (target, other)]
        assert protected == [True, False]


def test_a_folder_that_is_gone_protects_nothing_else(tmp_path: Path) -> None:
    assert not is_protected(tmp_path / "away/photo.jpg", (tmp_path / "gone",))


def test_a_folder_is_looked_at_once_for_all_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    monkeypatch.setattr("search.duplicates.keeping.identity_of", lambda folder: looked.append(folder))
    for number in range(100):
        is_protected(tmp_path / f"{number}.jpg", (tmp_path / "albums",))
    assert len(looked) == len(set(looked))


def test_what_is_in_the_reference_comes_before_what_is_protected() -> None:
    known, kept = (replace(PLAIN, path=Path(f"/{place}/photo.jpg")) for place in ("known", "albums"))
    places = {"protected": (Path("/albums"),), "reference": Path("/known")}
    assert order_to_keep([PLAIN, kept, known], Keep.BEST, **places) == [known, kept, PLAIN]
