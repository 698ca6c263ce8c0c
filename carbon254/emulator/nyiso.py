"""NYISO public CSV: `damlbmp`, `rtlbmp` (hourly real-time) and `realtime` zonal LBMP of a day.

Hourly stamps are the hour's beginning, real-time stamps the interval's end, both local and without a mark: the
repeated autumn hour is told by row order alone. Congestion is printed with the opposite sign. The real-time file of the
running day ends with the commitment run's look ahead: quarter hours, from the next that is more than five minutes away.
"""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import polars as pl

from . import text
from .market import Ints
from .places import Places
from .world import Answer, Ask, World, day_starts

CLOCK = "America/New_York"
_PATH = re.compile(r"/(damlbmp|rtlbmp|realtime)/(\d{8})(damlbmp|rtlbmp|realtime)_(zone|gen)\.csv$")
_REAL_TIME = "iso.rt.lmp.nyiso"
_QUARTER_S, _AHEAD_INTERVALS = 900, 10
# folder: (feed, seconds an interval, shift from start to stamp, stamp)
_FILES = {
    "damlbmp": ("iso.da.lmp.nyiso", 3_600, 0, "%m/%d/%Y %H:%M"),
    "rtlbmp": ("iso.rth.lmp.nyiso", 3_600, 0, "%m/%d/%Y %H:%M"),
    "realtime": (_REAL_TIME, 300, 300, "%m/%d/%Y %H:%M:%S"),
}


def answer(ask: Ask, world: World) -> Answer:
    """The day's file; a real-time file of the running day holds what is published so far."""
    match = _PATH.search(ask.path)
    if not match or match[1] != match[3] or match[4] != "zone":
        return _missing(ask)
    try:
        day = date.fromisoformat(match[2])
    except ValueError:
        return _missing(ask)
    topic, step, _, _ = _FILES[match[1]]
    starts = day_starts(day, CLOCK, step)
    release = world.release(topic, ask.address, starts)
    if not release.count:
        return _missing(ask)
    out = starts[: release.count]
    table = _render(world, match[1], out, step)
    if topic == _REAL_TIME and len(out) < len(starts):
        ahead = _ahead(int(out[-1]) + step, int(starts[-1]) + step)
        table = pl.concat([table, _render(world, match[1], ahead, _QUARTER_S, "RTC")])
    return Answer(table.write_csv(quote_style="non_numeric", float_precision=2).encode(), published=release.published)


def _missing(ask: Ask) -> Answer:
    words = f"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1><p>{ask.path}</p></body></html>"
    return Answer(words.encode(), "text/html", 404)


def _ahead(last: int, closes: int) -> Ints:
    """Starts of the look ahead behind a dispatch interval that ends at `last`; `closes` ends the file's day."""
    first = last // _QUARTER_S * _QUARTER_S + _QUARTER_S
    first += _QUARTER_S * (first - last <= 300)
    ends = np.arange(first, min(first + _AHEAD_INTERVALS * _QUARTER_S, closes + 1), _QUARTER_S, dtype=np.int64)
    return ends - _QUARTER_S


def _render(world: World, folder: str, starts: Ints, step: int, run: str = "") -> pl.DataFrame:
    """The rows of the intervals that start at `starts` and are `step` seconds long."""
    topic, _, shift, pattern = _FILES[folder]
    shift = step if shift else 0
    chosen = _by_name(world.places("nyiso"))
    found = world.prices(topic, chosen, starts, run)
    scale = float(10**found.decimals)
    return pl.DataFrame(
        {
            "Time Stamp": text.per_interval(text.stamps(text.local(starts, CLOCK, shift), pattern), len(chosen)),
            "Name": text.per_location(chosen.names, len(starts)),
            "PTID": np.tile(np.array(chosen.ids, dtype=np.int64), len(starts)),
            "LBMP ($/MWHr)": found.dollars("lmp").reshape(-1),
            "Marginal Cost Losses ($/MWHr)": found.dollars("loss").reshape(-1),
            "Marginal Cost Congestion ($/MWHr)": ((0 - found.congestion) / scale).reshape(-1),
        }
    )


def _by_name(everything: Places) -> Places:
    return everything.pick(np.argsort(np.array(everything.names)))
