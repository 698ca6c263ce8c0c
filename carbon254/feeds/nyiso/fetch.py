"""NYISO public files: `https://mis.nyiso.com/public/csv/<report>/YYYYMMDD<report>_zone.csv`, one a market day.

`<report>` is damlbmp, rtlbmp (hourly real-time) or realtime; `_gen` instead of `_zone` holds the generators, asked for
when one of the locations is not a zone. The real-time file of the running day grows with every interval. Daily files
are withdrawn after some days; `options.archive = "monthly"` on the card asks for the zip of each month, which stays.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.resources import files

from carbon254.calendars import market_days
from carbon254.model import Stream

from ..contract import Request


def requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """One request a market day (or month, from the archive) that overlaps [start, end), and kind of location."""
    report = stream.options["report"]
    for kind in _kinds(locations):
        names = (f"{day:%Y%m%d}{report}_{kind}.csv" for day in market_days(start, end, stream.clock))
        if stream.options.get("archive") == "monthly":
            names = (f"{name[:6]}01{name[8:-4]}_csv.zip" for name in names)
        for name in dict.fromkeys(names):
            day = f"{name[:4]}-{name[4:6]}" + ("" if name.endswith(".zip") else f"-{name[6:8]}")
            yield Request(f"/public/csv/{report}/{name}", f"{day} {kind}", {}, name)


def _kinds(locations: Sequence[str]) -> list[str]:
    """zone where all or none is asked for; gen for what is not listed as a zone."""
    text = (files("carbon254.feeds.nyiso") / "places.csv").read_text("utf-8")
    zones = {cell for row in csv.DictReader(text.splitlines()) for cell in (row["location_id"], row["location"])}
    inside = not locations or any(place in zones for place in locations)
    return ["zone"] * inside + ["gen"] * any(place not in zones for place in locations)
