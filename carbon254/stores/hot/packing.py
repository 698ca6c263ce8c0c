"""Rows as the bytes the engine reads: one Arrow stream in a buffer that is used again.

Fresh memory for every insert cost more than the engine's own work on it, so each thread keeps one buffer as large as
its largest insert. Dictionaries of few values travel with one-byte codes.
"""

from __future__ import annotations

import threading

import pyarrow as pa

_FEW = 127
_BUFFERS = threading.local()


def pack(rows: pa.Table) -> memoryview:
    """The rows as an Arrow stream. Valid until this thread packs again."""
    small = _one_byte_codes(rows)
    counted = pa.MockOutputStream()
    _write(small, counted)
    size = counted.size()
    buffer: bytearray = getattr(_BUFFERS, "buffer", bytearray())
    if len(buffer) < size:
        buffer = _BUFFERS.buffer = bytearray(size)
    view = memoryview(buffer)[:size]
    _write(small, pa.FixedSizeBufferWriter(pa.py_buffer(view)))
    return view


def _write(rows: pa.Table, sink: pa.NativeFile) -> None:
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)


def _one_byte_codes(rows: pa.Table) -> pa.Table:
    return pa.table([_codes(column) for column in rows.columns], names=rows.column_names)


def _codes(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.DictionaryArray:
    if not pa.types.is_dictionary(column.type) or column.num_chunks != 1:
        return column
    only = column.chunk(0)
    if len(only.dictionary) > _FEW:
        return column
    return pa.DictionaryArray.from_arrays(only.indices.cast(pa.int8()), only.dictionary)
