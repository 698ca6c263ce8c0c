"""ISO New England web services v1.1, basic authentication, JSON by the path's ending.

Day-ahead: `/hourlylmp/da/final/day/YYYYMMDD[/location/ID].json`, a market day. Real time: `/fiveminutelmp/prelim/day/
YYYYMMDD/starthour/HH.json`, an hour of every location, or `…/day/YYYYMMDD/location/ID.json`, a day of one. An hour that
the clock repeats is asked once: the answer carries offsets, and both passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from carbon254.calendars import market_days
from carbon254.calendars.zones import zone as zone_named
from carbon254.errors import ShortAnswer
from carbon254.model import Stream
from carbon254.wire.text import utf8

from ..contract import Counted, Request
from . import express


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
