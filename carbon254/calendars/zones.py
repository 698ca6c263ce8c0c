"""Zones from the pinned zone database, and the moments at which their clocks change.

A system's own zone files may be years old, and laws change: a market whose clock stopped changing would keep its 23-
and 25-hour days there. The `tzdata` package is locked with the rest of our dependencies, so two machines agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from carbon254.errors import BadLabel
from carbon254.nearest import fold, unknown

Micros = NDArray[np.int64]

SECOND = 1_000_000
DAY = 86_400 * SECOND
_PROBE = 7 * DAY
_IANA = "write an IANA name such as America/Chicago"
_EPOCH = datetime.fromtimestamp(0, UTC)
_FIRST, _LAST = date.min.toordinal() - _EPOCH.toordinal() + 3, date.max.toordinal() - _EPOCH.toordinal() - 3
_BLOCK = 2_922  # days in eight years: few distinct spans reach the cache


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of clock: at the instant `at` (UTC), from offset `before` to offset `after`."""

    at: datetime
    before: timedelta
    after: timedelta
    name_before: str
    name_after: str

    @property
    def skips(self) -> bool:
        """True where the clock goes forward, so that wall times are skipped; False where they come twice."""
        return self.after > self.before

    @property
    def wall(self) -> tuple[datetime, datetime]:
        """[from, to) of the naive wall times that are skipped, or that come twice."""
        edges = sorted((self.at + self.before, self.at + self.after))
        return edges[0].replace(tzinfo=None), edges[1].replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Segments:
    """Spans of one offset: segment i holds instants from `starts[i]`, up to `starts[i + 1]` (µs since 1970, UTC)."""

    starts: Micros
    offsets: Micros
    names: tuple[str, ...]


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name (`America/Chicago`, `Etc/GMT+5`). Raises BadLabel for a name the database lacks."""
    try:
        with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    except (OSError, ValueError) as error:
        raise BadLabel(f"{unknown('time zone', name, _zone_names(), _IANA)}") from error


def zone_name(name: str) -> str:
    """The IANA name that `name` is, in any case. Raises BadLabel with the nearest ones."""
    by_fold = {fold(one): one for one in _zone_names()}
    return zone(by_fold.get(fold(name), name)).key


@cache
def _zone_names() -> tuple[str, ...]:
    return tuple(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


def segments(name: str, first_day: int, last_day: int) -> Segments:
    """Segments that cover the days first_day to last_day (days since 1970) and some more. Raises BadLabel."""
    return _segments(name, first_day // _BLOCK * _BLOCK, (last_day // _BLOCK + 1) * _BLOCK)


def transitions(name: str, start: datetime, end: datetime) -> list[Transition]:
    """Changes of clock in [start, end), oldest first; a clock that only gets another name does not change.

    Raises BadLabel for an unknown zone.
    """
    low, high = _micros(start), _micros(end)
    found = segments(name, low // DAY, high // DAY)
    return [
        Transition(
            _EPOCH + timedelta(microseconds=int(found.starts[i])),
            timedelta(microseconds=int(found.offsets[i - 1])),
            timedelta(microseconds=int(found.offsets[i])),
            found.names[i - 1],
            found.names[i],
        )
        for i in range(1, len(found.starts))
        if low <= found.starts[i] < high and found.offsets[i] != found.offsets[i - 1]
    ]


@lru_cache(maxsize=256)
def _segments(name: str, first_day: int, last_day: int) -> Segments:
    where = zone(name)
    low, high = max(first_day - 7, _FIRST) * DAY, min(last_day + 7, _LAST) * DAY
    starts, told = [low], [_told(where, low)]
    previous = low
    for probe in (*range(low + _PROBE, high, _PROBE), high):
        said = _told(where, probe)
        if said != told[-1]:
            starts.append(_bisect(where, previous, probe))
            told.append(said)
        previous = probe
    return Segments(
        np.array(starts, np.int64), np.array([offset for offset, _ in told], np.int64), tuple(name for _, name in told)
    )


def _bisect(where: ZoneInfo, low: int, high: int) -> int:
    """The first whole second in (low, high] that is told as `high` is."""
    after = _told(where, high)
    low, high = low // SECOND, high // SECOND
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _told(where, middle * SECOND) == after else (middle, high)
    return high * SECOND


def _told(where: ZoneInfo, micros: int) -> tuple[int, str]:
    local = (_EPOCH + timedelta(microseconds=micros)).astimezone(where)
    offset = local.utcoffset() or timedelta()
    return offset // timedelta(microseconds=1), local.tzname() or ""


def _micros(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise BadLabel(f"{moment} has no time zone; write an instant such as {moment.isoformat()}Z")
    return (moment - _EPOCH) // timedelta(microseconds=1)
