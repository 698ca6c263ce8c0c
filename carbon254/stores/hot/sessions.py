"""A reader's session with the engine: read-only, limited, and marked so that what it runs can be stopped.

Settings are set once, when the session opens; `readonly` comes last, after it nothing can be set. An answer comes in
record batches while the engine works, in process as on a server, so that a large one is never held whole.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import clickhouse_connect
import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.binding import bind_query
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from carbon254.errors import QueryRefused

from .answer import explain
from .ddl import VIEWS
from .embedded import load
from .port import Limits

Params = Mapping[str, Any] | None
SELECT = re.compile(r"[\s(]*(select|with)\b", re.IGNORECASE)
EMBEDDED = "chdb://"
ALWAYS = {"session_timezone": "UTC", "output_format_arrow_string_as_string": 1}
_DEPTH = 1_000
_BACKTRACKS = 100_000
_BLOCK_ROWS = 8_192


class Session(Protocol):
    """What a reader's statements run in. A session that failed is closed and never used again."""

    mark: str

    def text(self, sql: str, params: Params = None) -> str:
        """The one text column of an answer, a row a line. Raises QueryRefused with the engine's reason."""
        ...

    def batches(self, sql: str, params: Params = None) -> Iterator[pa.RecordBatch]:
        """The answer as it comes; at least one batch, which may be empty. Raises QueryRefused."""
        ...

    def close(self) -> None: ...


def open_session(url: str, limits: Limits, more: Mapping[str, Any], **options: Any) -> Session:
    """A session in the readers' database with these limits; `more` are further settings."""
    mark = f"c254-{uuid.uuid4().hex}"
    settings = dict(more) | _settings(limits) | {"log_comment": mark, "readonly": 1}
    if url.startswith(EMBEDDED):
        return _Embedded(url.removeprefix(EMBEDDED), settings, mark)
    settings = {"cancel_http_readonly_queries_on_client_close": 1} | settings
    client = clickhouse_connect.get_client(dsn=url, database=VIEWS, settings=settings, **options)
    return _Served(client, mark)


def _settings(limits: Limits) -> dict[str, Any]:
    return ALWAYS | {
        "output_format_arrow_compression_method": "none",
        "max_execution_time": limits.seconds,
        "max_memory_usage": limits.engine_bytes,
        # Beyond half of it a sort or a grouping goes on on disk.
        "max_bytes_before_external_sort": limits.engine_bytes // 2,
        "max_bytes_before_external_group_by": limits.engine_bytes // 2,
        "max_result_rows": limits.max_rows,
        "max_result_bytes": limits.engine_bytes,
        "result_overflow_mode": "throw",
        "max_temporary_data_on_disk_size_for_query": 4 * limits.memory_bytes,
        # An answer comes in blocks, each of which lies in memory once more as it is handed over.
        "max_block_size": _BLOCK_ROWS,
        "max_query_size": 1 << 20,
        "max_parser_depth": _DEPTH,
        "max_parser_backtracks": _BACKTRACKS,
    }


class _Embedded:
    """In process. The engine hands over each block as an Arrow stream of its own."""

    def __init__(self, folder: str, settings: Mapping[str, Any], mark: str) -> None:
        self.mark = mark
        self._engine = load().connect(os.path.realpath(folder))
        given = ", ".join(f"{name} = '{_escaped(str(value))}'" for name, value in settings.items())
        with _told():
            self._engine.query(f"USE {VIEWS}", "TSV")
            self._engine.query(f"SET {given}", "TSV")

    def text(self, sql: str, params: Params = None) -> str:
        with _told():
            found = self._engine.query(_encoded(sql), "TSVRaw", params=_bound(sql, params))
            return found.bytes().decode("utf-8", "surrogateescape")

    def batches(self, sql: str, params: Params = None) -> Iterator[pa.RecordBatch]:
        with _told():
            if not SELECT.match(sql) or "WITH TOTALS" in sql:
                yield from self._whole(sql, params)
                return
            empty, answer = True, self._engine.send_query(_encoded(sql), "ArrowStream", params=_bound(sql, params))
            try:
                for part in answer:
                    for batch in pa.ipc.open_stream(_held(part)):
                        empty = False
                        yield batch
            finally:
                answer.close()
            if empty:
                yield self._columns(sql, params)

    def _whole(self, sql: str, params: Params) -> list[pa.RecordBatch]:
        """An answer at once: the engine hands over nothing but SELECT in blocks, and no totals."""
        body = self._engine.query(_encoded(sql), "ArrowStream", params=_bound(sql, params)).bytes()
        if not body:
            return [pa.RecordBatch.from_pylist([], schema=pa.schema([]))]
        found = pa.ipc.open_stream(body).read_all()
        return found.to_batches() or [pa.RecordBatch.from_pylist([], schema=found.schema)]

    def _columns(self, sql: str, params: Params) -> pa.RecordBatch:
        """The columns of an answer without rows, which has no block to tell them."""
        try:
            return self._whole(f"SELECT * FROM (\n{sql}\n) LIMIT 0", params)[0]
        except RuntimeError:
            return self._whole(sql, params)[0]  # two columns of one name cannot be read from a subquery

    def close(self) -> None:
        self._engine.close()


class _Served:
    """On a server, over HTTP."""

    def __init__(self, client: Client, mark: str) -> None:
        self.mark, self._client = mark, client

    def text(self, sql: str, params: Params = None) -> str:
        with _told():
            body = self._client.raw_query(_encoded(sql), parameters=dict(params or {}) or None, fmt="TSVRaw")
            return body.decode("utf-8", "surrogateescape")

    def batches(self, sql: str, params: Params = None) -> Iterator[pa.RecordBatch]:
        with _told():
            given = dict(params or {}) or None
            body: Any = self._client.raw_stream(_encoded(sql), parameters=given, fmt="ArrowStream")
            try:
                with pa.ipc.open_stream(pa.PythonFile(body, mode="r")) as stream:
                    yield pa.RecordBatch.from_pylist([], schema=stream.schema)
                    yield from stream
            except pa.ArrowInvalid as error:
                raise QueryRefused(explain(str(error))) from error
            finally:
                body.close()

    def close(self) -> None:
        self._client.close()


@contextmanager
def _told() -> Iterator[None]:
    """The engine's refusal as ours: its first sentence only, with what to do."""
    try:
        yield
    except (ClickHouseError, RuntimeError) as error:
        raise QueryRefused(explain(str(error))) from error


def _held(part: Any) -> pa.Buffer:
    """The engine's own bytes, kept for as long as something reads them: a copy would lie beside them, uncounted."""
    view = np.frombuffer(part.get_memview().view(), np.uint8)
    return pa.foreign_buffer(view.ctypes.data, len(view), base=part)


def _encoded(sql: str) -> Any:
    """Text, or bytes where a string of the statement is not UTF-8."""
    try:
        sql.encode()
    except UnicodeEncodeError:
        return sql.encode("utf-8", "surrogateescape")
    return sql


def _bound(sql: str, params: Params) -> dict[str, str]:
    """Values as the engine's parameters are written; they never become part of the text."""
    bound = bind_query(sql, dict(params))[1] if params else {}
    return {name.removeprefix("param_"): value for name, value in bound.items()}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
