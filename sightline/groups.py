"""Groups: duplicates as a person or a program reads them: lines, JSON, CSV."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .amounts import file_size, plural
from .names import printable

if TYPE_CHECKING:
    from indexer.store.records import StoredImage
    from search.duplicates.finder import DuplicateReport
    from search.duplicates.leaks import LeakReport
    from search.duplicates.records import Group, Member

CSV_COLUMNS = ("group", "role", "level", "confidence", "path", "width", "height", "bytes", "reason")


def group_dict(group: "Group") -> dict[str, Any]:
    """Give a group as plain values for JSON."""
    return {
        "level": group.level.value,
        "keep": str(group.keep.path),
        "keep_image": _image_dict(group.keep),
        "freed_bytes": group.freed,
        "members": [_member_dict(member) for member in group.members],
    }


def _image_dict(image: "StoredImage") -> dict[str, Any]:
    return {
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "size": image.size,
        "sha256": image.content_hash.hex(),
    }


def _member_dict(member: "Member") -> dict[str, Any]:
    return {
        "path": str(member.image.path),
        **_image_dict(member.image),
        "level": member.level.value,
        "confidence": round(member.confidence, 4),
        "reason": member.reason,
        "evidence": member.evidence.as_dict(),
    }


def group_lines(report: "DuplicateReport") -> Iterator[str]:
    """Write the groups for a person, a blank line between them."""
    for group in report.groups:
        keep = group.keep
        yield f"keep  {printable(keep.path)}  ({_facts(keep)})"
        for member in group.members:
            yield f"  {member.level.value:7}  {printable(member.image.path)}  ({_facts(member.image)})"
            yield f"           {member.reason}, {member.confidence:.0%} sure"
        yield ""


def _facts(image: "StoredImage") -> str:
    return f"{image.width} x {image.height} {image.format}, {file_size(image.size)}"


def summary(report: "DuplicateReport") -> str:
    """Put a report in one line."""
    looked = plural(report.files, "file")
    if not report.groups:
        return f"no duplicates among {looked}"
    found = f"{plural(report.members, 'duplicate')} in {plural(len(report.groups), 'group')}"
    return f"{found} among {looked}; they take {file_size(report.freed)}"


def csv_text(groups: Iterable["Group"]) -> str:
    """Write the groups as CSV, one file a row, the kept one first."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(CSV_COLUMNS)
    for number, group in enumerate(groups, 1):
        keep = group.keep
        writer.writerow([number, "keep", "", "", keep.path, keep.width, keep.height, keep.size, ""])
        for member in group.members:
            image, sure = member.image, f"{member.confidence:.4f}"
            row = [number, "duplicate", member.level.value, sure, image.path, image.width, image.height]
            writer.writerow([*row, image.size, member.reason])
    return buffer.getvalue()


def leaks_dict(report: "LeakReport") -> dict[str, Any]:
    """Give a report of leaks as plain values for JSON."""
    return {
        "train_files": report.train_files,
        "test_files": report.test_files,
        "train_skipped": report.train_skipped,
        "test_skipped": report.test_skipped,
        "on_both_sides": report.shared,
        "leaking_test_files": report.counts(),
        "pairs": [
            {
                "test": str(leak.test.path),
                "train": str(leak.train.path),
                "level": leak.level.value,
                "confidence": round(leak.confidence, 4),
                "reason": leak.reason,
                "evidence": leak.evidence.as_dict(),
            }
            for leak in report.leaks
        ],
    }


def leak_lines(report: "LeakReport") -> Iterator[str]:
    """Write leaks for a person, and the table of counts."""
    for leak in report.leaks:
        yield f"{leak.level.value:7}  {printable(leak.test.path)}"
        yield f"         is {printable(leak.train.path)}: {leak.reason}, {leak.confidence:.0%} sure"
    if report.leaks:
        yield ""
        for level, count in report.counts().items():
            yield f"{level:7}  {count:6,} of {plural(report.test_files, 'test file')}"


def leaks_summary(report: "LeakReport") -> str:
    """Put a report of leaks in one line."""
    compared = f"{report.test_files:,} test with {plural(report.train_files, 'training file')}"
    leaking = sum(report.counts().values())
    if not leaking:
        return f"no leaks: compared {compared}"
    return f"{plural(leaking, 'test file')} leak: compared {compared}"
