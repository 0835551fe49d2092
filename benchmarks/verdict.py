"""Verdict: a report of duplicates held against the truth about a messy folder."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Verdict:
    """What a report found, by what was done to the files; a group is mixed when it holds two photos."""

    found: dict[str, tuple[int, int]]  # what was done -> files in a group with their original's, of how many
    groups: int
    mixed: tuple[str, ...]  # the kept file of each group that holds another photo as well
    originals_given_up: int  # photos of which nothing but an edited version would be left

    def lines(self) -> Iterator[str]:
        """Put it in lines for a person."""
        for what, (some, every) in sorted(self.found.items()):
            yield f"{what}: {some} of {every}"
        yield f"{self.groups} groups, {len(self.mixed)} of them with two photos in them"
        yield f"{self.originals_given_up} originals would go for an edited version"
        yield from (f"mixed: {path!r}" for path in self.mixed)


def judge(report: Path, truth: Path, folder: Path) -> Verdict:
    """Judge what `sightline duplicates --json` said of a messy folder."""
    told = {fact["path"]: fact for fact in json.loads(truth.read_text(encoding="ascii"))}
    groups = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    photo_of = {path: fact["of"] for path, fact in told.items() if fact["of"] is not None}
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    grouped = {path for group in groups for path in _paths(group, folder)}
    for path, fact in told.items():
        if fact["level"] is not None:
            counts = found[f"{fact['what']} ({fact['level']})"]
            counts[0] += path in grouped
            counts[1] += 1
    mixed = [
        group["keep"]
        for group in groups
        if len({photo_of.get(path, path) for path in _paths(group, folder)}) > 1
    ]
    return Verdict(
        {what: (some, every) for what, (some, every) in found.items()},
        len(groups),
        tuple(mixed),
        sum(_gives_up_original(group, told, folder) for group in groups),
    )


def _paths(group: dict, folder: Path) -> list[str]:  # type: ignore[type-arg]
    every = [group["keep"], *(member["path"] for member in group["members"])]
    return [Path(path).relative_to(folder).as_posix() for path in every]


def _gives_up_original(group: dict, told: dict, folder: Path) -> bool:  # type: ignore[type-arg]
    kept, *others = _paths(group, folder)
    return told[kept]["level"] != "exact" and any(told[path]["level"] == "exact" for path in others)
