"""Rows as Avro records: what is written is what another reader reads, in our record and in the one readers expect."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal

import fastavro
import pyarrow as pa
import pytest

from carbon254.errors import SettingsError
from carbon254.model import dataset
from carbon254.model.avro import avro_schema, published_schema
from carbon254.wire.avro import Encoder
from carbon254.wire.registry import SchemaRegistry, frame, unframe

AT = datetime(2025, 7, 1, 0, 0, 0, 250_000, tzinfo=UTC)


def read(message: bytes, schema: dict, reader: dict | None = None) -> dict:
    found = fastavro.schemaless_reader(io.BytesIO(message), schema, reader)
    assert isinstance(found, dict)
    return found


def filled(name: str, **given: object) -> pa.Table:
    """One row of a dataset, with the given values and something plain in every column that needs one."""
    plain = {"string": "x", "category": "x", "timestamp": AT, "date": date(2025, 7, 1), "float64": 1.5}
    kind = dataset(name)
    row = {c.name: None if c.nullable else plain.get(c.type, 7) for c in kind.columns} | given
    types = {
        "timestamp": pa.timestamp("us", "UTC"),
        "date": pa.date32(),
        "float64": pa.float64(),
        "uint64": pa.uint64(),
    }
    fields = [
        pa.field(c.name, types.get(c.type, pa.string() if plain.get(c.type) else pa.uint32())) for c in kind.columns
    ]
    return pa.Table.from_pylist([row], schema=pa.schema(fields))


@pytest.mark.parametrize("sequence", [None, 0, 127, 128, (1 << 64) - 1])
def test_a_tick_is_read_as_it_was_written(sequence: int | None) -> None:
    schema = avro_schema(dataset("market_ticks"))
    (message,) = Encoder(schema).encode(filled("market_ticks", sequence=sequence, price=-3.25), frame(9))
    number, body = unframe(message)
    row = read(body, schema)
    assert number == 9
    assert (row["event_time"], row["price"], row["bid"]) == (AT, -3.25, None)
    assert row["sequence"] == (None if sequence is None else Decimal(sequence))


def test_real_time_prices_keep_the_record_that_readers_expect() -> None:
    schema, renamed = published_schema(dataset("interval_prices"), "iso.rt.lmp.spp")
    assert (schema["name"], schema["namespace"]) == ("ISORealtimeLMP", "com.carbon254.feeds.iso")
    row = filled("interval_prices", location="NODE", lmp=-4.5, energy=None)
    (message,) = Encoder(schema, renamed).encode(row)
    double = ["null", "double"]
    expected = {"type": "record", "name": "ISORealtimeLMP", "namespace": "com.carbon254.feeds.iso", "fields": [
        {"name": "node", "type": "string"},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        *({"name": name, "type": double} for name in ("lmp", "congestion", "loss", "energy")),
        {"name": "market_run", "type": "string"},
    ]}  # fmt: skip
    told = read(message, schema, expected)
    assert (told["node"], told["timestamp"], told["lmp"], told["energy"]) == ("NODE", AT, -4.5, None)
    old = io.BytesIO()
    fastavro.schemaless_writer(old, fastavro.parse_schema(expected), told)
    assert read(old.getvalue(), expected, schema)["known_basis"] == ""


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(SettingsError, match="C254_SCHEMA_REGISTRY is no address") as refused:
        SchemaRegistry("user:secret@host")
    assert "secret" not in str(refused.value)
    with pytest.raises(ValueError, match="schema id"):
        unframe(b"{}")
