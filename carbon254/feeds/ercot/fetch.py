"""ERCOT public API: `np4-190-cd/dam_stlmnt_pnt_prices` and `np6-905-cd/spp_node_zone_hub`, pages by `_meta`.

Days are market days (`deliveryDateFrom`/`To`). A real-time span inside one day is narrowed with
`deliveryHourFrom`/`To`, which are hour-ending numbers of the local clock; the repeated autumn hour is one number, and
brings both passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import orjson

from carbon254.calendars import market_day_span, market_days
from carbon254.calendars.zones import zone as zone_named
from carbon254.model import Stream

from ..contract import Counted, Request
from .pages import count

PAGE_ROWS = 100_000


def requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """One request a market day that overlaps [start, end), and a settlement point where some are named."""
    report = stream.options["report"]
    for day in market_days(start, end, stream.clock):
        hours = _hours(stream, day, start, end) if stream.market_run == "RTM" else {}
        for point in locations or ("",):
            params = {"deliveryDateFrom": f"{day:%Y-%m-%d}", "deliveryDateTo": f"{day:%Y-%m-%d}", **hours}
            if point:
                params["settlementPoint"] = point
            words = [f"{day:%Y-%m-%d}", *(f"HE{hour}" for hour in hours.values()), point]
            subject = " ".join(filter(None, words))
            name = f"{report.split('/')[1]}_{subject.replace(' ', '_')}.json"
            yield Request(f"/{report}", subject, {**params, "page": 1, "size": PAGE_ROWS}, name)


def _hours(stream: Stream, day: date, start: datetime, end: datetime) -> dict[str, int]:
    """Hour-ending bounds of the part of [start, end) that lies in `day`; empty for the whole day."""
    opens, closes = market_day_span(day, stream.clock)
    if start <= opens and end >= closes:
        return {}
    zone = zone_named(stream.clock)
    first = max(start, opens).astimezone(zone)
    last = (min(end, closes) - timedelta(microseconds=1)).astimezone(zone)
    return {"deliveryHourFrom": first.hour + 1, "deliveryHourTo": last.hour + 1}


def counted(data: bytes) -> Counted | None:
    """Rows that an answer has and announces; None for what is no report."""
    try:
        answer = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return None
    if not isinstance(answer, dict) or "_meta" not in answer:
        return None
    rows = answer.get("data")
    return count(answer["_meta"], len(rows) if isinstance(rows, list) else 0)


def next_page(request: Request, data: bytes) -> Request | None:
    """The page after `data`, by `_meta.totalPages`, else by totalRecords; None after the last or where it is no report.

    Pages have the size that the server chose, which may be smaller than the one asked for.
    """
    found = counted(data)
    if found is None:
        return None
    more = request.page < found.pages if found.pages else request.page * found.given < (found.announced or 0)
    if not more or (found.announced and not found.given):
        return None
    page, subject = request.page + 1, request.subject.split(" page ")[0]
    name = f"{request.name.removesuffix('.json').split('-p')[0]}-p{page}.json"
    return replace(
        request, params={**request.params, "page": page}, page=page, subject=f"{subject} page {page}", name=name
    )
