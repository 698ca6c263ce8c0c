"""A table of derived rows that another version keyed otherwise, laid out anew: what is still right is carried over.

The new table is filled beside the old one and both are exchanged at one moment. The old one stays until what could not
be carried over was made again from its origin, so that a crash in between is made good at the next start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from carbon254.model import Dataset

from .ddl import TABLES, create_table


@dataclass(frozen=True, slots=True)
class Carried:
    """How rows of the older layout become rows of this one: values of the columns it lacks, and which rows stay."""

    columns: Mapping[str, str]
    where: str


# Bars of ticks had mixed tenants and sources: they are made again. Those of interval prices are right as they are.
_CARRIED = {"ohlc_bars": Carried({"tenant": "'public'", "source": "market"}, "market_run != 'tick'")}


def before(dataset: str) -> str:
    """The table that holds the older layout until what was not carried over is made again."""
    return f"{dataset}__before"


def rekeying(dataset: Dataset, stored: Collection[str], keep_days: int | None) -> Iterator[str]:
    """The statements that lay a stored table (its columns) out anew; none where its layout is this one."""
    carried = _CARRIED.get(dataset.name)
    if carried is None or not all(name not in stored for name in carried.columns):
        return
    old, fresh = f"{TABLES}.{dataset.name}", f"{TABLES}.{before(dataset.name)}"
    names = [name for name in dataset.names if name in stored or name in carried.columns]
    told = ", ".join(f"{carried.columns.get(name, name)} AS {name}" for name in names)
    yield f"DROP TABLE IF EXISTS {fresh} SYNC"
    yield create_table(dataset, before(dataset.name), keep_days)
    yield f"INSERT INTO {fresh} ({', '.join(names)}) SELECT {told} FROM {old} WHERE {carried.where}"
    yield f"EXCHANGE TABLES {old} AND {fresh}"
