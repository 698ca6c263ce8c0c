"""Arrival columns of datasets that are not interval prices: known when received, ticks flagged where times disagree."""

from __future__ import annotations

import polars as pl

from carbon254.calendars.skew import OUT_OF_ORDER, ahead
from carbon254.model import Dataset, Flag, Stream

from .arrivals import Arrival


def known_when_received(
    frame: pl.DataFrame, dataset: Dataset, stream: Stream, arrival: Arrival, first: int
) -> pl.DataFrame:
    """The columns of an arrival that the dataset has and the frame lacks; `first` is the first row's position."""
    names = dataset.names
    fixed = {
        "known_at": arrival.received_at,
        "known_basis": "received",
        "received_at": arrival.received_at,
        "published_at": arrival.published_at,
        "market": stream.market,
        "commodity": stream.commodity,
        "region": stream.market,
        "product_tier": stream.product_tier,
    }
    instant, end = pl.Datetime("us", "UTC"), first + frame.height
    place = [pl.int_range(first, end, dtype=pl.UInt32).alias("position")] if "position" in names else []
    return frame.with_columns(
        *place,
        *(
            pl.lit(value, dtype=instant if name.endswith("_at") else pl.String).alias(name)
            for name, value in fixed.items()
            if name in names and name not in frame.columns
        ),
    )


def by_arrival(ticks: pl.DataFrame) -> pl.DataFrame:
    """Ticks flagged where their event time does not agree with their arrival. The time itself stays the source's own:
    it is part of the tick's key, and no tick may become another one by the company it is sent in."""
    late = pl.col("received_at") - pl.col("event_time") > OUT_OF_ORDER
    flags = pl.when(ahead("event_time", "received_at")).then(Flag.CLOCK_AHEAD.value).when(late).then(Flag.LATE.value)
    return ticks.with_columns((pl.col("flags").cast(pl.UInt32) | flags.otherwise(0).cast(pl.UInt32)).alias("flags"))
