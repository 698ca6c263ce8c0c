"""Market days and their settlement periods: 23, 24 or 25 hours, counted as they pass.

A market day runs from local midnight to local midnight. Period n of a day is its n-th interval, whatever the clock
shows, so a day of five-minute intervals has 276, 288 or 300 of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl

from carbon254.errors import BadLabel

from .columns import HOUR, INSTANT, instants, micros, numbers, of_days, of_instants
from .wall import Sides, from_utc, to_utc
from .zones import DAY, Micros, segments, zone

_ONE_DAY = timedelta(days=1)


def market_day_of(moment: datetime, clock: str) -> date:
    """The market's calendar day that contains the instant. Raises BadLabel for a time without a zone."""
    if moment.tzinfo is None:
        raise BadLabel(f"{moment} has no time zone; write an instant such as {moment.isoformat()}+00:00")
    return moment.astimezone(zone(clock)).date()


def market_day_span(day: date, clock: str) -> tuple[datetime, datetime]:
    """[start, end) of a market day in UTC: 23, 24 or 25 hours."""
    where = zone(clock)
    start, end = (datetime.combine(edge, time(), where).astimezone(UTC) for edge in (day, day + _ONE_DAY))
    return start, end


def market_days(start: datetime, end: datetime, clock: str) -> Iterator[date]:
    """Market days that overlap [start, end)."""
    day = market_day_of(start, clock)
    while market_day_span(day, clock)[0] < end:
        yield day
        day += _ONE_DAY


def day_start(moment: pl.Expr, clock: str) -> pl.Expr:
    """Start (UTC) of the market day that each instant lies in, as an expression over a column of instants."""
    return _by_day(moment, clock, lambda midnight: _edges(midnight, clock)[0])


def day_end(moment: pl.Expr, clock: str) -> pl.Expr:
    """End (UTC) of the market day that each instant lies in, as an expression over a column of instants."""
    return _by_day(moment, clock, lambda midnight: _edges(midnight, clock)[1])


def day_of(moments: Any, clock: str) -> pl.Series:
    """Market day (Date) of each instant."""
    moments = of_instants(moments)
    when, empty = micros(moments)
    day = pl.Series(moments.name, from_utc(when, clock)[0] // DAY, dtype=pl.Int32).cast(pl.Date)
    return day.set(pl.Series(empty), None) if empty.any() else day


def _by_day(moment: pl.Expr, clock: str, edge: Callable[[Micros], Micros]) -> pl.Expr:
    def found(column: pl.Series) -> pl.Series:
        when, empty = micros(of_instants(column))
        return instants(edge(from_utc(when, clock)[0] // DAY * DAY), empty).alias(column.name)

    return moment.map_batches(found, return_dtype=INSTANT, is_elementwise=True)


def hours_in(days: Any, clock: str) -> pl.Series:
    """Elapsed hours of market days (Date in, Float64 out; null stays null)."""
    days = of_days(days)
    midnight, empty = micros(days)
    start, end = _edges(midnight, clock)
    return pl.Series(days.name, (end - start) / HOUR).set(pl.Series(empty), None)


def interval_starts(first: date, last: date, clock: str, resolution: timedelta) -> pl.Series:
    """Starts (UTC) of every interval of the market days first to last, both included."""
    start, end = market_day_span(first, clock)[0], market_day_span(last, clock)[1]
    return pl.datetime_range(start, end, resolution, closed="left", time_unit="us", time_zone="UTC", eager=True).alias(
        "interval_start"
    )


def periods(moments: Any, clock: str, resolution: timedelta) -> pl.DataFrame:
    """`day` (Date) and `period` (1 and up) of instants in UTC; null where the instant is null."""
    when, empty = micros(of_instants(moments))
    day = from_utc(when, clock)[0] // DAY
    period = (when - _edges(day * DAY, clock)[0]) // _step(resolution) + 1
    frame = pl.DataFrame(
        {"day": pl.Series(day, dtype=pl.Int32).cast(pl.Date), "period": pl.Series(period, dtype=pl.Int32)}
    )
    return frame.with_columns(pl.when(~pl.Series(empty)).then(pl.all())) if empty.any() else frame


def period_starts(days: Any, period: Any, clock: str, resolution: timedelta) -> pl.Series:
    """Starts (UTC) of settlement periods; null where the day has no such period (the 25th hour of a usual day)."""
    midnight, no_day = micros(of_days(days))
    number, no_number = numbers(pl.Series(period))
    start, end = _edges(midnight, clock)
    found = start + (number - 1) * _step(resolution)
    return instants(found, no_day | no_number | (number < 1) | (found >= end)).alias("interval_start")


def hour_beginning(hour_ending: Any) -> pl.Series:
    """HE 1..24 (25 on a long day) → HB 0..23 (24); null for another number."""
    hour_ending = pl.Series(hour_ending)
    return hour_ending.set(~hour_ending.is_between(1, 25).fill_null(False), None) - 1


def hour_ending(hour_beginning: Any) -> pl.Series:
    """HB 0..23 (24 on a long day) → HE 1..24 (25); null for another number."""
    hour_beginning = pl.Series(hour_beginning)
    return hour_beginning.set(~hour_beginning.is_between(0, 24).fill_null(False), None) + 1


def is_daylight(moments: Any, clock: str) -> pl.Series:
    """True where the clock is ahead of the zone's standard time of that year."""
    moments = of_instants(moments)
    when, empty = micros(moments)
    if not len(when):
        return pl.Series(moments.name, [], dtype=pl.Boolean)
    known = segments(clock, int(when.min()) // DAY, int(when.max()) // DAY)
    ahead = np.array([bool(_ahead(int(start), clock)) for start in known.starts])
    found = ahead[np.searchsorted(known.starts[1:], when, side="right")]
    return pl.Series(moments.name, found).set(pl.Series(empty), None)


def _ahead(micros_utc: int, clock: str) -> timedelta:
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros_utc)
    return moment.astimezone(zone(clock)).dst() or timedelta()


def _edges(midnight: Micros, clock: str) -> tuple[Micros, Micros]:
    """Start and end (UTC) of the market days with these midnights (wall times)."""
    return to_utc(midnight, clock, None, Sides())[0], to_utc(midnight + DAY, clock, None, Sides())[0]


def _step(resolution: timedelta) -> int:
    step = resolution // timedelta(microseconds=1)
    if step <= 0 or (HOUR % step and step % HOUR):
        raise BadLabel(f"{resolution} does not divide an hour; write 5, 15, 30 or 60 minutes")
    return step
