"""Labels that are a market day, an hour number and perhaps the number of the interval inside the hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from .columns import HOUR, Mask, micros, numbers
from .convention import Convention
from .marks import printed, with_marks
from .wall import Passes, Status, Statuses, to_utc
from .zones import DAY, Micros, transitions

_EXTRA = 24  # counted from nought: the hour printed as 25 where hours are named by their end


def read_hours(frame: pl.DataFrame, how: Convention, step: int, clock: str) -> tuple[Micros, Statuses]:
    """Interval starts (µs) and statuses; `step` is the interval's length in µs."""
    days, no_day = micros(frame["day"].cast(pl.Date, strict=False))
    hour, no_hour = numbers(frame["hour"])
    inside, bad_inside = _insides(frame, step)
    hour = hour - how.first_hour
    numbered = how.repeat in ("he25", "late25")
    malformed = no_day | no_hour | bad_inside | (hour < 0) | (hour > (_EXTRA if numbered else _EXTRA - 1))
    wall = days + np.where(malformed | (hour == _EXTRA), 0, hour) * HOUR + inside
    start, status = with_marks(wall, frame["mark"] if "mark" in frame.columns else None, how, clock)
    if numbered:
        start, status = _numbered(days, hour, inside, start, status, how, clock)
    status[malformed] = Status.MALFORMED
    return start, status


def write_hours(start: Micros, wall: Micros, passes: Passes, how: Convention, step: int, clock: str) -> list[pl.Series]:
    """The columns `day`, `hour`, `interval` and, where there is one, `mark`."""
    day = wall // DAY
    inside = wall - day * DAY
    hour = inside // HOUR
    if how.repeat == "he25":
        hour = np.where(_long(day * DAY, clock), (start - to_utc(day * DAY, clock)[0]) // HOUR, hour)
    elif how.repeat == "late25":
        hour = np.where(passes == 1, _EXTRA, hour)
    return [
        pl.Series("day", day, dtype=pl.Int32).cast(pl.Date),
        pl.Series("hour", hour + how.first_hour, dtype=pl.Int8),
        pl.Series("interval", inside % HOUR // step + 1, dtype=pl.Int8),
        *printed(how, wall, passes, start, clock),
    ]


def _insides(frame: pl.DataFrame, step: int) -> tuple[Micros, Mask]:
    """How far into the hour each interval opens; hourly files print nothing, 0 or 1."""
    if "interval" not in frame.columns:
        return np.zeros(frame.height, np.int64), np.zeros(frame.height, np.bool_)
    interval, missing = numbers(frame["interval"])
    if step >= HOUR:
        return np.zeros(frame.height, np.int64), (interval > 1) | (interval < 0) & ~missing
    return (interval - 1) * step, missing | (interval < 1) | (interval > HOUR // step)


def _numbered(
    days: Micros, hour: Micros, inside: Micros, start: Micros, status: Statuses, how: Convention, clock: str
) -> tuple[Micros, Statuses]:
    """Files with an hour 25. Which days have one is known from the clock, not from the file."""
    long = _long(days, clock)
    extra = hour == _EXTRA
    if how.repeat == "he25":
        start = np.where(long, to_utc(days, clock)[0] + hour * HOUR + inside, start)
        status[long] = Status.OK
    else:
        # Every hour but the 25th is numbered as on any day: in the repeated hour it is of the first pass.
        status[status == Status.TWICE] = Status.OK
        late = np.flatnonzero(extra & long)
        start[late] = _second_passes(days[late], clock) + inside[late]
        status[late] = Status.OK
    status[extra & ~long] = Status.MISMARKED
    return start, status


def _long(days: Micros, clock: str) -> Mask:
    """Where a market day (its midnight, wall time) is longer than 24 hours."""
    kinds, index = np.unique(days, return_inverse=True)
    return (to_utc(kinds + DAY, clock)[0] - to_utc(kinds, clock)[0] > DAY)[index]


def _second_passes(days: Micros, clock: str) -> Micros:
    """When the second pass of the repeated hour opens on each of these long days."""
    if not len(days):
        return days
    epoch = datetime.fromtimestamp(0, UTC)
    low, high = (epoch + timedelta(microseconds=int(edge)) for edge in (days.min() - DAY, days.max() + 2 * DAY))
    changes = [change for change in transitions(clock, low, high) if not change.skips]
    walls = np.array([(change.wall[0].replace(tzinfo=UTC) - epoch) // timedelta(days=1) for change in changes])
    opens = np.array([(change.at - epoch) // timedelta(microseconds=1) for change in changes])
    return opens[np.searchsorted(walls, days // DAY)]
