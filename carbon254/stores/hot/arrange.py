"""Rows made ready to insert: the table's own types, one partition at a time, one record batch each."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from carbon254.model import Dataset
from carbon254.model.arrow import arrow_schema


def by_partition(table: pa.Table, dataset: Dataset) -> Iterator[tuple[str, pa.Table]]:
    """(partition, rows) in order of the partition. Raises ValueError naming columns the table lacks."""
    table = typed(table, dataset)
    names = partition_names(table.column(dataset.partition), dataset)
    distinct = names.unique().sort().to_list()
    if len(distinct) == 1:
        yield distinct[0], table
        return
    for name in distinct:
        yield name, table.filter(pa.array((names == name).to_numpy())).combine_chunks()


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


def partition_names(moments: pa.ChunkedArray, dataset: Dataset) -> pl.Series:
    """`YYYY-MM` of each instant in UTC, or `YYYY` of each date; one value where all rows agree."""
    series = pl.Series("partition", moments)
    form = "%Y" if dataset.column(dataset.partition).type == "date" else "%Y-%m"
    ends = pl.Series("partition", [series.min(), series.max()], dtype=series.dtype).dt.strftime(form)
    return ends.head(1) if ends[0] == ends[1] else series.dt.strftime(form)


def engine_partition(name: str, dataset: Dataset) -> str:
    """The engine's id of a partition: `2025-03` → `202503`. Raises ValueError on another form."""
    by_year = dataset.column(dataset.partition).type == "date"
    digits = name.replace("-", "")
    shaped = len(name) == 4 if by_year else (len(name) == 7 and name[4] == "-")
    if not (shaped and digits.isascii() and digits.isdigit()):
        raise ValueError(f"{name!r} is not a partition of {dataset.name}: write {'YYYY' if by_year else 'YYYY-MM'}")
    return digits
