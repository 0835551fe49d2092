import os
from pathlib import Path

import pytest
from PIL import Image

from indexer.errors import UsageError
from sightline.writing import check_drawing, write_picture, write_whole, written_whole


def test_a_file_is_replaced_whole(tmp_path: Path):
    file = tmp_path / "page.html"
    file.write_text("old and longer")
    write_whole(file, "neu: é")
    assert file.read_text(encoding="utf-8") == "neu: é"
    assert list(tmp_path.iterdir()) == [file]


def test_what_was_there_stays_when_writing_fails(tmp_path: Path):
    file = tmp_path / "page.html"
    file.write_text("old")
    with pytest.raises(RuntimeError), written_whole(file) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link(tmp_path: Path):
    (tmp_path / "target").mkdir()
    file, link = tmp_path / "target/page.html", tmp_path / "link.html"
    link.symlink_to(file)
    write_whole(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"


@pytest.mark.parametrize("name", [f"{'a' * 246}.html", f"No. {'a' * 247}"], ids=["stem", "suffix"])
def test_a_name_may_be_as_long_as_the_disk_takes(tmp_path: Path, name: str):
    write_whole(tmp_path / name, "new")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "said"),
    [("folder", "is a folder; give the name of a file"), ("gone/a.png", "there is no folder")],
)
def test_a_drawing_that_has_no_place_is_refused_before_it_is_drawn(tmp_path: Path, name: str, said: str):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=said):
        check_drawing(tmp_path / name)


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path):
    file = tmp_path / "page.html"
    with written_whole(file) as beside:
        beside.write_text("later")
        write_whole(file, "sooner")
    assert file.read_text() == "later"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, "through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path):
    with pytest.raises(OSError) as raised:  # any: it is the name that counts
        write_whole(tmp_path / "no" / "page.html", "new")
    assert raised.value.filename == str(tmp_path / "no" / "page.html")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_drawing_takes_the_place_of_a_drawing_and_of_nothing_else(tmp_path: Path, suffix: str):
    drawn, photo, link = (tmp_path / f"{name}{suffix}" for name in ("drawn", "photo", "link"))
    image = Image.new("RGB", (9, 9))
    image.save(photo)
    link.symlink_to(photo)
    before = photo.read_bytes()
    for _ in range(2):
        write_picture(image, drawn)
    for named in (photo, link):
        with pytest.raises(UsageError, match="did not draw"):
            write_picture(image, named)
    assert photo.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_may_be_drawn_into(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    check_drawing(tmp_path / "pipe.png")
