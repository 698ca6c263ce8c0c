"""Schemas derived from the datasets agree with each other, and a frame becomes a table only if it fits."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import fastavro
import polars as pl
import pyarrow as pa
import pytest

from carbon254.model import Dataset, Flag, catalogue, dataset
from carbon254.model.arrow import arrow_schema, conform
from carbon254.model.avro import avro_schema
from carbon254.model.iceberg import iceberg_partition, iceberg_schema, plain_schema
from carbon254.model.reference import reference_page

T0 = datetime(2025, 3, 1, tzinfo=UTC)
EVERY = pytest.mark.parametrize("described", catalogue().values(), ids=lambda found: found.name)
SAMPLES: dict[str, Any] = {
    "string": "a", "category": "b", "timestamp": T0, "date": date(2025, 3, 1), "float64": -1.5, "uint32": 7,
    "uint64": 2**64 - 1, "int64": -7,
}  # fmt: skip


def sample(described: Dataset, *, full: bool = True) -> dict[str, Any]:
    return {column.name: SAMPLES[column.type] for column in described.columns if full or not column.nullable}


def frame(row: dict[str, Any], described: Dataset) -> pl.DataFrame:
    wide = {name: pl.UInt64 for name in row if described.column(name).type == "uint64"}
    return pl.DataFrame([row], schema_overrides=wide)


@EVERY
def test_arrow_fields_carry_unit_and_meaning(described: Dataset) -> None:
    schema = arrow_schema(described)
    assert schema.names == list(described.names)
    for column in described.columns:
        field = schema.field(column.name)
        assert field.metadata == {b"unit": column.unit.encode(), b"meaning": column.meaning.encode()}
        assert field.nullable == column.nullable
    assert schema.field(described.names[0]).type == pa.dictionary(pa.int32(), pa.string())


@EVERY
def test_a_full_row_and_a_bare_row_become_tables(described: Dataset) -> None:
    for full in (True, False):
        table = conform(frame(sample(described, full=full), described), described)
        assert table.schema.equals(arrow_schema(described), check_metadata=True)
        row = table.to_pylist()[0]
        assert {name: value for name, value in row.items() if value is not None} == sample(described, full=full)
        assert all(column.num_chunks == 1 for column in table.columns)


@EVERY
def test_a_missing_required_column_is_named(described: Dataset) -> None:
    given = frame(sample(described), described)
    for name in (column.name for column in described.columns if not column.nullable):
        with pytest.raises(ValueError, match=rf"required column {name} is missing"):
            conform(given.drop(name), described)
        with pytest.raises(ValueError, match=rf"required column {name} has nulls"):
            conform(given.with_columns(pl.lit(None, given.schema[name]).alias(name)), described)


def test_other_columns_are_left_out_and_order_does_not_matter() -> None:
    described = dataset("interval_prices")
    row = {"line": 3, **dict(reversed(sample(described).items()))}
    assert conform(frame_of(row), described).column_names == list(described.names)


def frame_of(row: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([row])


def test_times_are_instants_in_utc() -> None:
    described = dataset("interval_prices")
    row = sample(described, full=False)
    east = row | {"interval_start": datetime(2025, 3, 1, 2, tzinfo=timezone(timedelta(hours=2)))}
    assert conform(frame_of(east), described)["interval_start"][0].as_py() == T0
    with pytest.raises(ValueError, match=r"interval_start: .* names no instant"):
        conform(frame_of(row | {"interval_start": datetime(2025, 3, 1)}), described)


@pytest.mark.parametrize("value", ["many", -1, 2**32])
def test_a_value_that_is_not_of_its_type_is_refused(value: object) -> None:
    described = dataset("interval_prices")
    with pytest.raises(ValueError, match="cannot be read as its type"):
        conform(frame_of(sample(described) | {"flags": value}), described)


def test_categories_of_many_chunks_and_encodings_are_unified() -> None:
    described = dataset("interval_prices")
    one, two = (frame_of(sample(described) | {"location": name}) for name in ("A", "B"))
    both = pl.concat([one, two], rechunk=False)
    for given in (both, both.with_columns(pl.col("location").cast(pl.Categorical)),
                  both.with_columns(pl.col("location").cast(pl.Enum(["B", "A"])))):  # fmt: skip
        assert conform(given, described)["location"].to_pylist() == ["A", "B"]
    assert conform(both.clear(), described).num_rows == 0


@EVERY
def test_avro_records_parse_and_carry_rows_both_ways(described: Dataset) -> None:
    written = avro_schema(described)
    schema = fastavro.parse_schema(written)
    assert written["namespace"] == "com.carbon254"
    for full in (True, False):
        row = sample(described, full=full)
        row = {
            name: Decimal(value) if described.column(name).type == "uint64" else value for name, value in row.items()
        }
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema, row)
        body.seek(0)
        back = fastavro.schemaless_reader(body, schema, None)
        assert isinstance(back, dict)
        assert {name: value for name, value in back.items() if value is not None} == row


def test_avro_logical_types() -> None:
    fields = {field["name"]: field for field in avro_schema(dataset("interval_prices"))["fields"]}
    assert fields["interval_start"]["type"] == {"type": "long", "logicalType": "timestamp-micros"}
    assert fields["lmp"]["type"] == ["null", "double"]
    assert fields["lmp"]["default"] is None
    assert "default" not in fields["market"]


@EVERY
def test_iceberg_fields_are_numbered_by_position_and_explained(described: Dataset) -> None:
    schema = iceberg_schema(described)
    assert [field.field_id for field in schema.fields] == list(range(1, len(described.columns) + 1))
    assert [field.name for field in schema.fields] == list(described.names)
    for field, column in zip(schema.fields, described.columns, strict=True):
        assert column.meaning in (field.doc or "")
        assert field.required != column.nullable
    (part,) = iceberg_partition(described).fields
    assert schema.find_field(part.source_id).name == described.partition
    assert plain_schema(described).names == list(described.names)


def test_the_reference_page_names_everything() -> None:
    page = reference_page()
    for described in catalogue().values():
        assert f"## {described.name}\n" in page
        for column in described.columns:
            kind = column.type + ("?" if column.nullable else "")
            assert f"| `{column.name}` | {kind} | {column.unit} | {column.role} | {column.meaning} |" in page
    for flag in Flag:
        assert f"| {flag.value} | `{str(flag.name).lower()}` | {flag.meaning} |" in page
