import os
from pathlib import Path

import pytest

from indexer.errors import UsageError
from indexer.paths import home_expanded, home_expanded_or_kept, identity_of


@pytest.mark.parametrize("expand", [home_expanded, home_expanded_or_kept])
def test_a_tilde_stands_for_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expand) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand(Path("~/photos")) == tmp_path / "photos"


def test_a_user_that_there_is_not_is_told_with_what_to_write_for_a_file() -> None:
    with pytest.raises(UsageError, match="no such user as ~nobody-here, or"):
        home_expanded(Path("~nobody-here/x"))


def test_a_name_that_merely_begins_with_a_tilde_may_stay() -> None:
    assert home_expanded_or_kept(Path("~draft.jpg")) == Path("~draft.jpg")


def test_a_hard_link_shares_what_identifies_a_file_and_a_copy_does_not(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"1")
    os.link(file, tmp_path / "linked")
    (tmp_path / "copy").write_bytes(b"1")
    assert identity_of(tmp_path / "linked") == identity_of(file) != identity_of(tmp_path / "copy")


def test_a_symbolic_link_is_one_thing_and_what_it_leads_to_another(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert identity_of(tmp_path / "link") == identity_of(tmp_path)
    assert identity_of(tmp_path / "link", follow_links=False) != identity_of(tmp_path)


def test_nothing_identifies_what_is_not_there(tmp_path: Path) -> None:
    assert identity_of(tmp_path / "none") is None
