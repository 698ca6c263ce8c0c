"""ISO New England: web services v1.1, basic authentication, JSON by the path's ending; without a key, its CSV files.

Day-ahead: `/hourlylmp/da/final/day/YYYYMMDD[/location/ID].json`, a market day. Real time: `/fiveminutelmp/prelim/day/
YYYYMMDD/starthour/HH.json`, an hour of every location, or `…/day/YYYYMMDD/location/ID.json`, a day of one. An hour that
the clock repeats is asked once: the answer carries offsets, and both passes.

The files lie below `/static-transform/csv/histRpts` of the public site: `da-lmp/WW_DALMP_ISO_YYYYMMDD.csv`, a market
day; `5min-rt-prelim/lmp_5min_YYYYMMDD_00-04.csv`, four hours by the clock; `rt-lmp/lmp_rt_{prelim,final}_YYYYMMDD.csv`,
the hourly averages of a market day. Each holds every location. They come after their span is over, and are 404 before.
Source: public readers of these files (gridstatus, elec-server).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from carbon254.calendars import market_day_span, market_days
from carbon254.calendars.zones import zone as zone_named
from carbon254.errors import ShortAnswer
from carbon254.model import Stream
from carbon254.wire.text import utf8

from ..contract import Counted, Request
from . import express

_FILES = "/static-transform/csv/histRpts"
# Preliminary and final averages are versions of the same rows.
_HOURLY = ("prelim", "final")
_WINDOW_H = 4


def requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """Requests for [start, end): a day, an hour, or a day and a location id where some are named."""
    day_ahead = stream.market_run == "DAM"
    report = stream.options["report"]
    root = f"/hourlylmp/da/{report}/day" if day_ahead else f"/fiveminutelmp/{report}/day"
    kind = "da_hourlylmp" if day_ahead else "rt_fiveminutelmp"
    if not day_ahead and not locations:
        yield from _by_hour(root, kind, start, end, stream.clock)
        return
    for day in market_days(start, end, stream.clock):
        for place in locations or ("",):
            tail = f"/location/{place}" if place else ""
            name = f"{kind}_{day:%Y%m%d}{'_' + place if place else ''}.json"
            yield Request(f"{root}/{day:%Y%m%d}{tail}.json", f"{day:%Y-%m-%d} {place}".strip(), name=name)


def public_requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """Requests for the public files with [start, end); `locations` cannot be chosen. Hourly files are asked for where
    the span holds their whole day."""
    assert stream.public is not None
    site = f"{stream.public.base_url}{_FILES}"
    for day in market_days(start, end, stream.clock):
        stamp = f"{day:%Y%m%d}"
        if stream.market_run == "DAM":
            yield _file(f"{site}/da-lmp", f"WW_DALMP_ISO_{stamp}.csv", f"{day} public")
            continue
        report = stream.options["report"]
        for first, last, opens, closes in _windows(day, stream.clock):
            if opens < end and start < closes:
                hours = f"{first:02d}-{last:02d}"
                name = f"lmp_5min_{stamp}_{hours}.csv"
                yield _file(f"{site}/5min-rt-{report}", name, f"{day} {hours}h public")
        opens, closes = market_day_span(day, stream.clock)
        for report in _HOURLY if start <= opens and closes <= end else ():
            yield _file(f"{site}/rt-lmp", f"lmp_rt_{report}_{stamp}.csv", f"{day} hourly {report} public")


def counted(data: bytes) -> Counted | None:
    """Data lines of a CSV report, and those its trailer says; the web services say nothing of the kind.

    Raises ShortAnswer for a report that has no trailer: it was cut.
    """
    body = utf8(data)
    if not express.looks_like(body[:4_096]):
        return None
    given, announced = express.counted(body)
    if announced is None:
        raise ShortAnswer(f"the report was cut: it has {given:,} data lines and no trailer (T) at its end")
    return Counted(given, announced)


def _file(folder: str, name: str, subject: str) -> Request:
    return Request(f"{folder}/{name}", subject, name=name, public=True)


def _windows(day: date, clock: str) -> Iterator[tuple[int, int, datetime, datetime]]:
    """(first hour, last hour, start, end in UTC) of the parts of a day that five-minute files come in."""
    zone = zone_named(clock)
    for first in range(0, 24, _WINDOW_H):
        last = first + _WINDOW_H
        midnight = day + timedelta(days=last // 24)
        opens = datetime(day.year, day.month, day.day, first, tzinfo=zone)
        closes = datetime(midnight.year, midnight.month, midnight.day, last % 24, tzinfo=zone)
        yield first, last, opens.astimezone(UTC), closes.astimezone(UTC)


def _by_hour(root: str, kind: str, start: datetime, end: datetime, clock: str) -> Iterator[Request]:
    zone, asked = zone_named(clock), ""
    moment = start.replace(minute=0, second=0, microsecond=0)
    while moment < end:
        hour = f"{moment.astimezone(zone):%Y%m%d %H}"
        if hour != asked:
            day, number = hour.split()
            subject = f"{day[:4]}-{day[4:6]}-{day[6:]} {number}h"
            yield Request(f"{root}/{day}/starthour/{number}.json", subject, name=f"{kind}_{day}_{number}.json")
        asked = hour
        moment += timedelta(hours=1)
