"""NYISO public CSV: `damlbmp` and `realtime` zonal LBMP of a day.

Day-ahead stamps are the hour's beginning, real-time stamps the interval's end, both local and without a mark: the
repeated autumn hour is told by row order alone. Congestion is printed with the opposite sign.
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
_PATH = re.compile(r"/(damlbmp|realtime)/(\d{8})(damlbmp|realtime)_(zone|gen)\.csv$")
# folder: (feed, seconds an interval, shift from start to stamp, stamp)
_FILES = {
    "damlbmp": ("iso.da.lmp.nyiso", 3_600, 0, "%m/%d/%Y %H:%M"),
    "realtime": ("iso.rt.lmp.nyiso", 300, 300, "%m/%d/%Y %H:%M:%S"),
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
    return Answer(_render(world, match[1], starts[: release.count]), published=release.published)


def _missing(ask: Ask) -> Answer:
    words = f"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1><p>{ask.path}</p></body></html>"
    return Answer(words.encode(), "text/html", 404)


def _render(world: World, folder: str, starts: Ints) -> bytes:
    topic, _, shift, pattern = _FILES[folder]
    chosen = _by_name(world.places("nyiso"))
    found = world.prices(topic, chosen, starts)
    scale = float(10**found.decimals)
    frame = pl.DataFrame(
        {
            "Time Stamp": text.per_interval(text.stamps(text.local(starts, CLOCK, shift), pattern), len(chosen)),
            "Name": text.per_location(chosen.names, len(starts)),
            "PTID": np.tile(np.array(chosen.ids, dtype=np.int64), len(starts)),
            "LBMP ($/MWHr)": found.dollars("lmp").reshape(-1),
            "Marginal Cost Losses ($/MWHr)": found.dollars("loss").reshape(-1),
            "Marginal Cost Congestion ($/MWHr)": ((0 - found.congestion) / scale).reshape(-1),
        }
    )
    return frame.write_csv(quote_style="non_numeric", float_precision=2).encode()


def _by_name(everything: Places) -> Places:
    return everything.pick(np.argsort(np.array(everything.names)))
