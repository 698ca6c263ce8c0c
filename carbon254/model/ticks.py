"""Which of two ticks came first: by event time, then by the source's own sequence, then by arrival.

A sequence is a number where it is one, also where it is told in the event id only (`seq:9` comes before `seq:10`); an
event id that is no number says nothing about order. Arrival is when the payload was received, its SHA-256, and the
place of the message in it. A tick without a number comes before those of its instant that have one.
"""

from __future__ import annotations

import polars as pl

ORDERED_BY = ("event_time", "sequence", "event_id", "received_at", "payload", "position")
# Whose ticks they are where their sender names no tenant.
EVERYBODY = "public"
NUMBER_IN_ID = "^(?:seq:)?([0-9]{1,19})$"


def number() -> pl.Expr:
    """The source's sequence, or the number that its event id is; null where it has neither."""
    told = pl.col("event_id").cast(pl.String).str.extract(NUMBER_IN_ID).cast(pl.UInt64, strict=False)
    return pl.coalesce(pl.col("sequence").cast(pl.UInt64), told)


def in_order(ticks: pl.DataFrame) -> pl.DataFrame:
    """The ticks, the first one first; `ticks` has the columns ORDERED_BY."""
    if ticks["event_time"].n_unique() == ticks.height:
        return ticks.sort("event_time")
    numbered = ticks["sequence"].null_count() == 0
    keys = {
        "_number": pl.col("sequence") if numbered else number(),
        "_received": pl.col("received_at"),
        "_payload": pl.col("payload").cast(pl.String),
        "_position": pl.col("position"),
    }
    return (
        ticks.with_columns(key.alias(name) for name, key in keys.items())
        .sort("event_time", *keys, nulls_last=False, maintain_order=True)
        .drop(*keys)
    )
