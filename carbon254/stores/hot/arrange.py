"""Rows made ready to insert: the table's own types, one partition at a time, one record batch each."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from carbon254.model import Dataset
from carbon254.model.arrow import arrow_schema


def by_partition(table: pa.Table, dataset: Dataset) -> Iterator[tuple[str, pa.Table]]:
    """(partition, rows) in order of the partition. Raises ValueError naming columns the table lacks."""
    table = typed(table, dataset)
    names = partition_names(table.column(dataset.partition), dataset)
    distinct = sorted(pc.unique(names).to_pylist())
    if len(distinct) == 1:
        yield distinct[0], table
        return
    for name in distinct:
        yield name, table.filter(pc.equal(names, name)).combine_chunks()


def typed(table: pa.Table, dataset: Dataset) -> pa.Table:
    """The dataset's columns in its order and types, in one chunk."""
    lacking = [name for name in dataset.names if name not in table.column_names]
    if lacking:
        raise ValueError(f"{dataset.name}: the table lacks {', '.join(lacking)}; shape it with model.arrow.conform")
    wanted = table.select(dataset.names)
    schema = arrow_schema(dataset)
    if not wanted.schema.equals(schema):
        wanted = wanted.cast(schema)
    return wanted.unify_dictionaries().combine_chunks()


def partition_names(moments: pa.ChunkedArray, dataset: Dataset) -> pa.Array:
    """`YYYY-MM` of each instant in UTC, or `YYYY` of each date, as dictionary-free text."""
    low, high = pc.min_max(moments).as_py().values() if len(moments) else (None, None)
    form = "%Y" if dataset.column(dataset.partition).type == "date" else "%Y-%m"
    if low is not None and low.strftime(form) == high.strftime(form):
        return pa.repeat(pa.scalar(low.strftime(form)), len(moments))
    return pc.strftime(moments, form).combine_chunks()


def engine_partition(name: str, dataset: Dataset) -> str:
    """The engine's id of a partition: `2025-03` → `202503`. Raises ValueError on another form."""
    by_year = dataset.column(dataset.partition).type == "date"
    digits = name.replace("-", "")
    shaped = len(name) == 4 if by_year else (len(name) == 7 and name[4] == "-")
    if not (shaped and digits.isascii() and digits.isdigit()):
        raise ValueError(f"{name!r} is not a partition of {dataset.name}: write {'YYYY' if by_year else 'YYYY-MM'}")
    return digits
