"""Record bodies: one Arrow batch as IPC, lz4-compressed, dictionaries kept."""

from __future__ import annotations

import pyarrow as pa

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", unify_dictionaries=True)


def encode(table: pa.Table) -> bytes:
    """An Arrow table as bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_OPTIONS) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def decode(body: bytes) -> pa.Table:
    """The table of a record's body."""
    with pa.ipc.open_stream(body) as reader:
        return reader.read_all()
