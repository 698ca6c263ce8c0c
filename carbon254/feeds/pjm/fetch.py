"""PJM Data Miner 2 API: `https://api.pjm.com/api/v1/<feed>`, one market day a request, 50,000 rows a page.

The day is asked in Eastern prevailing time (`datetime_beginning_ept`), so a day of 23 or 25 hours needs no sum. Every
version of a row is asked for; without locations, the trading hubs of `places.csv`: a day of all 22,000 nodes is half a
million rows, and a key that is not a member's may call six times a minute.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.resources import files

import orjson

from carbon254.calendars import market_days
from carbon254.model import Stream

from ..contract import Counted, Request
from .pages import count

PAGE_ROWS = 50_000


def requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """One request a market day that overlaps [start, end); `locations` are pnode ids."""
    feed = stream.options["feed"]
    asked = list(locations) or _hubs()
    suffix = f" {','.join(locations)}" if locations else ""
    for day in market_days(start, end, stream.clock):
        params = {
            "startRow": 1,
            "rowCount": PAGE_ROWS,
            "sort": "datetime_beginning_utc",
            "order": "Asc",
            "datetime_beginning_ept": f"{day:%m/%d/%Y} 00:00to{day:%m/%d/%Y} 23:59",
            "pnode_id": ";".join(asked),
        }
        yield Request(f"/{feed}", f"{day:%Y-%m-%d}{suffix}", params, f"{feed}_{day:%Y%m%d}.json")


def counted(data: bytes) -> Counted | None:
    """Rows that an answer has and announces; None for what is no answer of Data Miner."""
    try:
        return count(orjson.loads(data.removeprefix(b"\xef\xbb\xbf")))
    except orjson.JSONDecodeError:
        return None


def next_page(request: Request, data: bytes) -> Request | None:
    """The page after the rows of `data`, by `totalRows`; None after the last, after none, or where it is no answer."""
    found = counted(data)
    if found is None or found.announced is None or not found.given:
        return None
    following = int(request.params["startRow"]) + found.given
    if following > found.announced:
        return None
    page, subject = request.page + 1, request.subject.split(" page ")[0]
    params = {**request.params, "startRow": following}
    name = f"{request.name.split('.')[0].split('-p')[0]}-p{page}.json"
    return replace(request, params=params, page=page, subject=f"{subject} page {page}", name=name)


def _hubs() -> list[str]:
    rows = csv.DictReader((files("carbon254.feeds.pjm") / "places.csv").read_text("utf-8").splitlines())
    return [row["location_id"] for row in rows if row["location_type"] == "hub"]
