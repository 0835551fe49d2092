"""The run folder: settings, log, checkpoint and summary of a run, each written whole."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.encoders.names import CONFIG_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILES
from indexer.encoders.patch_head import HEAD_CARD_FILE, HEAD_FILE
from indexer.errors import PairsInvalid
from indexer.store.files import replacing

from .settings import Method

SETTINGS_FILE = "run.json"
LOG_FILE = "log.jsonl"
PAIRS_FILE = "pairs.jsonl"
CHECKPOINT_FILE = "checkpoint.pt"
SUMMARY_FILE = "summary.json"
BEST_FILE = "best.pt"  # the weights that were best on validation
CURVES_FILE = "curves.png"
BOARD_FOLDER = "tensorboard"
PROBE_FILE = "probe.npz"
PATCHES_FILES = ("patches-train.f16", "patches-validation.f16")  # only until a head for them is learned

# All that a run of any method writes. What a person has of such a name is theirs. A model in any form counts:
# of two kinds of weights in a folder the wrong ones may be loaded.
WRITTEN = (
    *(SETTINGS_FILE, LOG_FILE, PAIRS_FILE, CHECKPOINT_FILE, BEST_FILE),
    *(SUMMARY_FILE, CURVES_FILE, BOARD_FOLDER),
    *(CONFIG_FILE, *WEIGHTS_FILES, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE),
    *(HEAD_FILE, HEAD_CARD_FILE, PROBE_FILE, *PATCHES_FILES),
)


@dataclass(frozen=True, slots=True)
class Begun:
    """What a run began with."""

    model: str
    method: Method
    seed: int


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps what it has."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Where the run stands."""
        return self.path / CHECKPOINT_FILE

    @property
    def best(self) -> Path:
        """Where the best weights are until the run ends."""
        return self.path / BEST_FILE

    @property
    def pairs(self) -> Path:
        """What the run learns from and is validated on (`kept_pairs`)."""
        return self.path / PAIRS_FILE

    def forget_checkpoints(self) -> None:
        """Remove what only an unfinished run needs; it may be many gigabytes."""
        for file in (self.checkpoint, self.best):
            file.unlink(missing_ok=True)

    def check_is_free(self) -> None:
        """Raise PairsInvalid when a run, a model or a file that a run would replace is in it.

        So it does when it can be no folder.
        """
        for place in (self.path, *self.path.absolute().parents):
            if place.exists() and not place.is_dir():
                raise PairsInvalid(place, "a file, and a run is kept in a folder; name another with --out")
        if (self.path / SETTINGS_FILE).exists():
            raise PairsInvalid(
                self.path, "there is a run in it already; go on with --resume, or name another folder"
            )
        if taken := list(filter(self._has, WRITTEN)):
            raise PairsInvalid(
                self.path / taken[0],
                "there already, and a run writes its own file of that name; name another folder with --out",
            )

    def check_can_go_on(self) -> None:
        """Raise PairsInvalid when there is no run in it, or one that has ended."""
        self.description()
        if (self.path / SUMMARY_FILE).exists():
            raise PairsInvalid(
                self.path,
                "the run has ended, and its model is here; to train it further, begin another: "
                f"--from {self.path} --out ANOTHER",
            )

    def begin(self, description: Mapping[str, Any], *, resume: bool) -> None:
        """Make the folder and write what the run is; raises PairsInvalid when there is another run in it."""
        if not resume:
            self.check_is_free()
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_json(SETTINGS_FILE, description)

    def description(self) -> dict[str, Any]:
        """Read what the run is; raises PairsInvalid when there is none, or what tells it is damaged."""
        file = self.path / SETTINGS_FILE
        try:
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if not {"model", "settings"} <= found.keys():
                raise ValueError("a file of another kind")
        except (OSError, ValueError, AttributeError) as error:
            raise PairsInvalid(self.path, self._why_no_run()) from error
        return found

    def begun(self) -> Begun:
        """Read what the run began with; raises PairsInvalid as `description`."""
        told = self.description()
        try:
            return Begun(
                str(told["model"]), Method(told["settings"]["method"]), int(told["settings"]["seed"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PairsInvalid(self.path, self._why_no_run()) from error

    def _why_no_run(self) -> str:
        if any(map(self._has, WRITTEN)):
            remedy = "leave --resume out and name another folder with --out"
            return f"holds no run to go on with: its {SETTINGS_FILE} is damaged or gone; {remedy}"
        return "holds no run to go on with; leave --resume out"

    def _has(self, name: str) -> bool:
        return os.path.lexists(self.path / name)

    def log(self, **values: Any) -> None:
        """Add a line to the log."""
        with (self.path / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
            file.flush()

    def logged(self) -> Iterator[dict[str, Any]]:
        """Read the log; a line that a kill cut off is left out."""
        file = self.path / LOG_FILE
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def cut_log(self, step: int) -> None:
        """Forget what was logged after the step that a resumed run begins at."""
        kept = [line for line in self.logged() if line.get("step", 0) <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        with replacing(self.path / LOG_FILE) as file:
            file.write(text.encode())

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write what came of the run."""
        self._write_json(SUMMARY_FILE, summary)

    def _write_json(self, name: str, values: Mapping[str, Any]) -> None:
        with replacing(self.path / name) as file:
            file.write((json.dumps(values, indent=2, default=os.fspath) + "\n").encode())
