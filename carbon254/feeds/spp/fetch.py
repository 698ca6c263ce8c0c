"""SPP file browser: one file a five-minute interval (named by its end) or a market day.

Paths: `/file-browser-api/download/rtbm-lmp-by-location?path=/YYYY/MM/By_Interval/DD/RTBM-LMP-SL-YYYYMMDDHHMM.csv`
and `/file-browser-api/download/da-lmp-by-location?path=/YYYY/MM/By_Day/DA-LMP-SL-YYYYMMDD0100.csv`, local time;
folders are named by the interval's start, files by its end. The repeated hour's files carry a `d` suffix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from carbon254.calendars import market_days
from carbon254.calendars.zones import zone as zone_named
from carbon254.model import Stream

from ..contract import Request


def requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """One request a market day (DA) or interval (RTBM) that overlaps [start, end)."""
    if stream.market_run == "DAM":
        for day in market_days(start, end, stream.clock):
            name = f"DA-LMP-SL-{day:%Y%m%d}0100.csv"
            path = {"path": f"/{day:%Y/%m}/By_Day/{name}"}
            yield Request("/file-browser-api/download/da-lmp-by-location", f"{day:%Y-%m-%d}", path, name)
        return
    zone, step = zone_named(stream.clock), stream.resolution
    moment = datetime.fromtimestamp((start.timestamp() // 300) * 300, tz=start.tzinfo)
    while moment < end:
        opens, closes = moment.astimezone(zone), (moment + step).astimezone(zone)
        suffix = "d" if closes.fold else ""
        name = f"RTBM-LMP-SL-{closes:%Y%m%d%H%M}{suffix}.csv"
        path = {"path": f"/{opens:%Y/%m}/By_Interval/{opens:%d}/{name}"}
        yield Request("/file-browser-api/download/rtbm-lmp-by-location", f"{moment:%Y-%m-%dT%H:%MZ}", path, name)
        moment += timedelta(minutes=5)
