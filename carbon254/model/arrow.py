"""Arrow schemas derived from the datasets, and the one place where a frame becomes a table of a dataset."""

from __future__ import annotations

from functools import cache

import polars as pl
import pyarrow as pa

from .dataset import Column, Dataset

CATEGORY = pa.dictionary(pa.int32(), pa.string())

_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "category": CATEGORY,
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "float64": pa.float64(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "int64": pa.int64(),
}
_POLARS: dict[str, pl.DataType] = {
    "string": pl.String(),
    "category": pl.Categorical(),
    "timestamp": pl.Datetime("us", "UTC"),
    "date": pl.Date(),
    "float64": pl.Float64(),
    "uint32": pl.UInt32(),
    "uint64": pl.UInt64(),
    "int64": pl.Int64(),
}


def arrow_field(column: Column) -> pa.Field:
    """The Arrow field of a column; its metadata carries `unit` and `meaning`."""
    described = {"unit": column.unit, "meaning": column.meaning}
    return pa.field(column.name, _TYPES[column.type], column.nullable, metadata=described)


@cache
def arrow_schema(dataset: Dataset) -> pa.Schema:
    """The dataset's columns in order: instants in microseconds UTC, categories as int32 dictionaries of strings."""
    return pa.schema([arrow_field(column) for column in dataset.columns], metadata={"dataset": dataset.name})


def conform(frame: pl.DataFrame, dataset: Dataset) -> pa.Table:
    """The frame as a table of exactly the dataset's columns, in order and in one chunk.

    Missing columns that may be null become null; other columns of the frame are left out. Raises ValueError naming a
    required column that is absent, holds nulls, or cannot be read as its type.
    """
    absent = [column.name for column in dataset.columns if not column.nullable and column.name not in frame.columns]
    if absent:
        raise ValueError(f"{dataset.name}: required column {', '.join(absent)} is missing; add it before storing")
    try:
        shaped = frame.select(_expression(frame, column) for column in dataset.columns)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{dataset.name}: a column cannot be read as its type: {error}") from error
    _refuse_nulls(shaped, dataset)
    columns = [_array(shaped.get_column(column.name), column) for column in dataset.columns]
    return pa.Table.from_arrays(columns, schema=arrow_schema(dataset))


def _expression(frame: pl.DataFrame, column: Column) -> pl.Expr:
    target = _POLARS[column.type]
    if column.name not in frame.columns:
        return pl.lit(None, dtype=target).alias(column.name)
    given = frame.schema[column.name]
    if given == target or (column.type == "category" and isinstance(given, pl.Categorical | pl.Enum)):
        return pl.col(column.name)
    if column.type == "timestamp" and not (isinstance(given, pl.Datetime) and given.time_zone):
        raise ValueError(f"{column.name}: {given} names no instant; hand over a zone-aware timestamp")
    if column.type == "timestamp":
        return pl.col(column.name).dt.convert_time_zone("UTC").cast(target)
    return pl.col(column.name).cast(target)


def _refuse_nulls(frame: pl.DataFrame, dataset: Dataset) -> None:
    holes = [column.name for column in dataset.columns if not column.nullable and frame[column.name].null_count()]
    if holes:
        raise ValueError(f"{dataset.name}: required column {', '.join(holes)} has nulls; reject those rows first")


def _array(series: pl.Series, column: Column) -> pa.Array:
    array = series.rechunk().to_arrow()
    if column.type != "category":
        return array.cast(_TYPES[column.type])
    return pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), array.dictionary.cast(pa.string()))
