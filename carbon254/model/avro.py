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


# Fields that readers of the feed topics know already, in their order: our name of each, and its type there.
_LMP = {
    "node": ("location", "string"),
    "timestamp": ("interval_start", {"type": "long", "logicalType": "timestamp-millis"}),
    "lmp": ("lmp", "double"),
    "congestion": ("congestion", "double"),
    "loss": ("loss", "double"),
    "energy": ("energy", "double"),
    "market_run": ("market_run", "string"),
}
_EMPTY: dict[str, Any] = {"string": "", "category": "", "float64": 0.0, "date": 0}
_MAY_LACK = "double"


def published_schema(dataset: Dataset, topic: str) -> tuple[dict[str, Any], dict[str, str]]:
    """(the record of a published topic, names of ours by the names there where they differ).

    Real-time prices keep the record that readers expect; what we add to it comes with defaults, so that either side
    reads the other. A component that the market did not publish is null, never zero.
    """
    if dataset.name != "interval_prices" or ".rt" not in topic:
        return avro_schema(dataset), {}
    expected = [
        {"name": name, "type": ["null", kind], "default": None} if kind == _MAY_LACK else {"name": name, "type": kind}
        for name, (_, kind) in _LMP.items()
    ]
    taken = {ours for ours, _ in _LMP.values()} - {"interval_start"}
    more = [_defaulted(column) for column in dataset.columns if column.name not in taken]
    record = {"type": "record", "name": "ISORealtimeLMP", "namespace": f"{NAMESPACE}.feeds.iso", "doc": dataset.title}
    return record | {"fields": [*expected, *more]}, {name: ours for name, (ours, _) in _LMP.items() if name != ours}


def _defaulted(column: Column) -> dict[str, Any]:
    if column.nullable:
        return _field(column)
    return _field(column) | {"default": _EMPTY.get(column.type, 0)}
