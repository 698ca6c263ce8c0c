"""Wall-clock times ↔ instants, over whole columns: which instant a naive time names, or that it names none, or two.

Arrays are int64 microseconds since 1970, of UTC for instants and of the wall clock for labels. Days on which the clock
does not change take one table look-up; the few others go through the segments of one offset. Which side of a change an
instant *at* the change is printed on differs between publishers (see `Sides`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .zones import DAY, Micros, Segments, segments

Passes = NDArray[np.int8]
Statuses = NDArray[np.uint8]

NO_PASS = -1
_MARKED = np.iinfo(np.int64).min


class Status(IntEnum):
    """What became of a label."""

    OK = 0
    SKIPPED = 1  # the clock jumps over this time: it names no instant
    TWICE = 2  # two instants, and nothing says which; the first is given
    MISMARKED = 3  # the mark contradicts the clock
    MALFORMED = 4  # not a label this convention prints


@dataclass(frozen=True, slots=True)
class Sides:
    """On which side of a change of clock an instant at the change is printed.

    False: by the clock that begins there, as any wall clock shows it. True: by the clock that ends there, so that the
    end of an hour stays its nominal end (two hours that end at "02:00" on the long day).
    """

    skip_before: bool = False
    repeat_before: bool = False


BY_THE_CLOCK = Sides()


def to_utc(
    wall: Micros, clock: str, passes: Passes | None = None, sides: Sides = BY_THE_CLOCK
) -> tuple[Micros, Statuses]:
    """Instants of wall times, and a Status for each.

    `passes` tells which pass of a repeated time a label is of (0 first, 1 second, -1 not told); it is not looked at
    elsewhere. A SKIPPED time comes out as the instant that the clock before the change would give; do not use it.
    """
    status = np.zeros(len(wall), np.uint8)
    if not len(wall):
        return wall.copy(), status
    day, first, last = _days(wall)
    base, table = _table(clock, first, last, "wall")
    day -= base
    offset = table[day]
    plain = wall - offset
    odd = np.flatnonzero(offset == _MARKED)
    if len(odd):
        told = None if passes is None else passes[odd]
        plain[odd], status[odd] = _through_segments(wall[odd], segments(clock, first, last), told, sides)
    return plain, status


def from_utc(instants: Micros, clock: str, sides: Sides = BY_THE_CLOCK) -> tuple[Micros, Passes]:
    """Wall times of instants, and the pass of each: 0 or 1 where the wall time comes twice, else -1."""
    passes = np.full(len(instants), NO_PASS, np.int8)
    if not len(instants):
        return instants.copy(), passes
    day, first, last = _days(instants)
    base, table = _table(clock, first, last, "utc")
    day -= base
    offset = table[day]
    wall = instants + offset
    odd = np.flatnonzero(offset == _MARKED)
    if len(odd):
        wall[odd], passes[odd] = _told(instants[odd], segments(clock, first, last), sides)
    return wall, passes


def _days(micros: Micros) -> tuple[Micros, int, int]:
    day = micros // DAY
    return day, int(day.min()), int(day.max())


@lru_cache(maxsize=64)
def _table(clock: str, first: int, last: int, of: str) -> tuple[int, Micros]:
    """(day of the first entry, offset of each day; marked where a change of clock is less than a day away)."""
    found = segments(clock, first, last)
    edge = found.starts + (found.offsets if of == "wall" else 0)
    index = np.searchsorted(edge[1:], np.arange(first, last + 1) * DAY, side="right")
    table = found.offsets[index]
    for near in (found.starts[1:] // DAY).tolist():
        table[max(near - 2 - first, 0) : max(near + 3 - first, 0)] = _MARKED
    return first, table


def _keys(found: Segments, sides: Sides) -> Micros:
    """1 for each change whose own instant still belongs to the segment before it, else 0."""
    skips = found.offsets[1:] > found.offsets[:-1]
    return np.where(skips, sides.skip_before, sides.repeat_before).astype(np.int64)


def _through_segments(wall: Micros, found: Segments, passes: Passes | None, sides: Sides) -> tuple[Micros, Statuses]:
    # Doubled, a key one above a boundary separates the instant at the boundary from the one after it.
    late = _keys(found, sides)
    closes = 2 * (found.starts[1:] + found.offsets[:-1]) + late
    opens = 2 * (found.starts[1:] + found.offsets[1:]) + late
    index = np.searchsorted(closes, 2 * wall, side="right")
    padded = np.append(opens, np.iinfo(np.int64).max)
    twice = padded[index] <= 2 * wall
    skipped = (index > 0) & (np.insert(opens, 0, np.iinfo(np.int64).min)[index] > 2 * wall)
    status = np.where(skipped, Status.SKIPPED, Status.OK).astype(np.uint8)
    told = np.full(len(wall), NO_PASS, np.int8) if passes is None else passes
    status[twice & (told == NO_PASS)] = Status.TWICE
    index = index + (twice & (told == 1))
    return wall - found.offsets[np.where(skipped, index - 1, index)], status


def _told(instants: Micros, found: Segments, sides: Sides) -> tuple[Micros, Passes]:
    late = _keys(found, sides)
    starts = 2 * found.starts[1:] + late
    index = np.searchsorted(starts, 2 * instants, side="right")
    wall = instants + found.offsets[index]
    closes = np.append(2 * (found.starts[1:] + found.offsets[:-1]) + late, np.iinfo(np.int64).max)
    opens = np.append(2 * (found.starts[1:] + found.offsets[1:]) + late, np.iinfo(np.int64).max)
    first = opens[index] <= 2 * wall
    second = (index > 0) & (np.insert(closes, 0, np.iinfo(np.int64).min)[index] > 2 * wall)
    return wall, np.where(second, 1, np.where(first, 0, NO_PASS)).astype(np.int8)
