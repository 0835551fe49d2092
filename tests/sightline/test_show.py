from pathlib import Path

import pytest

from sightline import show
from sightline.names import printable

from .answers import make_answer, make_images


def shown(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> str:
    """Give what a terminal so wide shows of four hits, whose names may be broken over lines."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    show.hits(make_answer(make_images(folder, ("red square.jpg", "b.png", "c.jpg", "d.jpg"))))
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [20, 40, 49, 50, 59, 60, 79, 80, 120])
def test_every_hits_name_is_shown_on_a_terminal_of_any_width(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    out = shown(width, monkeypatch, capsys, tmp_path)
    assert all(name in out for name in ("red square.jpg", "b.png", "c.jpg", "d.jpg"))
    assert out.count("0.300") == 1


@pytest.mark.parametrize(("width", "is_shown"), [(79, False), (80, True)])
def test_size_and_date_are_shown_where_there_is_room(
    width: int,
    is_shown: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    out = shown(width, monkeypatch, capsys, tmp_path)
    assert ("640×480" in out, "2024-05-17" in out) == (is_shown, is_shown)


def test_a_deleted_current_folder_costs_the_short_names_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    def no_folder() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(show.Path, "cwd", no_folder)
    out = shown(200, monkeypatch, capsys, tmp_path)
    assert printable(tmp_path / "b.png") in out
