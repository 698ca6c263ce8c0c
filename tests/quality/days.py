"""Market days as the store holds them, from the emulator's own price model: any feed, any day, any number of places."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from carbon254.calendars import market_day_span
from carbon254.emulator.market import MARKETS, prices
from carbon254.emulator.noise import keys
from carbon254.feeds import feeds
from carbon254.model import Stream

SEED = 254
UTC_US = pl.Datetime("us", "UTC")


def stream_of(topic: str) -> Stream:
    return feeds()[topic].stream


def market_day(topic: str, day: date, places: int = 12, seed: int = SEED) -> pl.DataFrame:
    """One market day of a feed, time-major: 23, 24 or 25 hours, components as published, received a minute late."""
    stream = stream_of(topic)
    market = MARKETS[stream.provider.id]
    start, end = market_day_span(day, stream.clock)
    step = int(stream.resolution.total_seconds())
    starts = np.arange(int(start.timestamp()), int(end.timestamp()), step, dtype=np.int64)
    prefix = "9" if stream.market == "PJM" else f"{stream.market}_"
    names = [f"{prefix}{number:05d}" for number in range(places)]
    live = stream.product_tier != "day_ahead"
    made = prices(seed, market, stream.market_run, live, keys(names), starts)
    if not market.has_ghg:
        made = replace(made, ghg=np.zeros_like(made.loss))
    begins = pl.Series(np.repeat(starts * 1_000_000, places)).cast(UTC_US)
    columns = {name: made.dollars(name).reshape(-1) for name in ("lmp", "energy", "congestion", "loss", "ghg")}
    frame = pl.DataFrame(
        {
            "market": pl.Series([stream.market]).gather(np.zeros(len(begins), np.int64)),
            "product": pl.Series([stream.product]).gather(np.zeros(len(begins), np.int64)),
            "market_run": pl.Series([stream.market_run]).gather(np.zeros(len(begins), np.int64)),
            "location": pl.Series(names).gather(np.tile(np.arange(places), len(starts))),
            "location_id": pl.Series(names).gather(np.tile(np.arange(places), len(starts))),
            "interval_start": begins,
            **{name: pl.Series(values) for name, values in columns.items()},
        }
    )
    return frame.with_columns(
        (pl.col("interval_start") + stream.resolution).alias("interval_end"),
        (pl.col("interval_start") + timedelta(minutes=6)).alias("received_at"),
        pl.lit("received").alias("known_basis"),
        pl.lit(0, dtype=pl.UInt32).alias("flags"),
        pl.lit(None, dtype=pl.Float64).alias("ghg") if not market.has_ghg else pl.col("ghg"),
    )
