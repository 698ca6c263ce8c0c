"""Local labels ↔ UTC. No year and no transition date is written here: the zone database knows them.

A label is a naive local stamp. Where the clock repeats an hour, `mark` says which pass (0 first, 1 second), or the
order of rows within a location does. A label that the clock skips names no instant: it comes out as null, and the
caller rejects the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl


def to_utc(label: pl.Expr, clock: str, mark: pl.Expr | None = None) -> pl.Expr:
    """Instants (µs, UTC) of naive labels told in `clock`; null where the label names no instant.

    An unmarked label of a repeated hour is taken as the first pass.
    """

    def instant(pass_: str) -> pl.Expr:
        local = label.dt.replace_time_zone(clock, ambiguous=pass_, non_existent="null")  # type: ignore[arg-type]
        return local.dt.convert_time_zone("UTC")

    if mark is None:
        return instant("earliest")
    return pl.when(mark.eq_missing(1)).then(instant("latest")).otherwise(instant("earliest"))


def is_ambiguous(label: pl.Expr, clock: str) -> pl.Expr:
    """True where the label names two instants."""
    first = label.dt.replace_time_zone(clock, ambiguous="earliest", non_existent="null")
    second = label.dt.replace_time_zone(clock, ambiguous="latest", non_existent="null")
    return (first != second).fill_null(False)


def market_day_of(moment: datetime, clock: str) -> date:
    """The market's calendar day that contains the instant."""
    return moment.astimezone(ZoneInfo(clock)).date()


def market_day_span(day: date, clock: str) -> tuple[datetime, datetime]:
    """[start, end) of a market day in UTC: 23, 24 or 25 hours."""
    zone = ZoneInfo(clock)
    start = datetime.combine(day, time(), zone).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
    return start, end


def market_days(start: datetime, end: datetime, clock: str) -> Iterator[date]:
    """Market days that overlap [start, end)."""
    day = market_day_of(start, clock)
    while market_day_span(day, clock)[0] < end:
        yield day
        day += timedelta(days=1)
