"""An engine's answer as an Arrow table, and an engine's refusal as a sentence for a reader."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from carbon254.errors import QueryRefused

_BOUND = re.compile(r"\{\s*[A-Za-z_]\w*\s*:")
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


def read(client: Client, sql: str, params: dict[str, Any] | None) -> pa.Table:
    """Run a statement and read its answer. `params` fill `{name:Type}` in the engine, never by text."""
    if params and not _BOUND.search(sql):
        raise QueryRefused("parameters were given, but the statement names none: write {name:Type} where they go")
    body = client.raw_query(sql, parameters=params or None, fmt="ArrowStream")
    if not body:
        return pa.table({})
    table = pa.ipc.open_stream(body).read_all()
    return _with_instants(client, sql, params, table)


def _with_instants(client: Client, sql: str, params: dict[str, Any] | None, table: pa.Table) -> pa.Table:
    """The engine writes DateTime (seconds) as plain numbers; the statement's own types tell which those are."""
    plain = [name for name, kind in zip(table.column_names, table.schema.types, strict=True) if kind == pa.uint32()]
    if not plain or not re.match(r"[\s(]*(select|with)\b", sql, re.IGNORECASE):
        return table
    body = client.raw_query(f"DESCRIBE TABLE (\n{sql}\n)", parameters=params or None, fmt="ArrowStream")
    kinds = [row["type"] for row in pa.ipc.open_stream(body).read_all().to_pylist()]
    for at, kind in enumerate(kinds):
        if re.match(r"(Nullable\()?DateTime(\(|\)|$)", kind) and table.schema.types[at] == pa.uint32():
            seconds = table.column(at).cast(pa.int64()).cast(pa.timestamp("s", "UTC"))
            table = table.set_column(at, table.column_names[at], seconds)
    return table


def explain(message: str) -> str:
    """The engine's message without its code and version, shortened, with advice where there is some."""
    name = (re.findall(r"\(([A-Z_]+)\)", message) or [""])[-1]
    text = re.sub(r"Code: \d+\. |DB::Exception: |\(version [^)]*\)|^default: |\([A-Z_]+\)\s*$", "", message)
    text = re.sub(r"\s+", " ", text.replace("FORMAT ArrowStream", "")).strip(" .")
    if len(text) > _LONGEST:
        text = text[:_LONGEST].rstrip() + " …"
    advice = _ADVICE.get(name)
    return f"{text}: {advice}" if advice else text
