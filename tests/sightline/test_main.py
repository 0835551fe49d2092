import errno
import io
import sys

import pytest

from sightline import cli


class FullDisk(io.StringIO):
    """Takes nothing, as /dev/full."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_that_finds_no_room_ends_with_a_line_and_the_code_of_a_full_disk(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    ended: list[object] = []
    monkeypatch.setattr(sys, "stdout", FullDisk())
    monkeypatch.setattr(sys, "argv", ["sightline", option])
    monkeypatch.setattr(cli, "_leave", lambda end: ended.append(end.code))
    cli.main()
    assert ended == [6]
    assert capsys.readouterr().err == "sightline: writing: the disk is full\n"
