"""Rows as data files: one file a partition, sorted, with Iceberg's field ids, told of by what the writer counted.

The library's own write filters the whole table once for each partition, and turns texts that repeat into as many texts
first: three of the four seconds that a million rows cost. Here rows are sorted once, by partition and then by what they
are about, and cut where the partition changes; texts go to Parquet as the codes they are. Nothing is committed here:
what was written and never committed belongs to no snapshot.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import IO, Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import (
    _get_parquet_writer_kwargs,
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionFieldValue, PartitionKey
from pyiceberg.table import Table

from carbon254.model import Dataset

from .layout import GROUP_ROWS, order_of

_EPOCH = date(1970, 1, 1)
# A dictionary of fewer values is written with each row group as it is.
_FEW = 64


def write_batch(table: Table, dataset: Dataset, rows: pa.Table) -> list[DataFile]:
    """Rows in any order as files, one for each partition of the table's present layout."""
    if not rows.num_rows:
        return []
    whole = rows.combine_chunks()
    parted = [_parted(table, field.source_id, field.transform, whole) for field in table.spec().fields]
    order = order_of(whole, dataset, parted)
    ordered = whole if order is None else _taken(whole, pa.array(order))
    numbers = [one if order is None else one.gather(pl.Series(order)) for one in parted]
    return [
        write_file(table, ordered.slice(start, length), [_plain(one[start]) for one in numbers])
        for start, length in _runs(numbers, ordered.num_rows)
    ]


def write_file(table: Table, rows: pa.Table, partition: Sequence[object], level: int | None = None) -> DataFile:
    """Rows of one partition, sorted already, as one file. `partition` is its value by each field of the layout."""
    properties = table.properties | ({"write.parquet.compression-level": str(level)} if level else {})
    key = PartitionKey(
        [PartitionFieldValue(field, value) for field, value in zip(table.spec().fields, partition, strict=True)],
        table.spec(),
        table.schema(),
    )
    place = table.location_provider().new_data_location(f"00000-0-{uuid.uuid4()}.parquet", key)
    output, schema = table.io.new_output(place), _file_schema(table, rows)
    with output.create(overwrite=True) as stream:
        with pq.ParquetWriter(cast(IO[Any], stream), schema, **_options(schema, properties)) as writer:
            for start in range(0, rows.num_rows, GROUP_ROWS):
                writer.write_table(_group(rows.slice(start, GROUP_ROWS), schema), row_group_size=GROUP_ROWS)
        written = writer.writer.metadata
        size = stream.tell()
    counted = data_file_statistics_from_parquet_metadata(
        parquet_metadata=written,
        stats_columns=compute_statistics_plan(table.schema(), properties),
        parquet_column_mapping=parquet_path_to_id_mapping(table.schema()),
    )
    file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=place,
        file_format=FileFormat.PARQUET,
        partition=key.partition,
        file_size_in_bytes=size,
        sort_order_id=table.sort_order().order_id or None,
        equality_ids=None,
        key_metadata=None,
        **counted.to_serialized_dict(),
    )
    file.spec_id = table.spec().spec_id
    return file


def _options(schema: pa.Schema, properties: Mapping[str, str]) -> dict[str, Any]:
    # Measured values hardly repeat: a dictionary of them makes a file half as large again, and costs most of its time.
    repeating = [field.name for field in schema if not pa.types.is_floating(field.type)]
    # Arrow's own note of the types would make dictionaries of texts for whoever reads it.
    return _get_parquet_writer_kwargs(properties) | {
        "store_schema": False, "store_decimal_as_integer": True, "use_dictionary": repeating,
    }  # fmt: skip


def _taken(rows: pa.Table, order: pa.Array) -> pa.Table:
    """The rows in an order; a column that says one thing throughout stays as it is."""
    return pa.table([one if _is_same(one) else one.take(order) for one in rows.columns], schema=rows.schema)


def _is_same(column: pa.ChunkedArray) -> bool:
    if column.null_count:
        return column.null_count == len(column)
    if pa.types.is_dictionary(column.type):
        return all(len(chunk.dictionary) == 1 for chunk in column.chunks) and column.num_chunks == 1
    bounds = pc.min_max(column) if pa.types.is_integer(column.type) else None
    return bounds is not None and bounds["min"] == bounds["max"]


def _parted(table: Table, source_id: int, transform: Any, rows: pa.Table) -> pl.Series:
    """The partition of each row, by one field of the layout."""
    source = table.schema().find_field(source_id)
    column = rows[source.name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    found = transform.pyarrow_transform(source.field_type)(column)
    return pl.Series(values=found)


def _plain(value: object) -> object:
    """A partition's value as Iceberg counts it: days since 1970 for a date."""
    return (value - _EPOCH).days if isinstance(value, date) else value


def _runs(parted: Sequence[pl.Series], rows: int) -> Iterator[tuple[int, int]]:
    """(first row, rows) of each partition among rows that are sorted by it."""
    starts = np.zeros(rows, dtype=bool)
    starts[0] = True
    for one in parted:
        starts[1:] |= one.ne_missing(one.shift()).to_numpy()[1:]
    edges = [*np.flatnonzero(starts).tolist(), rows]
    return ((before, after - before) for before, after in pairwise(edges))


def _file_schema(table: Table, rows: pa.Table) -> pa.Schema:
    """The rows' columns as the table has them, with its field ids. Raises ValueError where a value must not lack."""
    plain, fields = table.schema().as_arrow(), []
    for name in rows.column_names:
        held, wanted = rows[name], plain.field(name)
        if held.null_count and not wanted.nullable:
            raise ValueError(f"{name} lacks {held.null_count:,} values that it must have")
        coded = pa.types.is_dictionary(held.type)
        kind = pa.dictionary(pa.int32(), pa.string()) if coded else wanted.type
        fields.append(pa.field(name, kind, wanted.nullable, wanted.metadata))
    return pa.schema(fields)


def _group(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """One row group, whose texts know only the values that occur in it."""
    return pa.table(
        [
            _own_values(column) if pa.types.is_dictionary(column.type) else column.cast(field.type)
            for column, field in zip(rows.columns, schema, strict=True)
        ],
        schema=schema,
    )


def _own_values(column: pa.ChunkedArray) -> pa.Array:
    coded = column.combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    codes, values = coded.indices.cast(pa.int32()), coded.dictionary.cast(pa.string())
    if len(values) > _FEW:
        places = codes.fill_null(0).to_numpy()
        used = np.zeros(len(values), dtype=bool)
        used[places] = True
        renamed = (np.cumsum(used) - 1).astype(np.int32)[places]
        codes = pa.array(renamed, mask=np.asarray(codes.is_null()) if codes.null_count else None)
        values = values.take(pa.array(np.flatnonzero(used)))
    return pa.DictionaryArray.from_arrays(codes, values)
