import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.store.names import decode_name, encode_name, folder_range, root_path, stored_root


@given(st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw))
def test_any_bytes_survive_the_catalog(raw: bytes) -> None:
    name = os.fsdecode(raw)
    stored = encode_name(name)
    stored.encode("utf-8")  # SQLite takes it
    assert decode_name(stored) == name


def test_a_name_of_plain_unicode_is_stored_as_it_is() -> None:
    assert encode_name("Ferien/Zürich 🏔.jpg") == "Ferien/Zürich 🏔.jpg"


def test_a_byte_that_is_no_unicode_is_stored_readably() -> None:
    assert encode_name(os.fsdecode(b"caf\xe9.jpg")) == "caf\ufffde9.jpg"


def test_two_names_never_share_a_stored_name() -> None:
    odd = os.fsdecode(b"\xe9")
    assert len({encode_name(name) for name in (odd, "\ufffde9", "\ufffd", "e9")}) == 4


def test_a_name_that_this_system_cannot_have_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = encode_name(os.fsdecode(b"caf\xe9.jpg"))
    monkeypatch.setattr(os, "fsdecode", lambda raw: raw.decode("utf-8", "surrogatepass"))  # as on Windows
    assert decode_name(stored) == "caf\\xe9.jpg"


@pytest.mark.parametrize("other", ["a0", "a-b/x", "a%", "A/x", "a", "ab/x", "a\x7f/x"])
def test_the_range_of_a_folder_holds_nothing_else(other: str) -> None:
    first, end = folder_range("a")
    assert first <= "a/x" < end
    assert not first <= other < end


def test_a_root_beside_the_library_is_stored_relative(tmp_path: Path) -> None:
    library = tmp_path / ".sightline"
    assert stored_root(tmp_path, library) == "."
    assert stored_root(tmp_path / "2020" / "May", library) == "2020/May"
    assert root_path("2020/May", tmp_path / ".sightline") == tmp_path / "2020" / "May"


def test_a_root_elsewhere_is_stored_absolute(tmp_path: Path) -> None:
    stored = stored_root(tmp_path / "photos", tmp_path / "elsewhere" / ".sightline")
    assert stored == (tmp_path / "photos").as_posix()
    assert root_path(stored, Path("/other/.sightline")) == tmp_path / "photos"
