import unicodedata
from pathlib import Path

import pytest

from indexer.store import folders
from indexer.store.changes import put_root
from indexer.store.engines import engine_to_write
from indexer.store.folders import as_listed, folder_below
from indexer.store.library import open_for_writing
from indexer.store.root_identities import get_identities, note_identities

from .making import make_card, make_file, scan


def alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@pytest.fixture
def any_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the disk know a folder by every spelling, as those of macOS and Windows do."""
    real_identity = folders.identity_of

    def identity_of(path: Path) -> tuple[int, int] | None:
        found = Path(path.anchor)
        for name in path.parts[1:]:
            names = [each.name for each in found.iterdir()] if found.is_dir() else []
            found /= next((each for each in names if alike(each) == alike(name)), name)
        return real_identity(found)

    monkeypatch.setattr(folders, "identity_of", identity_of)


@pytest.fixture
def albums(tmp_path: Path) -> Path:
    """Give a folder whose names can be spelled otherwise."""
    made = tmp_path / "Pictures"
    (made / "Caf\u00e9" / "May").mkdir(parents=True)
    return made


@pytest.mark.usefixtures("any_spelling")
@pytest.mark.parametrize("spelled", ["Pictures/Caf\u00e9", "pictures/CAF\u00c9", "Pictures/cafe\u0301"])
def test_a_folder_is_written_as_the_disk_lists_it(albums: Path, spelled: str) -> None:
    assert as_listed(albums.parent / spelled) == albums / "Caf\u00e9"


@pytest.mark.parametrize("name", ["other", "PICTURES"])
def test_names_that_the_disk_keeps_apart_are_two_folders(albums: Path, name: str) -> None:
    (albums.parent / name).mkdir()
    assert as_listed(albums.parent / name) == albums.parent / name
    assert folder_below(as_listed(albums.parent / name), albums) is None


def test_what_is_away_keeps_its_name(tmp_path: Path) -> None:
    assert as_listed(tmp_path / "Drive" / "2020") == tmp_path / "Drive" / "2020"
    assert folder_below(tmp_path / "Drive" / "2020", tmp_path / "Drive") == "2020"
    assert folder_below(tmp_path / "drive" / "2020", tmp_path / "Drive") is None


@pytest.mark.parametrize("numbers", [(7, 7), None], ids=["one number", "no number"])
def test_where_numbers_tell_nothing_names_decide(
    albums: Path, monkeypatch: pytest.MonkeyPatch, numbers: tuple[int, int] | None
) -> None:
    monkeypatch.setattr(folders, "identity_of", lambda path: numbers)
    (albums.parent / "Other").mkdir()
    assert folder_below(albums.parent / "Other", albums) is None
    assert folder_below(albums / "Caf\u00e9", albums) == "Caf\u00e9"


@pytest.mark.usefixtures("any_spelling")
@pytest.mark.parametrize("spelled", ["pictures", "pictures/cafe\u0301/may"])
def test_one_folder_spelled_in_two_ways_is_one_root(albums: Path, tmp_path: Path, spelled: str) -> None:
    typed = tmp_path / spelled
    seen = make_file(albums, "Caf\u00e9/May/a.jpg", 9)
    again = make_file(typed, "Caf\u00e9/May/a.jpg" if spelled == "pictures" else "a.jpg", 9)
    with open_for_writing(tmp_path / "library", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        scan(writer, encoder, {seen: "A"})
        known, outcome = scan(writer, encoder, {again: "A"})
        assert [item.state for item in known] == ["unchanged"]
        assert outcome.removed == 0
        assert writer.roots() == (albums,)


@pytest.mark.usefixtures("any_spelling")
def test_a_folder_around_a_root_that_is_spelled_otherwise_takes_it_in(albums: Path, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    with open_for_writing(tmp_path / "library", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        scan(writer, encoder, {make_file(tmp_path / "PICTURES" / "CAF\u00c9", "May/a.jpg", 9): "A"})
        known, _ = scan(writer, encoder, {make_file(albums, "Caf\u00e9/May/a.jpg", 9): "A"})
        assert [item.state for item in known] == ["unchanged"]
        assert writer.roots() == (albums,)


def test_two_roots_that_are_one_folder_are_taken_in_as_one(
    albums: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """An older program made two roots of the two names."""
    with open_for_writing(tmp_path / "library", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        files = {"a.jpg": "A", "gone.jpg": "old"}
        scan(writer, encoder, {make_file(albums, name, 9): content for name, content in files.items()})
        scan(writer, encoder, {make_file(tmp_path / "pictures", "a.jpg", 9): "other"})
        assert len(writer.roots()) == 2
        request.getfixturevalue("any_spelling")
        writer.use_root(tmp_path)
        assert writer.roots() == (tmp_path,)
        assert (writer.status().files, writer.status().images, writer.status().kept) == (2, 2, 1)


def test_a_root_that_took_another_in_is_not_known_by_its_folder(
    albums: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """What came may be on a drive, which being away would not change the folder."""
    with open_for_writing(tmp_path / "library", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        scan(writer, encoder, {make_file(albums, "a.jpg", 9): "A"})
        scan(writer, encoder, {make_file(tmp_path / "pictures", "b.jpg", 9): "B"})
    engine = engine_to_write(tmp_path / "library")
    with engine.begin() as connection:
        note_identities(connection, {1: (7, 100), 2: (7, 101)})
        request.getfixturevalue("any_spelling")
        put_root(connection, albums, tmp_path / "library", 0)
        assert get_identities(connection) == {}
    engine.dispose()
