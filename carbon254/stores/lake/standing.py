"""Which of some rows stand already, and what of their arrivals goes: looked up where a batch is doubtful, never else.

A row stands where one of the same arrival (feed, received_at, payload), batch and key does. Batches of older versions
were named by their place in a log (`123-0`), which says nothing of their content: of these, rows of the same arrival
are compared by key and values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import (
    AlwaysFalse,
    AlwaysTrue,
    And,
    BooleanExpression,
    EqualTo,
    GreaterThanOrEqual,
    In,
    LessThanOrEqual,
    Or,
)
from pyiceberg.table import Table

from carbon254.model import Dataset
from carbon254.model.iceberg import plain_schema

from .positions import arrival_column

_OLD_BATCH = r"^\d+-r?\d+$"
_MOST = 500


def arrival_of(dataset: Dataset) -> tuple[str, ...]:
    """The columns that say of which arrival a row is, those of them that the dataset has."""
    return tuple(name for name in dict.fromkeys(("feed", arrival_column(dataset), "payload")) if name in dataset.names)


def batches_of(rows: pa.Table, dataset: Dataset, reading: str) -> dict[str, frozenset[str]]:
    """The batches of each arrival among some rows, in their order; named with the reading's number."""
    names = arrival_of(dataset)
    found: dict[str, frozenset[str]] = {}
    told = pl.DataFrame(_told(rows, dataset, [*names, "batch_id"])).unique(maintain_order=True)
    for *arrival, batch in told.iter_rows():
        name = "|".join([*map(str, arrival), reading])
        found[name] = found.get(name, frozenset()) | {batch}
    return found


def missing(table: Table, dataset: Dataset, rows: pa.Table, replaces: bool = False) -> pa.Table:
    """The rows that do not stand yet. Where they replace others, batches of older versions go and are no reason."""
    if table.current_snapshot() is None or not rows.num_rows:
        return rows
    names = arrival_of(dataset)
    batch = [name for name in ("batch_id",) if name in dataset.names]
    wanted = [*dict.fromkeys((*names, *batch, *dataset.key, *dataset.version, *dataset.values))]
    low, high = (_text(bound.as_py()) for bound in pc.min_max(rows[dataset.partition]).values())
    span = And(GreaterThanOrEqual(dataset.partition, low), LessThanOrEqual(dataset.partition, high))  # pyright: ignore
    found = _scan(table, dataset, And(span, _of_arrivals(rows, names)), wanted)
    if not found.height:
        return rows
    mine = pl.DataFrame(_told(rows, dataset, wanted)).with_row_index("\0place")
    same = [*dict.fromkeys((*names, *batch, *dataset.key))]
    old = found.filter(pl.col("batch_id").str.contains(_OLD_BATCH) if batch else pl.lit(value=False))
    found = found.filter(~pl.col("batch_id").str.contains(_OLD_BATCH)) if batch else found
    left = mine.join(found.select(same).unique(), on=same, how="anti", nulls_equal=True)
    old = old.clear() if replaces else old
    told = [*dict.fromkeys((*names, *dataset.key, *dataset.values))]
    left = left.join(old.select(told).unique(), on=told, how="anti", nulls_equal=True)
    return rows if left.height == rows.num_rows else rows.take(pa.array(left["\0place"].sort().to_numpy()))


def replaced(table: Table, dataset: Dataset, rows: pa.Table, kept: frozenset[str]) -> BooleanExpression:
    """The filter of rows of the same arrivals, but of other batches than `kept`; all those of older versions.

    Wherever they are: a mended reading may say another time.
    """
    names = arrival_of(dataset)
    if table.current_snapshot() is None or "batch_id" not in dataset.names or not rows.num_rows:
        return AlwaysFalse()
    columns = [*names, "batch_id"]
    found = _scan(table, dataset, _of_arrivals(rows, names), columns).unique()
    mine = pl.DataFrame(_told(rows, dataset, columns)).unique()
    gone = found.join(mine.select(names), on=list(names), how="semi", nulls_equal=True)
    here = set(mine["batch_id"])
    stays = [one for one in kept if not (one in here and re.match(_OLD_BATCH, one))]
    gone = gone.filter(~pl.col("batch_id").is_in(stays))
    if not gone.height:
        return AlwaysFalse()
    every: list[BooleanExpression] = []
    for arrival, some in gone.partition_by(list(names), as_dict=True).items():
        terms = [EqualTo(name, _text(value)) for name, value in zip(names, arrival, strict=True)]  # pyright: ignore
        every.append(And(*terms, In("batch_id", set(some["batch_id"]))))  # pyright: ignore
    return Or(*every) if len(every) > 1 else every[0]  # pyright: ignore[reportReturnType]


def _of_arrivals(rows: pa.Table, names: Sequence[str]) -> BooleanExpression:
    """Rows that may be of the same arrivals; the caller compares them."""
    terms: list[BooleanExpression] = []
    for name in names:
        values = {value for value in pc.unique(rows[name]).to_pylist() if value is not None}
        if 0 < len(values) <= _MOST:
            terms.append(In(name, {_text(value) for value in values}))  # pyright: ignore[reportArgumentType, reportCallIssue]
        elif values:
            low, high = _text(min(values)), _text(max(values))
            terms.append(And(GreaterThanOrEqual(name, low), LessThanOrEqual(name, high)))  # pyright: ignore
    return reduce(And, terms, AlwaysTrue())  # pyright: ignore[reportArgumentType, reportReturnType]


def _scan(table: Table, dataset: Dataset, what: BooleanExpression, columns: Sequence[str]) -> pl.DataFrame:
    found = table.scan(what, selected_fields=tuple(columns)).to_arrow()
    return pl.DataFrame(_told(found, dataset, columns))


def _told(rows: pa.Table, dataset: Dataset, columns: Sequence[str]) -> pa.Table:
    """The columns in the types that the lake has."""
    plain = plain_schema(dataset)
    return rows.select(list(columns)).cast(pa.schema([plain.field(name) for name in columns]))


def _text(value: Any) -> Any:
    """A value as the library's filters take it."""
    return value.isoformat() if hasattr(value, "isoformat") else value
