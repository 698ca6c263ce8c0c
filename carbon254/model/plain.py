"""Columns that every reader can take: text is UTF-8, and types that only the engine knows are text.

Bytes that are not UTF-8 become U+FFFD, also inside lists, tuples and maps; `hex()` gives the bytes themselves. A
decimal has 38 digits, as many as its readers know.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from carbon254.errors import QueryRefused

_MOST_MENDED = 32 << 20


def pieces(batch: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """The batch in parts of about `most` bytes, a row at least; nothing is copied. One without rows comes as it is."""
    rows = max(1, min(batch.num_rows, batch.num_rows * most // max(1, batch.nbytes)))
    for start in range(0, max(1, batch.num_rows), rows):
        yield batch.slice(start, rows)


def plain(column: pa.Array) -> pa.Array:
    """The column as it is where there is nothing to change in it. Raises QueryRefused where that would take too much:
    what is changed becomes Python's for a while, several times as large."""
    if not _odd(column.type):
        try:
            column.validate(full=True)
            return column
        except pa.ArrowInvalid:
            pass
    if column.nbytes > _MOST_MENDED:
        raise QueryRefused(
            f"a value of more than {_MOST_MENDED >> 20} MB is no UTF-8 text or of a type that few know: "
            "select less of it, or its hex()"
        )
    return _mended(column)


def readable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with bytes told as text too, as CSV and JSON need it."""
    columns = [_mended(column, binary=True) if _binary(column.type) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _binary(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_large_binary(kind):
        return True
    return any(_binary(kind.field(at).type) for at in range(kind.num_fields))


def _odd(kind: pa.DataType) -> bool:
    """Whether there is a type in it that others do not know."""
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_union(kind) or pa.types.is_decimal256(kind):
        return True
    return any(_odd(kind.field(at).type) for at in range(kind.num_fields))


def _mended(column: pa.Array, binary: bool = False) -> pa.Array:
    kind = column.type
    gone = column.is_null() if column.null_count else None
    if isinstance(kind, pa.UuidType):
        return _texts(column.storage.to_pylist(), lambda held: str(uuid.UUID(bytes=held)))
    if isinstance(kind, pa.BaseExtensionType):
        return _mended(column.storage, binary)
    if pa.types.is_union(kind):
        return _texts(column.to_pylist(), str)
    if pa.types.is_decimal256(kind):
        return _shorter(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        held = column.cast(pa.large_binary() if pa.types.is_large_string(kind) else pa.binary())
        return _texts(held.to_pylist(), lambda one: one.decode("utf-8", "replace")).cast(kind)
    if binary and (pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_large_binary(kind)):
        return _texts(column.to_pylist(), lambda one: one.rstrip(b"\x00").decode("utf-8", "replace"))
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(column.indices, _mended(column.dictionary, binary))
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(_offsets(column), _mended(_inside(column), binary), mask=gone)
    if pa.types.is_map(kind):
        entries = _inside(column)
        keys, values = (_mended(entries.field(at), binary) for at in range(2))
        return pa.MapArray.from_arrays(_offsets(column), keys, values)
    if pa.types.is_struct(kind):
        parts = [_mended(column.field(at), binary) for at in range(kind.num_fields)]
        return pa.StructArray.from_arrays(parts, names=[part.name for part in kind], mask=gone)
    return column


def _shorter(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.decimal128(38, min(column.type.scale, 38)))
    except pa.ArrowInvalid:
        raise QueryRefused("a decimal has more than 38 digits: write it with toString() or a smaller scale") from None


def _inside(column: pa.Array) -> pa.Array:
    """The elements that the rows of the column hold, and no others: a column that was cut keeps its whole buffer."""
    first, last = column.offsets[0].as_py(), column.offsets[-1].as_py()
    return column.values.slice(first, last - first)


def _offsets(column: pa.Array) -> pa.Array:
    held = column.offsets.to_numpy(zero_copy_only=False)
    return pa.array(held - held[0], pa.int32())


def _texts(values: list[Any], told: Callable[[Any], str]) -> pa.Array:
    return pa.array([None if value is None else told(value) for value in values], pa.string())
