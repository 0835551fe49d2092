"""Places: paths as people write them."""

from pathlib import Path


def expanded(path: Path) -> Path:
    """Put the home folder for a ~; a name that merely begins with one, such as ~draft.jpg, stays."""
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path
