"""When a price has grown old, from the card of its stream.

A stream published by interval owes its next interval one resolution later, after its publication delay and service
level. A stream published by market day owes the next day's prices when this market day has ended, or later where its
card says so. Pushed streams owe nothing, and a price without a card cannot be judged: its deadline is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import polars as pl

from carbon254.calendars import day_end
from carbon254.model import Stream, by_run, describe_flags

_PUSHED = "market_ticks"


def due(stream: Stream) -> pl.Expr:
    """The instant from which a row of the stream is stale, from `interval_start` and `interval_end`."""
    if stream.publication.anchor == "interval_end":
        return pl.col("interval_end") + (stream.resolution + stream.publication.delay + stream.slo)
    return day_end(pl.col("interval_start"), stream.clock) + max(timedelta(0), stream.publication.delay + stream.slo)


def with_deadline(frame: pl.DataFrame, streams: Mapping[str, Stream]) -> pl.DataFrame:
    """Adds `stale_at` (µs, UTC, nullable) to rows with market, market_run, interval_start and interval_end."""
    present = set(frame.select("market", "market_run").unique().iter_rows())
    judged = [run for key, run in by_run(streams.values()).items() if key in present and run.dataset != _PUSHED]
    rules = [
        pl.when((pl.col("market") == stream.market) & (pl.col("market_run") == stream.market_run)).then(due(stream))
        for stream in judged
    ]
    unknown = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    return frame.with_columns(pl.coalesce(*rules, unknown).alias("stale_at"))


def judged(frame: pl.DataFrame, streams: Mapping[str, Stream], now: datetime) -> pl.DataFrame:
    """Adds `stale_at`, `stale` (null where no card tells), `age_s` since known_at, and `flag_names`."""
    # The column stands left: with a literal there, polars 2.1 compares one-row frames of one instant, concatenated,
    # as a single row.
    age = (pl.col("known_at") - now).dt.total_microseconds().neg() / 1_000_000
    aged = with_deadline(frame, streams).with_columns(
        (pl.col("stale_at") < now).alias("stale"), age.round(1).alias("age_s")
    )
    return with_flag_names(aged)


def with_flag_names(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `flag_names`, a list of the names of the bits in `flags`."""
    known = frame["flags"].unique()
    names = pl.Series("flag_names", [describe_flags(bits) for bits in known], dtype=pl.List(pl.String))
    return frame.join(pl.DataFrame([known.alias("flags"), names]), on="flags", how="left", maintain_order="left")
