"""An engine's answer with the types that its statement says, and an engine's refusal as a sentence for a reader."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from carbon254.errors import QueryRefused
from carbon254.model.plain import plain

from .ddl import TABLES

_ADVICE = {
    "TIMEOUT_EXCEEDED": "narrow it, for instance by time or place, or ask for a higher time limit",
    "MEMORY_LIMIT_EXCEEDED": "narrow it, for instance by time or place, or ask for a higher memory limit",
    "TOO_MANY_ROWS_OR_BYTES": "add LIMIT, or narrow it",
    "READONLY": "only reading is possible here",
    "UNKNOWN_TABLE": "SHOW TABLES lists what there is",
    "UNKNOWN_DATABASE": "SHOW TABLES lists what there is",
    "UNKNOWN_IDENTIFIER": "DESCRIBE TABLE lists the columns",
    "SYNTAX_ERROR": "check the statement; the dialect is ClickHouse",
}
_LONGEST = 300
_WIDE = re.compile(r"(?:Nullable\()?(U?)Int(128|256)\)?")
# Where readers' tables come from is not theirs to know.
_INNER = re.compile(rf"`?\b{TABLES}`?\.(?=[`\w])|\s?\([0-9a-f]{{8}}-[0-9a-f-]{{27}}\)")

Typed = Callable[[pa.Array], pa.Array]


def telling(schema: pa.Schema) -> bool:
    """Whether some column must be told by the statement's own types: the engine writes it as plain numbers or bytes."""
    return any(
        kind == pa.uint32() or pa.types.is_fixed_size_binary(kind) or pa.types.is_binary(kind) for kind in schema.types
    )


def typed(schema: pa.Schema, kinds: Sequence[str]) -> dict[int, Typed]:
    """What to do with which column, by the engine's names of their types. Raises QueryRefused for inner states."""
    made: dict[int, Typed] = {}
    for at, (name, kind) in enumerate(zip(schema.names, kinds, strict=False)):
        if "AggregateFunction(" in kind and not kind.startswith("SimpleAggregateFunction("):
            raise QueryRefused(f"{name} is an unfinished aggregate: write it with -Merge, or without -State")
        found = _reading(kind, schema.types[at])
        if found is not None:
            made[at] = found
    return made


def _reading(kind: str, held: pa.DataType) -> Typed | None:
    if re.match(r"(Nullable\()?DateTime(\(|\)|$)", kind) and held == pa.uint32():
        return lambda column: column.cast(pa.int64()).cast(pa.timestamp("s", "UTC"))
    if re.match(r"(Nullable\()?IPv[46]\b", kind):
        return lambda column: _texts(column, lambda value: str(ipaddress.ip_address(value)))
    wide = _WIDE.fullmatch(kind)
    if wide:
        signed = not wide[1]
        return lambda column: _texts(column, lambda value: str(int.from_bytes(value, "little", signed=signed)))
    return None


def _texts(column: pa.Array, told: Callable[[Any], str]) -> pa.Array:
    return pa.array([None if value is None else told(value) for value in column.to_pylist()], pa.string())


def as_typed(batch: pa.RecordBatch, made: dict[int, Typed]) -> pa.RecordBatch:
    """The batch with its columns as `typed` says, and in types that every reader knows."""
    columns = [made[at](column) if at in made else plain(column) for at, column in enumerate(batch.columns)]
    return pa.RecordBatch.from_arrays(columns, names=names_of(batch.schema))


def names_of(schema: pa.Schema) -> list[str]:
    """The columns' names. Raises QueryRefused for one that is not text."""
    try:
        return list(schema.names)
    except UnicodeDecodeError:
        raise QueryRefused("a column's name is not UTF-8 text: name it with AS") from None


def without_inner(text: str) -> str:
    """A text of the engine's about tables, without the names of those that readers cannot ask."""
    return _INNER.sub("", text)


def explain(message: str) -> str:
    """The engine's message without its code and version, shortened, with advice where there is some."""
    name = (re.findall(r"\(([A-Z_]+)\)", message) or [""])[-1]
    text = re.sub(
        r"Streaming query failed: |Code: \d+\. |DB::Exception: |\(version [^)]*\)|^default: |\([A-Z_]+\)\s*(?=$|[.:])",
        "",
        message,
    )
    text = re.sub(r"\s+", " ", text.replace("FORMAT ArrowStream", "")).strip(" .")
    text = without_inner(text)
    if len(text) > _LONGEST:
        text = text[:_LONGEST].rstrip() + " …"
    advice = _ADVICE.get(name)
    return f"{text}: {advice}" if advice else text


def with_types(table: pa.Table, kinds: Sequence[str]) -> pa.Table:
    """The table with the columns that the engine's types (one a column) say more of than Arrow does."""
    for at, told in typed(table.schema, kinds).items():
        column = table.column(at)
        # An answer without rows has no chunk that would say the type.
        chunks = [told(chunk) for chunk in column.chunks or [pa.array([], column.type)]]
        table = table.set_column(at, table.column_names[at], pa.chunked_array(chunks))
    return table
