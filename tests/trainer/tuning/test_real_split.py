"""Each method, with the settings users get, makes the built-in model better on photos it has not seen."""

from pathlib import Path

import pytest

from trainer.checking import check
from trainer.examples import Example
from trainer.sources import read_examples
from trainer.tuning.running import Request, Summary, tune
from trainer.tuning.settings import Method

SHARED = Path(__file__).parents[4] / "shared" / "data"
# The built-in model's settings were chosen on these thousand photos, but it never learned from them.
PAIRS = SHARED / "pairs" / "flickr8k-dev.tar"
CLASSES = SHARED / "labelled" / "caltech101-train.tar"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not SHARED.exists(), reason="the shared photos are not here"),
]


def run(method: Method, examples: list[Example], folder: Path) -> Summary:
    checked = check(examples, share=0.3)
    summary = tune(
        Request("builtin", method, checked.train, checked.validation, folder, asked={}, device="cpu")
    )
    assert summary is not None
    return summary


@pytest.mark.parametrize("method", [Method.FULL, Method.LORA, Method.HEAD])
def test_recall_on_held_out_photos_grows(method: Method, tmp_path: Path) -> None:
    summary = run(method, list(read_examples(PAIRS).examples), tmp_path / "run")
    assert summary.before is not None
    assert summary.after.recall_10 > summary.before.recall_10
    assert summary.after.overall > summary.before.overall


def test_a_head_finds_held_out_photos_by_their_patches_better(tmp_path: Path) -> None:
    summary = run(Method.PACL, list(read_examples(PAIRS).examples), tmp_path / "run")
    assert summary.before is not None
    assert summary.after.overall > summary.before.overall


def test_a_probe_names_held_out_photos_better_than_the_names_of_the_classes_do(tmp_path: Path) -> None:
    examples = read_examples(CLASSES).examples
    chosen = sorted({str(example.label) for example in examples})[:20]
    some = [example for example in examples if example.label in chosen][::3]
    summary = run(Method.PROBE, some, tmp_path / "run")
    assert summary.probe is not None
    by_names, by_probe = summary.probe
    assert by_probe > by_names
