import os
from pathlib import Path

import pytest

from sightline.names import printable, short


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zoë's café 🐶.jpg", "Zoë's café 🐶.jpg"),
        ("日本 語.jpg", "日本 語.jpg"),
        ("two\nlines.jpg", "two\\nlines.jpg"),
        ("\x1b]0;owned\x07.jpg", "\\x1b]0;owned\\x07.jpg"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf\\xe9.jpg"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_a_name_cannot_steer_the_terminal(name: str, shown: str):
    assert printable(name) == shown


def test_paths_are_told_the_shorter_way():
    here = Path("/home/ada/Pictures/2024")
    assert short(here / "a" / "b.jpg", here) == str(Path("a/b.jpg"))
    assert short(here.parent / "b.jpg", here) == str(Path("../b.jpg"))
    assert short(Path("/mnt/b.jpg"), here) == str(Path("/mnt/b.jpg"))
