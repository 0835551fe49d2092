import os
from pathlib import Path

import pytest

from indexer.errors import UsageError
from indexer.typed_paths import from_address, rejoined


@pytest.mark.parametrize("name", ["photo 0.jpg", "Zoë #1?.jpg", "100%.jpg", "a+b.jpg"])
def test_what_pathlib_writes_as_an_address_is_read_back(tmp_path: Path, name: str):
    assert from_address((tmp_path / name).as_uri()) == tmp_path / name


@pytest.mark.skipif(os.name == "nt", reason="a computer's name is a part of paths there")
def test_a_file_of_another_computer_is_refused_and_one_of_this_is_not():
    assert from_address("file://localhost/a.jpg") == Path("/a.jpg")
    with pytest.raises(UsageError, match="computer 'nas'"):
        from_address("file://nas/a.jpg")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("file:///C:/a%20b.jpg", "C:/a b.jpg"),
        ("file://localhost/C:/x.jpg", "C:/x.jpg"),
        ("file://C:/x.jpg", "C:/x.jpg"),
        ("file://server/share/x.jpg", "//server/share/x.jpg"),
        ("file:////server/share/x.jpg", "//server/share/x.jpg"),
        ("file://///server/share/x.jpg", "//server/share/x.jpg"),
    ],
)
def test_addresses_of_drives_and_shares_are_read_on_windows(address: str, path: str):
    assert from_address(address, system="nt") == Path(path)


@pytest.mark.parametrize("name", ["a#1.jpg", "a?1.jpg", "a #1?.jpg"])
def test_a_sign_that_is_not_escaped_belongs_to_the_name_of_a_file_that_is_there(tmp_path: Path, name: str):
    (tmp_path / name).touch()
    assert from_address(f"file://{tmp_path}/{name}") == tmp_path / name


@pytest.mark.parametrize("end", ["#top", "?page=2", "?page=2#top"])
def test_what_follows_a_name_in_an_address_is_left_out(tmp_path: Path, end: str):
    assert from_address(f"file://{tmp_path}/a.jpg{end}") == tmp_path / "a.jpg"


def test_a_name_is_put_together_from_the_words_around_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my best photo.jpg").touch()
    monkeypatch.chdir(tmp_path)
    assert rejoined(["a", "my", "best", "photo.jpg", "b"], 2) == "my best photo.jpg"
    assert rejoined(["a", "my", "best", "photo.jpg", "b"], 4) is None


def test_a_word_by_itself_is_no_name_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "photo").touch()
    monkeypatch.chdir(tmp_path)
    assert rejoined(["photo", "dog"], 0) is None


def test_words_that_can_be_no_name_do_no_harm():
    assert rejoined(["a\0b", "x" * 5000, "~nouser/c"], 1) is None
