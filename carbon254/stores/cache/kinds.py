"""The two kinds of rows that are cached, and which of two rows is the newer one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from carbon254.model.ticks import number

PRICE_COLUMNS = (
    "market", "market_run", "location", "location_id", "location_type", "interval_start", "interval_end",
    "lmp", "energy", "congestion", "loss", "ghg", "known_at", "known_basis", "received_at", "revision", "flags",
)  # fmt: skip
TICK_COLUMNS = (
    "tenant", "source", "instrument", "event_time", "event_id", "sequence", "price", "quantity", "bid", "ask",
    "received_at", "payload", "position", "flags",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows of `dataset`: one is kept for each `key`, the last by `order`. `group` is what is read and changed whole."""

    name: str
    dataset: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    group: tuple[str, ...]
    order: tuple[str, ...]


PRICES = Kind(
    "prices",
    "interval_prices",
    PRICE_COLUMNS,
    key=("market", "market_run", "location_id"),
    group=("market", "market_run"),
    order=("interval_start", "known_at", "revision", "received_at"),
)
# Ticks of one instant are told apart by the source's own order, and where it has none by how they came; see `ranked`.
TICKS = Kind(
    "ticks",
    "market_ticks",
    TICK_COLUMNS,
    key=("tenant", "source", "instrument"),
    group=("tenant",),
    order=("event_time", "sequence", "received_at", "payload", "position"),
)


def ranked(ticks: pl.DataFrame) -> pl.DataFrame:
    """Ticks whose columns order them as `model.ticks` does: the sequence also where only the event id tells it."""
    return ticks.with_columns(number().alias("sequence"))


def newest(frame: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """The newest row of each key, columns of the kind only, dictionary columns as text."""
    found = frame.select(kind.columns).with_columns(pl.col(pl.Categorical).cast(pl.String))
    telling = [name for name in kind.key if found[name].n_unique() > 1] or list(kind.key[-1:])
    return found.sort(kind.order).unique(telling, keep="last", maintain_order=True)


def narrowed(
    found: pl.DataFrame, market: str | None = None, run: str | None = None, locations: Sequence[str] = ()
) -> pl.DataFrame:
    """Prices of a market, a run, and places by name or id."""
    if market:
        found = found.filter(pl.col("market") == market)
    if run:
        found = found.filter(pl.col("market_run") == run)
    if locations:
        wanted = list(locations)
        found = found.filter(pl.col("location").is_in(wanted) | pl.col("location_id").is_in(wanted))
    return found
