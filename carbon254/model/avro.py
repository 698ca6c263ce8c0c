"""Avro records derived from the datasets, for topics of the scale-out log and for file exchange."""

from __future__ import annotations

from typing import Any

from .dataset import Column, Dataset

NAMESPACE = "com.carbon254"

# Avro has no unsigned numbers: uint32 fits a long; a uint64 may not, and travels as an exact decimal.
_TYPES: dict[str, Any] = {
    "string": "string",
    "category": "string",
    "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
    "date": {"type": "int", "logicalType": "date"},
    "float64": "double",
    "uint32": "long",
    "uint64": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 0},
    "int64": "long",
}


def avro_schema(dataset: Dataset) -> dict[str, Any]:
    """The dataset as an Avro record in `com.carbon254`.

    Instants are timestamp-micros (UTC), dates are days; what may be missing is a union with null, null by default, so
    that readers of an older or newer version can read each other.
    """
    return {
        "type": "record",
        "name": "".join(part.capitalize() for part in dataset.name.split("_")),
        "namespace": NAMESPACE,
        "doc": dataset.title,
        "fields": [_field(column) for column in dataset.columns],
    }


def _field(column: Column) -> dict[str, Any]:
    described = {"name": column.name, "doc": column.meaning, "unit": column.unit}
    if column.nullable:
        return described | {"type": ["null", _TYPES[column.type]], "default": None}
    return described | {"type": _TYPES[column.type]}
