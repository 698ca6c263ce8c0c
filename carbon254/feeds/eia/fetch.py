"""EIA API v2: `/v2/petroleum/pri/spt/data/` and `/v2/natural-gas/pri/fut/data/`, daily, 5,000 rows a page.

The end bound of a request is included. The key travels as a query parameter that the fetcher adds; it is never part of
a request or its subject.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import orjson

from carbon254.calendars.zones import zone as zone_named
from carbon254.model import Stream

from ..contract import Counted, Request
from .pages import count

PAGE_ROWS = 5_000


def requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """One request a route for the days that overlap [start, end); `locations` are series ids."""
    zone = zone_named(stream.clock)
    first, last = start.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date()
    routes: dict[str, list[str]] = {}
    for series, facts in stream.options["series"].items():
        if not locations or series in locations:
            routes.setdefault(facts["route"], []).append(series)
    for route, series in routes.items():
        params = {
            "frequency": "daily",
            "data[0]": "value",
            "facets[series][]": series,
            "start": first.isoformat(),
            "end": last.isoformat(),
            "sort[0][column]": "period",
            "sort[0][direction]": "asc",
            "offset": 0,
            "length": PAGE_ROWS,
        }
        subject = f"{route} {','.join(series)} {first}..{last}"
        yield Request(f"/v2/{route}/data/", subject, params, f"eia_{route.replace('/', '_')}_{first}_{last}.json")


def counted(data: bytes) -> Counted | None:
    """Rows that an answer has and announces; None for what is no answer with rows."""
    try:
        return count(orjson.loads(data.removeprefix(b"\xef\xbb\xbf")))
    except orjson.JSONDecodeError:
        return None


def next_page(request: Request, data: bytes) -> Request | None:
    """The page after the rows of `data`, by `response.total`; None after the last, after none, or for no answer.

    EIA may give fewer rows than were asked for: the next page begins where this one ended.
    """
    found = counted(data)
    if found is None or found.announced is None or not found.given:
        return None
    offset = int(request.params["offset"]) + found.given
    if offset >= found.announced:
        return None
    page, subject = request.page + 1, request.subject.split(" page ")[0]
    name = f"{request.name.removesuffix('.json').split('-p')[0]}-p{page}.json"
    return replace(
        request, params={**request.params, "offset": offset}, page=page, subject=f"{subject} page {page}", name=name
    )
