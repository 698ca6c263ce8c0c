"""Aggregate: prices → open, high, low, close over windows of 1m, 5m, 15m, 1h and 1d.

Bars are a pure function of the current prices: whatever the order of arrival, recomputing a window from its prices
gives the same bar. A window is computed from the prices that start in it; wider bars from narrower ones, whose open,
high, low, close, weights and counts compose. Windows narrower than the stream's interval are not made: a five-minute
price says nothing about one minute. Daily bars of a market follow its own clock (23, 24 or 25 hours); those of ticks
follow UTC. The mean is weighted by duration for interval prices, by count for ticks.

Ticks of two tenants, or of two sources, are two bars: they are never mixed.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from carbon254.calendars import day_end, day_start
from carbon254.model.ticks import EVERYBODY, in_order

WIDTHS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
SERIES = ("market", "product", "market_run", "location_id")
# Whose prices a bar is made of: interval prices are everybody's, and come from their market.
OWNER = ("tenant", "source")
BAR_SERIES = (*SERIES, *OWNER)
_MEAN_DECIMALS = 8


def widths_for(resolution: timedelta) -> list[str]:
    """The widths that hold at least one whole interval, narrowest first."""
    return [name for name, width in WIDTHS.items() if width >= resolution]


def window(column: str, width: str, clock: str) -> pl.Expr:
    """Start of the window of `width` that an instant lies in; days follow `clock`."""
    if width == "1d":
        return day_start(pl.col(column), clock)
    return pl.col(column).dt.truncate(width)


def window_end(width: str, clock: str) -> pl.Expr:
    """End of the window that starts at `bar_start`."""
    if width == "1d":
        return day_end(pl.col("bar_start"), clock)
    return pl.col("bar_start") + WIDTHS[width]


def bars_of_prices(prices: pl.DataFrame, width: str, resolution: timedelta, clock: str) -> pl.DataFrame:
    """Bars of current interval prices (SERIES, location, interval_start, interval_end, lmp, flags).

    A missing price counts for nothing; a window whose prices are all missing has a bar without values.
    """
    seconds = (pl.col("interval_end") - pl.col("interval_start")).dt.total_milliseconds() / 1000.0
    points = prices.select(
        *SERIES,
        "location",
        pl.col("interval_start").alias("_at"),
        window("interval_start", width, clock).alias("bar_start"),
        *(pl.col("lmp").alias(name) for name in ("open", "high", "low", "close", "mean")),
        pl.lit(None, dtype=pl.Float64).alias("volume"),
        pl.when(pl.col("lmp").is_not_null()).then(seconds).otherwise(0.0).alias("weight"),
        pl.col("lmp").is_not_null().cast(pl.UInt32).alias("count"),
        "flags",
    )
    return _of_everybody(_fold(points, width, resolution, clock, SERIES))


def bars_of_ticks(ticks: pl.DataFrame, width: str = "1m") -> pl.DataFrame:
    """Bars of pushed ticks (tenant, source, market, instrument, price, quantity, flags and what orders them, see
    `model.ticks`); series run `tick`."""
    points = in_order(ticks).select(
        *OWNER,
        pl.col("market"),
        pl.lit("trade").alias("product"),
        pl.lit("tick").alias("market_run"),
        pl.col("instrument").alias("location_id"),
        pl.col("instrument").alias("location"),
        pl.col("event_time").alias("_at"),
        window("event_time", width, "UTC").alias("bar_start"),
        *(pl.col("price").alias(name) for name in ("open", "high", "low", "close", "mean")),
        pl.col("quantity").alias("volume"),
        pl.col("price").is_not_null().cast(pl.Float64).alias("weight"),
        pl.col("price").is_not_null().cast(pl.UInt32).alias("count"),
        "flags",
    )
    return _fold(points, width, timedelta(0), "UTC", BAR_SERIES)


def roll_up(bars: pl.DataFrame, width: str, resolution: timedelta, clock: str) -> pl.DataFrame:
    """Wider bars from narrower ones."""
    points = bars.select(
        *BAR_SERIES,
        "location",
        pl.col("bar_start").alias("_at"),
        window("bar_start", width, clock).alias("bar_start"),
        "open", "high", "low", "close", "mean", "volume", "weight", "count", "flags",
    )  # fmt: skip
    return _fold(points, width, resolution, clock, BAR_SERIES)


def _of_everybody(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars of interval prices with their OWNER."""
    return bars.with_columns(pl.lit(EVERYBODY).alias("tenant"), pl.col("market").alias("source"))


def _fold(points: pl.DataFrame, width: str, resolution: timedelta, clock: str, series: tuple[str, ...]) -> pl.DataFrame:
    keys = [*series, "bar_start"]
    total = pl.col("weight").sum()
    if _fills_alone(points, width, resolution):
        alone = points.drop("_at").with_columns(pl.col("mean").round(_MEAN_DECIMALS))
        return _finish(alone, width, resolution, clock)
    folded = (
        # Within a group the order of rows stays, so time alone has to be sorted by.
        points.sort("_at", maintain_order=True)
        .group_by(keys)
        .agg(
            pl.col("location").last(),
            pl.col("open").first(ignore_nulls=True),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(ignore_nulls=True),
            pl.when(total > 0)
            .then((pl.col("mean").fill_null(0.0) * pl.col("weight")).sum() / total)
            .round(_MEAN_DECIMALS)
            .alias("mean"),
            pl.when(pl.col("volume").count() > 0).then(pl.col("volume").sum()).alias("volume"),
            total.alias("weight"),
            pl.col("count").sum().cast(pl.UInt32),
            pl.col("flags").bitwise_or().cast(pl.UInt32),
        )
    )
    return _finish(folded, width, resolution, clock)


def _fills_alone(points: pl.DataFrame, width: str, resolution: timedelta) -> bool:
    """True where each point fills its window alone, so that nothing is to be folded."""
    if WIDTHS[width] != resolution or points.is_empty():
        return False
    filled = (pl.col("_at") == pl.col("bar_start")) & (pl.col("weight") == resolution.total_seconds())
    return bool(points.select(filled.all()).item())


def _finish(bars: pl.DataFrame, width: str, resolution: timedelta, clock: str) -> pl.DataFrame:
    framed = bars.with_columns(pl.lit(width).alias("width"), window_end(width, clock).alias("bar_end"))
    return framed.with_columns(_expected(resolution))


def _expected(resolution: timedelta) -> pl.Expr:
    if not resolution:
        return pl.lit(0, dtype=pl.UInt32).alias("expected")
    span = (pl.col("bar_end") - pl.col("bar_start")).dt.total_seconds()
    return (span // int(resolution.total_seconds())).cast(pl.UInt32).alias("expected")
