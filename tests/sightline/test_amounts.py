import pytest

from sightline.amounts import duration, file_size, plural


def test_sizes_and_counts_read_well():
    assert [file_size(size) for size in (0, 999, 1000, 12_345, 3_400_000)] == [
        "0 B", "999 B", "1.0 kB", "12 kB", "3.4 MB",
    ]  # fmt: skip
    assert [plural(1, "image"), plural(1200, "image")] == ["1 image", "1,200 images"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0.0 s"),
        (9.14, "9.1 s"),
        (9.97, "10 s"),
        (42.4, "42 s"),
        (59.7, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3_599.8, "1 h 0 min"),
        (7_800, "2 h 10 min"),
    ],
)
def test_durations_read_well_at_the_bounds_of_their_units(seconds: float, said: str):
    assert duration(seconds) == said
