"""Measured regions as rows of a table, as sentences, and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from trainer.region_measure import RegionFigures, RegionMeasurement

HEAD = ("", "mean IoU, classes known", "all classes", "pointing", "box hits", "presence AUC")


def rows(measurements: Sequence[RegionMeasurement]) -> Iterator[tuple[str, ...]]:
    """Give a row for each model, and below them what needs no model; the photos must be the same."""
    for measurement in measurements:
        yield (measurement.model, *_cells(measurement.figures))
    for measurement in measurements[:1]:
        yield ("middle of the picture", *_cells(measurement.centre))
        yield ("chance", *_cells(measurement.chance))


def _cells(figures: RegionFigures) -> tuple[str, ...]:
    values = (
        figures.miou_known,
        figures.miou_every,
        figures.pointing,
        figures.box_hits,
        figures.presence_auc,
    )
    return tuple("-" if value is None else f"{value:.3f}" for value in values)


def sentence(measurement: RegionMeasurement) -> str:
    """Say how sure it is that a model beats the middle of the picture, and how often it claims things."""
    over, figures = measurement.over_centre, measurement.figures
    return (
        f"{measurement.model}: over {measurement.photos} photos and {measurement.queries} queries pointing "
        f"is {over.difference:+.3f} over the middle ({over.low:+.3f} to {over.high:+.3f}, p "
        f"{over.p_value:.4f}); said to be there: {figures.found:.2f} of the classes present, "
        f"{figures.false_alarms:.2f} of those absent"
    )


def as_dict(measurement: RegionMeasurement) -> dict[str, Any]:
    """Give plain values for JSON."""
    return asdict(measurement)
