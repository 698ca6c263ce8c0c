"""MISO: market reports as files of a day, and the public API's table of the latest five-minute prices.

Reports lie at `https://docs.misoenergy.org/marketreports/YYYYMMDD_<report>.csv`, one a market day (Eastern standard
time all year); a report that is not out yet is HTTP 404. The table is on another host, so its request's path is the
whole address, from the card's `url`; it takes no parameters and always answers with the latest interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from carbon254.calendars import market_days
from carbon254.model import Stream

from ..contract import Request


def requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """One request a market day that overlaps [start, end), all nodes; for five-minute prices, one for the latest."""
    report = stream.options.get("report")
    if report is None:
        closes = f"{end.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
        name = f"lmp_consolidated_{end.astimezone(UTC):%Y%m%dT%H%MZ}.json"
        yield Request(stream.options["url"], f"latest at {closes}", {}, name)
        return
    for day in market_days(start, end, stream.clock):
        name = f"{day:%Y%m%d}_{report}.csv"
        yield Request(f"/marketreports/{name}", f"{day:%Y-%m-%d} {report}", {}, name)
