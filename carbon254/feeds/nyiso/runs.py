"""Which market run NYISO's rows are of: day-ahead, hourly real-time, dispatch, or the look ahead behind dispatch.

The three kinds of files have the same columns. The column's own name (`DAM Zonal LBMP`), the file's name and the stamps
tell them apart; hourly files of a lost name could be day-ahead (damlbmp) or hourly integrated real-time prices
(rtlbmp), and nothing in them says which.

The real-time file of a running day ends with a look ahead: rows of the commitment run (RTC) at quarter hours, behind
the newest dispatch (RTD) row, which later answers replace by dispatch rows. Nothing marks them: they are the rows at
the end of the file that stand on quarter hours and follow the row before at more than five minutes. It is the same
whenever the file is read. Not told by that: a quarter hour five minutes behind the newest dispatch row. It is read as
dispatch, and the next answer puts it right where it was not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from carbon254.calendars import wall_to_utc
from carbon254.model import Stream

DAY_AHEAD, HOURLY, DISPATCH, AHEAD = "DAM", "RT_HOURLY", "RTD", "RTC"
_NAMES = {"damlbmp": DAY_AHEAD, "rtlbmp": HOURLY, "realtime": DISPATCH}
_CLOCK = re.compile(r"\d:(\d\d)(?::(\d\d))?")
_QUARTER = timedelta(minutes=15)
_WIDEST = timedelta(minutes=30)


def candidates(name: str, column: str, lines: Sequence[str]) -> list[str]:
    """Runs a file may be of, by its name, its price column's name and its first lines; one where that is certain."""
    if said := re.match(r"DAM|RTD", column.strip().upper()):
        return [said[0]]
    clocks = [found for line in lines if (found := _CLOCK.search(line))]
    off_hour = sum(found[1] != "00" or found[2] not in (None, "00") for found in clocks)
    if 2 * off_hour > len(clocks):
        return [DISPATCH]
    if named := next((run for word, run in _NAMES.items() if word in name.lower()), ""):
        return [named]
    seconds = {found.string[: found.end()] for found in clocks if found[2]}
    if off_hour or len(seconds) == 1:
        return [DISPATCH]
    return [DAY_AHEAD, HOURLY]


def with_look_ahead(frame: pl.DataFrame, stream: Stream) -> pl.DataFrame:
    """Adds `market_run` to the rows of a real-time file. `frame` has label, location_id and perhaps mark."""
    mark = frame["mark"] if "mark" in frame.columns else None
    ends, _ = wall_to_utc(frame["label"], stream.clock, mark, frame["location_id"])
    opens = look_ahead(ends.drop_nulls().unique().sort().to_list(), stream.resolution)
    own = pl.lit(stream.market_run)
    run = pl.when((ends >= opens).fill_null(False)).then(pl.lit(AHEAD)).otherwise(own) if opens else own
    return frame.with_columns(run.alias("market_run"))


def look_ahead(ends: Sequence[datetime], step: timedelta) -> datetime | None:
    """The first stamp of the look ahead among ascending interval ends (UTC); None where there is none.

    A file of nothing but quarter hours has no dispatch row yet: it is all look ahead. A single stamp tells nothing.
    """
    first = len(ends)
    while first and _on_quarter(ends[first - 1]):
        gap = ends[first - 1] - ends[first - 2] if first > 1 else _QUARTER
        if not step < gap <= _WIDEST:
            break
        first -= 1
        if gap != _QUARTER:
            break
    return ends[first] if first < len(ends) and (first or len(ends) > 1) else None


def _on_quarter(moment: datetime) -> bool:
    return moment.minute % 15 == 0 and not moment.second and not moment.microsecond
