"""Bars as they would have been known: computed from prices as known then, by the function that makes the stored ones.

Stored bars are of the current prices only; keeping every version of every bar would store what can be computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import polars as pl

from carbon254.model import Stream, by_run
from carbon254.model.ticks import ORDERED_BY
from carbon254.nearest import pick
from carbon254.stages import WIDTHS, bars_of_prices, bars_of_ticks, roll_up, widths_for
from carbon254.stages.aggregate import OWNER

from .known import Fetch, Known
from .queries import BAR_COLUMNS, BAR_ORDER, BarsAsked, among, literal

_LONGEST = timedelta(hours=25)
_TICK = "tick"
_Narrowest = Callable[[pl.DataFrame, str, timedelta, str], pl.DataFrame]


def series_of(bars: pl.DataFrame) -> list[tuple[str, str]]:
    """The (market, run) that bars are of."""
    return bars.select(pl.col("market", "market_run").cast(pl.String)).unique().rows()


def bars_as_known(fetch: Fetch, streams: Mapping[str, Stream], asked: BarsAsked, known: Known) -> pl.DataFrame:
    """The bars as known then, in the columns of the stored ones. Raises UnknownName for a width that is not made."""
    asked = replace(asked, width=pick("width of bars", asked.width, WIDTHS))
    made = [*_of_prices(fetch, streams, asked, known), *_of_ticks(fetch, asked, known)]
    if not made:
        return pl.DataFrame(schema=dict.fromkeys(BAR_COLUMNS, pl.Null))
    # A width that is a run's own and one that is rolled up have their columns in other orders.
    found = pl.concat([one.select(BAR_COLUMNS) for one in made], how="vertical_relaxed")
    wanted = [(pl.col("bar_start") >= asked.start) & (pl.col("bar_start") < asked.end)]
    wanted += [pl.col("tenant") == asked.tenant] if asked.tenant else []
    wanted += [pl.col("source") == asked.source] if asked.source else []
    return found.filter(*wanted).sort(BAR_ORDER)


def _of_prices(fetch: Fetch, streams: Mapping[str, Stream], asked: BarsAsked, known: Known) -> list[pl.DataFrame]:
    if asked.run == _TICK:
        return []
    spanned = [f"interval_start >= {literal(asked.start)}", f"interval_start < {literal(asked.end + _LONGEST)}"]
    spanned += [f"market = {literal(asked.market)}"] if asked.market else []
    spanned += [f"market_run = {literal(asked.run)}"] if asked.run else []
    named = f"({among('location', asked.locations)} OR {among('location_id', asked.locations)})"
    where = " AND ".join(spanned)
    view = "current_prices" if known.now else known.view("interval_prices")
    rows = pl.DataFrame(
        fetch(
            "SELECT market, product, market_run, location_id, location, interval_start, interval_end, lmp, flags "
            f"FROM {view} WHERE {where} AND (market, location_id) IN "
            f"(SELECT market, location_id FROM interval_prices_arrivals WHERE {where} AND {named})"
        )
    )
    made, runs = [], by_run(streams.values())
    for (market, run), part in rows.partition_by("market", "market_run", as_dict=True).items():
        stream = runs.get((str(market), str(run)))
        if stream:
            made += _widened(bars_of_prices, part, stream.resolution, stream.clock, asked.width)
    return made


def _of_ticks(fetch: Fetch, asked: BarsAsked, known: Known) -> list[pl.DataFrame]:
    if known.rung or asked.run not in (None, _TICK):
        return []
    where = [among("instrument", asked.locations), f"event_time >= {literal(asked.start)}"]
    where += [f"event_time < {literal(asked.end + _LONGEST)}"]
    asked_of = {"market": asked.market, "tenant": asked.tenant, "source": asked.source}
    where += [f"{name} = {literal(value)}" for name, value in asked_of.items() if value]
    view = "market_ticks" if known.now else known.view("market_ticks")
    columns = ", ".join((*OWNER, "market", "instrument", "price", "quantity", "flags", *ORDERED_BY))
    rows = pl.DataFrame(fetch(f"SELECT {columns} FROM {view} WHERE {' AND '.join(where)}"))
    if rows.is_empty():
        return []
    narrowest = lambda ticks, width, *_: bars_of_ticks(ticks, width)  # noqa: E731
    return _widened(narrowest, rows, timedelta(0), "UTC", asked.width)


def _widened(
    narrowest: _Narrowest, rows: pl.DataFrame, resolution: timedelta, clock: str, width: str
) -> list[pl.DataFrame]:
    """The bars of `width`, from the narrowest up, as the stored ones are made; none where the width is too narrow."""
    widths = widths_for(resolution or WIDTHS["1m"])
    if width not in widths:
        return []
    bars = narrowest(rows, widths[0], resolution, clock)
    for narrower, wider in pairwise(widths):
        if narrower == width:
            break
        bars = roll_up(bars, wider, resolution, clock)
    return [bars]
