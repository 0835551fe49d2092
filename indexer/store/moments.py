"""Moments: local time, as cameras and people tell it, and the nanoseconds that file systems count."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1)
_MOST_NANOSECONDS = 2**63 - 1 - 999  # a comparison adds what a microsecond is short of the next
_UNKNOWN = (OSError, OverflowError, ValueError)  # Windows knows no zone before 1970, nobody at the very ends
_LEAP_YEAR = 1972  # whose zone is taken then


def nanoseconds_of(moment: datetime) -> int:
    """Give a moment of local time as file systems count, before 1970 too; held within SQLite's 64 bits.

    Of a time that comes twice, where clocks go back, its `fold` tells which is meant.
    """
    try:
        offset = moment.astimezone().utcoffset()
    except _UNKNOWN:
        offset = moment.replace(year=_LEAP_YEAR).astimezone().utcoffset()
    microseconds = (moment - _EPOCH - (offset or timedelta())) // timedelta(microseconds=1)
    return max(-_MOST_NANOSECONDS, min(microseconds * 1000, _MOST_NANOSECONDS))


def local_time(nanoseconds: int) -> datetime:
    """Give the local time, without a zone, of a moment as file systems count, before 1970 too."""
    moment = _EPOCH + timedelta(microseconds=(nanoseconds + 500) // 1000)
    try:
        return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
    except _UNKNOWN:
        offset = moment.replace(year=_LEAP_YEAR, tzinfo=UTC).astimezone().utcoffset()
        return moment + (offset or timedelta())
