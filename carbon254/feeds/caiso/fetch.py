"""CAISO OASIS: `https://oasis.caiso.com/oasisapi/SingleZip`, one report, one market day and ten nodes a request.

`queryname` with its `version` and `market_run_id`, the window in GMT as `20251102T07:00-0000`, `resultformat=6` for
CSV. A window that is off by the daylight saving hour brings a mixed day, so the market day's own bounds are asked for;
OASIS takes at most 31 days a request. Without locations, the trading hubs of `places.csv`; the location `ALL_APNODES`
asks for every aggregate node at once.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files

from carbon254.calendars import market_day_span, market_days
from carbon254.model import Stream

from ..contract import Request

PATH = "/oasisapi/SingleZip"
GROUPS = ("ALL_APNODES",)
_NODES = 10


def requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """Requests for the market days that overlap [start, end): whole days day-ahead, else no more than was asked."""
    for day in market_days(start, end, stream.clock):
        opens, closes = market_day_span(day, stream.clock)
        if stream.market_run != "DAM":
            opens, closes = max(opens, start.astimezone(UTC)), min(closes, end.astimezone(UTC))
        for place in _places(list(locations) or _hubs()):
            yield _request(stream, opens, closes, place)


def _request(stream: Stream, opens: datetime, closes: datetime, place: dict[str, str]) -> Request:
    window = {"startdatetime": f"{opens:%Y%m%dT%H:%M}-0000", "enddatetime": f"{closes:%Y%m%dT%H:%M}-0000"}
    params = {
        "resultformat": 6,
        "queryname": stream.options["query"],
        "version": stream.options["version"],
        "market_run_id": stream.market_run,
        **window,
        **place,
    }
    subject = f"{opens:%Y-%m-%dT%H:%MZ}/{closes:%Y-%m-%dT%H:%MZ} {','.join(place.values())}"
    name = f"{opens:%Y%m%d}_{closes:%Y%m%d}_{stream.options['query']}_{stream.market_run}.zip"
    return Request(PATH, subject, params, name)


def _places(asked: list[str]) -> Iterator[dict[str, str]]:
    """Groups one by one, nodes ten at a time."""
    for group in GROUPS:
        if group in asked:
            yield {"grp_type": group}
    nodes = [name for name in asked if name not in GROUPS]
    for first in range(0, len(nodes), _NODES):
        yield {"node": ",".join(nodes[first : first + _NODES])}


def _hubs() -> list[str]:
    rows = csv.DictReader((files("carbon254.feeds.caiso") / "places.csv").read_text("utf-8").splitlines())
    return [row["location_id"] for row in rows if row["location_type"] == "hub"]
