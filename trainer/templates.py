"""Templates: the sentences that the name of a class is put into."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from indexer.errors import UsageError

PLACE = "{}"  # where the name stands

# As a person might label a photo: how near, how many, how good, where, when. A model answers a little
# differently to each; the mean of their vectors keeps what they share, which is the thing itself (Radford
# et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, section 3.1.4).
ENSEMBLE = (
    "{}",
    "a {}",
    "the {}",
    "a photo of a {}.",
    "a picture of the {}.",
    "a close-up of a {}.",
    "a {} seen from far away.",
    "a {} in the middle of the picture.",
    "a {} at the edge of the picture.",
    "part of a {}.",
    "several {} side by side.",
    "a {} and other things.",
    "there is a {} in the picture.",
    "somebody took a picture of this {}.",
    "a snapshot of my {}.",
    "a professional photograph of a {}.",
    "a dark photo of a {}.",
    "a {} in bright sunlight.",
    "a blurred picture of a {}.",
    "a sharp picture of a {}.",
    "a small picture of a {}, enlarged.",
    "a black and white photo of a {}.",
    "a colourful picture of a {}.",
    "a {} indoors.",
    "a {} outdoors.",
    "a {} against a plain background.",
    "a big {}.",
    "a small {}.",
    "an unusual {}.",
    "a typical {}.",
    "a painting or drawing of a {}.",
)

# What a model learns the name of a class in.
TRAINING_TEMPLATES = (
    "{}",
    "a {}",
    "the {}",
    "a photo of a {}",
    "a picture of a {}",
    "a close-up of a {}",
    "a photo of the {}",
    "there is a {}",
    "a small {}",
    "one {} in the picture",
)


def read_templates(file: Path) -> tuple[str, ...]:
    """Read templates, one a line with {} where the name stands; empty lines and # lines are left out.

    Raises UsageError for a line without {}, and for a file without templates; OSError.
    """
    lines = [line.strip() for line in _text(file).splitlines()]
    templates = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        if PLACE not in line:
            raise UsageError(f"{file}, line {number}: {line!r} has no {PLACE} where the name is to stand")
        templates.append(line)
    if not templates:
        raise UsageError(f"{file} has no templates; write one a line, as in: a photo of a {PLACE}.")
    return tuple(templates)


def read_class_names(file: Path) -> dict[str, str]:
    """Read a JSON object of labels and their names; of several names parted by commas the first one counts.

    Raises UsageError for any other file; OSError.
    """
    try:
        told = json.loads(_text(file))
    except ValueError as error:
        raise UsageError(f"{file} is no JSON ({error}); write an object of labels and names") from error
    if not isinstance(told, dict) or not all(
        isinstance(name, str) and name.strip() for name in told.values()
    ):
        raise UsageError(f'{file}: write one object of labels and names, as in {{"n02084071": "dog"}}')
    return {label: name.split(",")[0].strip() or name for label, name in told.items()}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no UTF-8 text ({error.reason}); save it as UTF-8") from error


def name_of(label: str, names: Mapping[str, str]) -> str:
    """Give a class its name: the one that was told, else its label with spaces."""
    from .sources.wording import readable

    return names.get(label) or readable(label) or label


def prompts(names: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Write every name into every template, name by name."""
    return [template.replace(PLACE, name) for name in names for template in templates]
