"""File times: when a file was changed, as the catalog can hold it."""

import os

_MOST_NS = 2**63 - 1  # what SQLite takes as a number; file systems hold dates beyond the year 2262


def modified_ns(status: os.stat_result) -> int:
    """Give the time of a file's last change in nanoseconds since 1970, held within 64 bits.

    Damaged clocks and recovered cards leave dates of any century. Whatever is compared
    with the catalog goes by this.
    """
    return max(-_MOST_NS, min(status.st_mtime_ns, _MOST_NS))
