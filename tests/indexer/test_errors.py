"""The family of errors is what its picture shows."""

import re

from indexer import errors
from indexer.errors import SightlineError


def test_the_drawn_tree_holds_each_error_below_its_parent_with_its_exit_code():
    assert _drawn(errors.__doc__ or "") == _real(SightlineError, depth=0)


def _drawn(picture: str) -> dict[str, tuple[int, int | None]]:
    """Read the depth of each error, and the exit code that is shown where it is first given."""
    found = re.findall(r"^((?:[│├└─ ]{4})*)([A-Z]\w+)(?: +(\d+)  )?", picture, re.MULTILINE)
    tree = {name: (len(indent) // 4, int(code) if code else None) for indent, name, code in found}
    del tree["Errors"], tree["Interrupted"]
    return tree


def _real(kind: type[SightlineError], depth: int) -> dict[str, tuple[int, int | None]]:
    tree = {kind.__name__: (depth, kind.exit_code if "exit_code" in vars(kind) else None)}
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            tree |= _real(child, depth + 1)
    return tree
