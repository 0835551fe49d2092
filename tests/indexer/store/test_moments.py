from datetime import datetime, tzinfo
from typing import Self

import pytest

from indexer.store import moments
from indexer.store.moments import local_time, nanoseconds_of

MOMENTS = [
    datetime(1901, 5, 1, 12),
    datetime(1960, 2, 29, 23, 59, 59, 999_999),
    datetime(1970, 1, 1),
    datetime(2024, 7, 1, 12, 30, 15, 250_000),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
@pytest.mark.usefixtures("zone")
def test_a_moment_comes_back_as_the_local_time_it_was(moment: datetime) -> None:
    assert local_time(nanoseconds_of(moment)) == moment


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
@pytest.mark.usefixtures("zone")
def test_the_local_time_is_that_of_python(moment: datetime) -> None:
    assert local_time(nanoseconds_of(moment)) == datetime.fromtimestamp(moment.timestamp())


@pytest.mark.parametrize("nanoseconds", [-(2**63) + 1, 2**63 - 1])
def test_the_farthest_moments_that_a_catalog_holds_have_a_local_time(nanoseconds: int) -> None:
    assert local_time(nanoseconds).year in (1677, 2262)


class WindowsTime(datetime):
    """As there, where the C library knows no zone before 1970."""

    def astimezone(self, tz: tzinfo | None = None) -> Self:
        if self.year < 1970:
            raise OSError(22, "Invalid argument")
        return super().astimezone(tz)


@pytest.mark.usefixtures("zone")
def test_where_no_zone_is_known_before_1970_a_later_year_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "_EPOCH", WindowsTime(1970, 1, 1))
    expected = datetime(1965, 6, 1, 12)
    offset = datetime(1972, 6, 1, 12).astimezone().utcoffset()
    seconds = (expected - datetime(1970, 1, 1) - (offset or expected - expected)).total_seconds()
    assert local_time(int(seconds) * 10**9) == expected
