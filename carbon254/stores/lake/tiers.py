"""Hot, warm, cold: how old a partition of the lake is, and how its files are packed at that age.

All tiers stay readable and are kept for ever; they differ in the size of their files and in how hard these are packed.
A hot partition still gets rows every few seconds, so it is merged only once it has many small files. A cold one is
read rarely and hardly changes: it is packed once, hard, into few large files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyiceberg.expressions import And, BooleanExpression, GreaterThanOrEqual, LessThan

from carbon254.model import Dataset

_EPOCH = date(1970, 1, 1)
_MB = 1 << 20
# A merge holds its rows in memory: about 300 bytes each while they are sorted and written.
MOST_ROWS = 2_000_000


@dataclass(frozen=True, slots=True)
class Tier:
    """Partitions younger than `until`. A file ends near `target` bytes or at MOST_ROWS, whichever comes first.

    Files well below that are merged where a partition has `at_least` of them; `level` is that of zstd.
    """

    name: str
    until: timedelta
    target: int
    at_least: int
    level: int

    def is_small(self, size: int, rows: int) -> bool:
        """Whether a file would gain from being merged with others."""
        return 4 * size < 3 * self.target and 4 * rows < 3 * MOST_ROWS


HOT = Tier("hot", timedelta(days=7), 32 * _MB, 8, 3)
WARM = Tier("warm", timedelta(days=30), 128 * _MB, 2, 3)
COLD = Tier("cold", timedelta.max, 512 * _MB, 2, 12)
TIERS = (HOT, WARM, COLD)


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A day [start, end), or a year of a dataset by date. `value` is its number as Iceberg counts it."""

    value: int
    name: str
    start: date
    end: date

    def age(self, now: datetime) -> timedelta:
        """How long ago its last moment was; below zero while it goes on."""
        return now - datetime(self.end.year, self.end.month, self.end.day, tzinfo=UTC)

    def tier(self, now: datetime) -> Tier:
        """The tier of its age."""
        age = self.age(now)
        return next(tier for tier in TIERS if age < tier.until)

    def rows_of(self, dataset: Dataset) -> BooleanExpression:
        """The filter that says its rows, and none of another."""
        time, by_date = dataset.partition, is_by_date(dataset)
        low, high = (day.isoformat() if by_date else f"{day}T00:00:00+00:00" for day in (self.start, self.end))
        return And(GreaterThanOrEqual(time, low), LessThan(time, high))  # pyright: ignore[reportCallIssue]


def is_by_date(dataset: Dataset) -> bool:
    """Whether its partitions are years of a date and not days of an instant."""
    return dataset.column(dataset.partition).type == "date"


def partition_of(dataset: Dataset, value: int) -> Partition:
    """The partition that Iceberg counts as `value`: years or days since 1970."""
    if is_by_date(dataset):
        start, end = date(_EPOCH.year + value, 1, 1), date(_EPOCH.year + value + 1, 1, 1)
        return Partition(value, str(start.year), start, end)
    start = _EPOCH + timedelta(days=value)
    return Partition(value, start.isoformat(), start, start + timedelta(days=1))


def bins(sizes: Sequence[tuple[int, int]], tier: Tier) -> Iterator[list[int]]:
    """Which of the files, given as (bytes, rows) in their order, make one file together: two of them at least."""
    bin_, held, counted = list[int](), 0, 0
    for place, (size, rows) in enumerate(sizes):
        if bin_ and (held + size > tier.target or counted + rows > MOST_ROWS):
            if len(bin_) > 1:
                yield bin_
            bin_, held, counted = [], 0, 0
        bin_.append(place)
        held, counted = held + size, counted + rows
    if len(bin_) > 1:
        yield bin_
