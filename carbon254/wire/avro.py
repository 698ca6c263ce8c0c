"""Rows of an Arrow table as Avro bodies, one a row, by a record's schema."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import polars as pl
import pyarrow as pa
from fastavro import parse_schema, schemaless_writer

Row = Mapping[str, Any]


class Encoder:
    """Writes rows by a schema; columns that the schema does not name are left out, missing ones take its defaults."""

    def __init__(self, schema: Mapping[str, Any], renamed: Mapping[str, str] | None = None) -> None:
        self._parsed = parse_schema(dict(schema))
        self._names = [field["name"] for field in schema["fields"]]
        self._from = {name: (renamed or {}).get(name, name) for name in self._names}
        self._plain = {field["name"]: _plain(str(field["type"])) for field in schema["fields"]}

    def encode(self, table: pa.Table, head: bytes = b"") -> Iterator[bytes]:
        """Each row's body, with `head` before it."""
        wanted = {name: source for name, source in self._from.items() if source in table.column_names}
        columns = [self._values(name, table.column(source)) for name, source in wanted.items()]
        for values in zip(*columns, strict=True):
            sink = io.BytesIO()
            sink.write(head)
            schemaless_writer(sink, self._parsed, dict(zip(wanted, values, strict=True)))
            yield sink.getvalue()

    def _values(self, name: str, column: pa.ChunkedArray) -> list[Any]:
        return self._plain[name](column)


def _plain(kind: str) -> Callable[[pa.ChunkedArray], list[Any]]:
    """How a column becomes what Avro writes as it is: numbers instead of moments, which cost most of the time."""
    if "decimal" in kind:
        return lambda column: [None if one is None else _decimal(one) for one in _list(column)]
    for logical, unit in (("timestamp-millis", "ms"), ("timestamp-micros", "us")):
        if logical in kind:
            stamp = pa.timestamp(unit, "UTC")
            return lambda column: _list(column.cast(stamp, safe=False).cast(pa.int64()))
    if "'date'" in kind:
        return lambda column: _list(column.cast(pa.int32()))
    return _list


def _list(column: pa.ChunkedArray) -> list[Any]:
    # Arrow makes an object of its own for every value first; five times as slow.
    return pl.Series(column).to_list()


def _decimal(value: int) -> bytes:
    """An unsigned number as Avro's decimal of scale 0: two's complement, big-endian."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
