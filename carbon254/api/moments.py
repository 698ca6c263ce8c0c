"""Times in requests and answers: ISO 8601, UTC unless a zone is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import polars as pl
from fastapi import HTTPException

from carbon254.calendars import moment_of
from carbon254.calendars.zones import zone_name
from carbon254.errors import BadLabel
from carbon254.model import Stream
from carbon254.names import in_order

from .cells import told_text

MARKET = "market"
# A plus sign in a query string arrives as a space when the caller did not escape it.
_LOST_PLUS = re.compile(r"^(\d{4}-\d\d-\d\dT[\d:.]+) (\d\d:?\d\d)$")


def clock_of(streams: Mapping[str, Stream], market: str, run: str | None = None) -> str | None:
    """The market's own clock (IANA name): of that run where it has one, else of any of its streams."""
    of_market = [stream for stream in streams.values() if stream.market == market]
    exact = [stream for stream in of_market if any(one.market_run == run for one in stream.every_run)]
    return next((stream.clock for stream in [*exact, *of_market]), None)


def zone_named(tz: str | None, streams: Mapping[str, Stream], market: str | None = None) -> str:
    """The IANA zone to read and tell times in; `market` means the market's clock.

    Answers 422 where there is none of the name.
    """
    if not tz:
        return "UTC"
    if tz.lower() == MARKET:
        clock = clock_of(streams, market) if market else None
        if clock is None:
            raise HTTPException(400, "tz=market needs market= with a market that has a feed; see /v1/feeds")
        return clock
    try:
        return zone_name(tz)
    except BadLabel as error:
        raise HTTPException(422, str(error)) from None


def instant(text: str, zone: str, now: datetime) -> datetime:
    """An instant in UTC from ISO 8601 text; a date is the start of that day and naive times are told in `zone`; `now`
    is now. Answers 400 for what is none, also for a time that the zone's clock skips or shows twice."""
    try:
        return moment_of(_LOST_PLUS.sub(r"\1+\2", text), zone, now, "2025-11-02T06:00:00Z, 2025-11-02 or yesterday")
    except BadLabel as error:
        raise HTTPException(400, str(error)) from None


def span(start: str | None, end: str | None, zone: str, now: datetime) -> tuple[datetime, datetime]:
    """[start, end) in UTC: the day before `end`, and `end` is now, unless given; a day where `start` is to come.

    Raises WrongSpan.
    """
    until = instant(end, zone, now) if end else now
    since = instant(start, zone, now) if start else until - timedelta(days=1)
    if not end and since >= until:
        until = since + timedelta(days=1)
    return in_order(since, until)


def as_text(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """The frame with every instant as text in `zone`; stamps without a zone stay without one."""
    return told_text(frame, zone)


def in_market_clocks(frame: pl.DataFrame, streams: Mapping[str, Stream]) -> pl.DataFrame:
    """The frame with every instant as text in the clock of the row's own market; UTC where no card tells one."""
    groups = frame.with_row_index("_order").partition_by("market", "market_run", as_dict=True)
    parts = [as_text(part, clock_of(streams, str(market), str(run)) or "UTC") for (market, run), part in groups.items()]
    return pl.concat(parts).sort("_order").drop("_order") if parts else as_text(frame, "UTC")


def day_text(day: date | datetime | None) -> str | None:
    """A date or an instant as ISO 8601 text."""
    if isinstance(day, datetime):
        return day.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return day.isoformat() if day else None
