"""Iceberg schemas and partitions derived from the datasets, for the lake and for whoever reads it."""

from __future__ import annotations

import pyarrow as pa
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform, YearTransform
from pyiceberg.types import (
    DateType,
    DecimalType,
    DoubleType,
    IcebergType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from .dataset import Dataset

_FIRST_PARTITION_ID = 1000
_PLAIN: dict[str, pa.DataType] = {
    "string": pa.string(),
    "category": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "float64": pa.float64(),
    "uint32": pa.int64(),
    "uint64": pa.decimal128(20, 0),
    "int64": pa.int64(),
}
# Iceberg has no unsigned numbers: the next wider type holds every value.
_TYPES: dict[str, IcebergType] = {
    "string": StringType(),
    "category": StringType(),
    "timestamp": TimestamptzType(),
    "date": DateType(),
    "float64": DoubleType(),
    "uint32": LongType(),
    "uint64": DecimalType(20, 0),
    "int64": LongType(),
}


def iceberg_schema(dataset: Dataset) -> Schema:
    """The dataset's columns: field id = position from 1, doc = meaning and unit, required unless nullable."""
    return Schema(
        *(
            NestedField(
                field_id=position,
                name=column.name,
                field_type=_TYPES[column.type],
                required=not column.nullable,
                doc=f"{column.meaning} [{column.unit}]" if column.unit else column.meaning,
            )
            for position, column in enumerate(dataset.columns, start=1)
        )
    )


def iceberg_partition(dataset: Dataset) -> PartitionSpec:
    """UTC day of an instant; the year of a date, because one payload of a daily series may span decades."""
    by_date = dataset.column(dataset.partition).type == "date"
    source = dataset.names.index(dataset.partition) + 1
    suffix, transform = ("year", YearTransform()) if by_date else ("day", DayTransform())
    field = PartitionField(source, _FIRST_PARTITION_ID, transform, f"{dataset.partition}_{suffix}")
    return PartitionSpec(field, spec_id=0)


def plain_schema(dataset: Dataset) -> pa.Schema:
    """The Arrow form of `iceberg_schema`: what a table is cast to before it is appended."""
    return pa.schema([pa.field(column.name, _PLAIN[column.type], column.nullable) for column in dataset.columns])
