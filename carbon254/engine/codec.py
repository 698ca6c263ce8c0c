"""Record bodies: one Arrow batch as IPC, lz4-compressed, dictionaries kept."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pyarrow as pa

from carbon254.model import dataset
from carbon254.model.arrow import arrow_schema

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", unify_dictionaries=True)


def encode(table: pa.Table) -> bytes:
    """An Arrow table as bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_OPTIONS) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def pack_numbers(numbers: np.ndarray) -> str:
    """Whole numbers as text for a record's headers; rising ones take next to nothing."""
    steps = np.diff(numbers.astype(np.int64), prepend=0).astype("<i4")
    return base64.b64encode(zlib.compress(steps.tobytes(), 1)).decode()


def unpack_numbers(text: str) -> np.ndarray:
    """The numbers of `pack_numbers`."""
    return np.cumsum(np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i4").astype(np.int64))


def decode(body: bytes) -> pa.Table:
    """The table of a record's body, with today's columns: one written before a column was there has it empty, and a
    column that is no more is left out."""
    with pa.ipc.open_stream(body) as reader:
        table = reader.read_all()
    name = (table.schema.metadata or {}).get(b"dataset", b"").decode()
    if not name:
        return table
    wanted = arrow_schema(dataset(name))
    known = [column for column in table.column_names if column in wanted.names]
    table = table if len(known) == table.num_columns else table.select(known)
    for field in wanted if table.num_columns < len(wanted) else ():
        if field.nullable and field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table
