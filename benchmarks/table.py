"""The table: one row a figure, ours and the peer's from the same run."""

from dataclasses import dataclass
from statistics import median

from machine import machine_facts


@dataclass(frozen=True)
class Row:
    """A figure, in words; `holds` tells whether it is what it must be, None when nothing is asked of it."""

    what: str
    ours: str
    peer: str
    ratio: str
    must: str
    holds: bool | None


def print_table(rows: list[Row]) -> None:
    """Print the rows as Markdown, with the machine above them."""
    print(f"\n{machine_facts()}\n")
    print("| what | ours | peer (rclip 3.3.0) | ratio | must | holds |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        verdict = "-" if row.holds is None else "yes" if row.holds else "NO"
        print(f"| {row.what} | {row.ours} | {row.peer} | {row.ratio} | {row.must} | {verdict} |")


def spread(values: list[float], unit: str = "s", digits: int = 2) -> str:
    """Say the median and the range of repeated measurements."""
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f}, n={len(values)})"
