"""Arrow schemas derived from the datasets, and frames made to fit them."""

from __future__ import annotations

from functools import cache

import polars as pl
import pyarrow as pa

from .dataset import Column, Dataset

_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "float64": pa.float64(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "int64": pa.int64(),
}
_POLARS: dict[str, pl.DataType] = {
    "string": pl.String(),
    "category": pl.String(),
    "timestamp": pl.Datetime("us", "UTC"),
    "date": pl.Date(),
    "float64": pl.Float64(),
    "uint32": pl.UInt32(),
    "uint64": pl.UInt64(),
    "int64": pl.Int64(),
}


@cache
def arrow_schema(dataset: Dataset) -> pa.Schema:
    """The Arrow schema of a dataset; each field's metadata holds its unit and meaning."""
    return pa.schema([_field(column) for column in dataset.columns], metadata={"dataset": dataset.name})


def _field(column: Column) -> pa.Field:
    facts = {"unit": column.unit, "meaning": column.meaning, "role": column.role}
    return pa.field(column.name, _TYPES[column.type], column.nullable, facts)


def conform(frame: pl.DataFrame, dataset: Dataset) -> pa.Table:
    """`frame` as a table with exactly the dataset's columns, in its order and types.

    A nullable column that is missing comes out null. Raises ValueError naming a required column that is missing, or
    that has nulls.
    """
    given = frame.schema
    chosen = []
    for column in dataset.columns:
        kind = _POLARS[column.type]
        if column.name in given:
            same = given[column.name] == kind
            chosen.append(pl.col(column.name) if same else pl.col(column.name).cast(kind))
        elif column.nullable:
            chosen.append(pl.lit(None, dtype=kind).alias(column.name))
        else:
            raise ValueError(f"{dataset.name}: column {column.name} is missing")
    shaped = frame.select(chosen)
    for column in dataset.columns:
        if not column.nullable and shaped[column.name].null_count():
            raise ValueError(f"{dataset.name}: column {column.name} has nulls")
    categories = [pl.col(column.name).cast(pl.Categorical) for column in dataset.columns if column.type == "category"]
    return _to_arrow(shaped.with_columns(categories), arrow_schema(dataset))


def _to_arrow(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    table = frame.to_arrow()
    arrays = []
    for field in schema:
        array = table.column(field.name)
        if pa.types.is_dictionary(field.type):
            array = _compact(array, field.type)
        arrays.append(array if array.type == field.type else array.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _compact(array: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A dictionary that holds only the values in use, as plain strings."""
    chunks = []
    for chunk in array.chunks:
        values = chunk.dictionary.cast(pa.string())
        if len(values) > 4 * len(chunk) + 64:
            chunks.append(chunk.cast(pa.string()).dictionary_encode())
        else:
            chunks.append(pa.DictionaryArray.from_arrays(chunk.indices.cast(pa.int32()), values))
    return pa.chunked_array(chunks, type=kind)
