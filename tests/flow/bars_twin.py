"""Bars by other means: Polars over the current rows, a frame a run, as a twin of the engine's statement.

Windows are truncated in UTC, days come from the calendar, means are weighted by duration (prices) or count (ticks).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl

from carbon254.calendars import day_end, day_start
from carbon254.model import Stream, by_run
from carbon254.model.bars import WIDTHS
from carbon254.model.ticks import ORDERED_BY, in_order
from carbon254.stores.hot import HotStore

KEY = ("market", "product", "market_run", "location_id", "tenant", "source", "width", "bar_start")
SAID = ("location", "bar_end", "open", "high", "low", "close", "volume", "weight", "count", "expected", "flags")
Bars = dict[tuple[Any, ...], tuple[Any, ...]]


def computed(hot: HotStore, where: str = "1") -> dict[tuple[Any, ...], Any]:
    """Key → (what a bar says, its mean) as readers have it; every key once."""
    names = ", ".join((*KEY, *SAID, "mean"))
    return _by_key(_plain(hot, f"SELECT {names} FROM ohlc_bars WHERE {where}"))


def twin(hot: HotStore, streams: list[Stream]) -> dict[tuple[Any, ...], Any]:
    """The same from current prices and ticks."""
    parts = []
    prices = _plain(
        hot, "SELECT market, product, market_run, location_id, location, interval_start, interval_end, lmp, flags "
        "FROM current_prices"
    )  # fmt: skip
    runs = by_run(stream for stream in streams if stream.dataset == "interval_prices")
    for (market, run), rows in prices.partition_by("market", "market_run", as_dict=True).items():
        stream = runs[str(market), str(run)]
        parts += [_of_prices(rows, stream, width) for width, span in WIDTHS.items() if span >= stream.resolution]
    columns = ("tenant", "source", "market", "instrument", "price", "quantity", "flags", *ORDERED_BY)
    ticks = _plain(hot, f"SELECT {', '.join(columns)} FROM market_ticks")
    parts += [_of_ticks(ticks, width) for width in WIDTHS] if ticks.height else []
    if not parts:
        return {}
    return _by_key(pl.concat([part.select(*KEY, *SAID, "mean") for part in parts], how="vertical_relaxed"))


def differing(left: dict[tuple[Any, ...], Any], right: dict[tuple[Any, ...], Any]) -> list[Any]:
    """Keys that are not said alike by both, with what each says; means may differ in the last digit they have."""
    found = []
    for key in left.keys() | right.keys():
        one, other = left.get(key), right.get(key)
        if one is None or other is None or one[:-1] != other[:-1] or not _near(one[-1], other[-1]):
            found.append((key, one, other))
    return found[:5]


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= 2e-8 * max(1.0, abs(other))


def _of_prices(rows: pl.DataFrame, stream: Stream, width: str) -> pl.DataFrame:
    seconds = (pl.col("interval_end") - pl.col("interval_start")).dt.total_milliseconds() / 1000.0
    points = rows.sort("interval_start", "interval_end").with_columns(
        _window("interval_start", width, stream.clock).alias("bar_start"),
        pl.when(pl.col("lmp").is_not_null()).then(seconds).otherwise(0.0).alias("weight"),
        pl.lit("public").alias("tenant"), pl.col("market").alias("source"), pl.lit(None, pl.Float64).alias("volume"),
        pl.col("lmp").alias("price"),
    )  # fmt: skip
    return _folded(points, width, stream.resolution, stream.clock)


def _of_ticks(rows: pl.DataFrame, width: str) -> pl.DataFrame:
    points = in_order(rows).with_columns(
        _window("event_time", width, "UTC").alias("bar_start"),
        pl.col("price").is_not_null().cast(pl.Float64).alias("weight"), pl.col("quantity").alias("volume"),
        pl.lit("trade").alias("product"), pl.lit("tick").alias("market_run"),
        pl.col("instrument").alias("location_id"), pl.col("instrument").alias("location"),
    )  # fmt: skip
    return _folded(points, width, timedelta(0), "UTC")


def _folded(points: pl.DataFrame, width: str, resolution: timedelta, clock: str) -> pl.DataFrame:
    weight = pl.col("weight").sum()
    ends = day_end(pl.col("bar_start"), clock) if width == "1d" else pl.col("bar_start") + WIDTHS[width]
    span = (pl.col("bar_end") - pl.col("bar_start")).dt.total_seconds()
    expected = span // int(resolution.total_seconds()) if resolution else pl.lit(0)
    price = pl.col("price")
    return (
        points.group_by(*(name for name in KEY if name != "width"), maintain_order=True)
        .agg(
            pl.col("location").last(),
            price.first(ignore_nulls=True).alias("open"),
            price.max().alias("high"),
            price.min().alias("low"),
            price.last(ignore_nulls=True).alias("close"),
            pl.when(weight > 0).then((price.fill_null(0.0) * pl.col("weight")).sum() / weight).round(8).alias("mean"),
            pl.when(pl.col("volume").count() > 0).then(pl.col("volume").sum()).alias("volume"),
            weight.alias("weight"),
            price.count().alias("count"),
            pl.col("flags").bitwise_or(),
        )
        .with_columns(pl.lit(width).alias("width"), ends.alias("bar_end"))
        .with_columns(expected.alias("expected"))
    )


def _window(column: str, width: str, clock: str) -> pl.Expr:
    return day_start(pl.col(column), clock) if width == "1d" else pl.col(column).dt.truncate(WIDTHS[width])


def _plain(hot: HotStore, sql: str) -> pl.DataFrame:
    found = pl.DataFrame(hot.fetch(sql))
    return found.with_columns(
        pl.col(pl.Categorical).cast(pl.String),
        pl.selectors.datetime(time_zone="*").cast(pl.Datetime("us", "UTC")),
        pl.selectors.integer().cast(pl.Int64),
    )


def _by_key(frame: pl.DataFrame) -> dict[tuple[Any, ...], Any]:
    wide = len(KEY)
    found = {row[:wide]: row[wide:] for row in frame.iter_rows()}
    assert len(found) == frame.height, "a window has two bars"
    return found
