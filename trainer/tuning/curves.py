"""Curves: a run's log as a picture and as TensorBoard's events."""

from pathlib import Path
from typing import Any

from .folder import BOARD_FOLDER, CURVES_FILE, RunFolder

RECALLS = ("recall_1", "recall_5", "recall_10")


def draw_curves(folder: RunFolder) -> Path | None:
    """Draw loss, rate and validation over the steps; None without matplotlib (extra `train`)."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    lines = list(folder.logged())
    figure: Any = Figure(figsize=(12, 3.6), layout="constrained")
    loss, rate, recall = figure.subplots(1, 3)
    _plot(loss, lines, ("loss",), "loss")
    _plot(rate, lines, ("rate",), "learning rate")
    _plot(recall, lines, RECALLS, "recall on validation, text to image")
    place = folder.path / CURVES_FILE
    figure.savefig(place, dpi=100)
    return place


def _plot(axes: Any, lines: list[dict[str, Any]], names: tuple[str, ...], title: str) -> None:
    for name in names:
        points = [(line["step"], line[name]) for line in lines if name in line]
        if points:
            axes.plot(
                *zip(*points, strict=True), label=name.replace("_", "@"), marker="." * (len(points) < 20)
            )
    axes.set_title(title)
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    if len(names) > 1 and axes.lines:
        axes.legend()


def write_board(folder: RunFolder) -> bool:
    """Write the log as TensorBoard's events; False without the package, which the extra `train` brings."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return False
    for old in (folder.path / BOARD_FOLDER).glob("events.*"):
        old.unlink()
    with SummaryWriter(str(folder.path / BOARD_FOLDER)) as writer:
        for line in folder.logged():
            for name, value in line.items():
                if isinstance(value, (int, float)) and name not in ("step", "epoch", "images", "seconds"):
                    writer.add_scalar(name, value, line["step"])
    return True
