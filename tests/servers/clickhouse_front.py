"""ClickHouse's HTTP interface over the embedded engine, for tests only: `python -m servers.clickhouse_front DIR PORT`.

It stands in for a server where none can be had, so that the HTTP client's path is run: statements, settings and bound
parameters in the query string, inserts as bodies, refusals as status 500 with the engine's code. What only a server
has (users, replication, its own limits on connections) it has not.
"""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb

# What the transport itself reads, and the engine does not know as a setting.
_TRANSPORT = {
    "query", "database", "default_format", "wait_end_of_query", "send_progress_in_http_headers", "query_id",
    "http_headers_progress_interval_ms", "client_protocol_version", "enable_http_compression", "session_id", "user",
    "password", "compress", "decompress", "buffer_size", "session_timeout", "session_check", "quota_key", "role",
}  # fmt: skip
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_INSERT = re.compile(r"^\s*(INSERT\s+INTO\s.+?)\s+FORMAT\s+(\w+)\s*$", re.IGNORECASE | re.DOTALL)
_CODE = re.compile(r"Code: (\d+)")
_ESCAPED = {"\\n": "\n", "\\t": "\t", "\\\\": "\\", "\\'": "'", "\\r": "\r", "\\b": "\b", "\\f": "\f", "\\0": "\0"}
_IDLE = 16

Settings = tuple[tuple[str, str], ...]


class Engine:
    """Handles of the embedded engine, kept by their settings; one that failed is thrown away."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._anchor = chdb.connect(folder)
        self._idle: list[tuple[str, Settings, Any]] = []
        self._lock = threading.Lock()

    @contextmanager
    def handle(self, database: str, settings: Settings) -> Iterator[Any]:
        """A handle in a database with these settings."""
        with self._lock:
            at = next((at for at, one in enumerate(self._idle) if one[:2] == (database, settings)), None)
            found = None if at is None else self._idle.pop(at)[2]
        handle = found or self._open(database, settings)
        try:
            yield handle
        except BaseException:
            handle.close()
            raise
        with self._lock:
            self._idle.append((database, settings, handle))
            surplus = self._idle.pop(0)[2] if len(self._idle) > _IDLE else None
        if surplus is not None:
            surplus.close()

    def _open(self, database: str, settings: Settings) -> Any:
        handle = chdb.connect(self._folder)
        if database:
            handle.query(f"USE `{database}`")
        # After `readonly` nothing can be set any more.
        for name, value in sorted(settings, key=lambda one: one[0] == "readonly"):
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            handle.query(f"SET {name} = '{quoted}'")
        return handle


class Front(BaseHTTPRequestHandler):
    """One request, one statement."""

    protocol_version = "HTTP/1.1"
    engine: Engine

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n", {})
        else:
            self.do_POST()

    def do_POST(self) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        sql = asked.get("query", "")
        if not sql:
            sql, body = body.decode(), b""
        settings = tuple((name, value) for name, value in asked.items() if _is_setting(name))
        bound = {name[6:]: _plain(value) for name, value in asked.items() if name.startswith("param_")}
        try:
            with self.engine.handle(asked.get("database", ""), settings) as handle:
                data, headers = run(handle, sql, body, bound, asked.get("default_format", "TabSeparated"))
            self._answer(200, data, headers)
        except Exception as error:
            said = str(error)
            code = _CODE.search(said)
            self._answer(500, said.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1002"})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"X-ClickHouse-Timezone": "UTC", **headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: a test run makes thousands of requests."""


def run(handle: Any, sql: str, body: bytes, bound: dict[str, str], fallback: str) -> tuple[bytes, dict[str, str]]:
    """The statement's bytes and what the answer says about them."""
    if body and (insert := _INSERT.match(sql)):
        with tempfile.NamedTemporaryFile(suffix=".block") as block:
            block.write(body)
            block.flush()
            done = handle.query(f"{insert[1]} FROM INFILE '{block.name}' FORMAT {insert[2]}", "TabSeparated")
        return b"", {"X-ClickHouse-Summary": f'{{"written_rows":"{done.rows_read()}"}}'}
    if body:
        sql = f"{sql}\n{body.decode()}"
    stated = _FORMAT.search(sql)
    kind = stated[1] if stated else fallback
    done = handle.query(sql, kind, params=bound)
    return done.bytes() or b"", {"X-ClickHouse-Format": kind}


def _is_setting(name: str) -> bool:
    return name not in _TRANSPORT and not name.startswith("param_")


def _plain(value: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPED.get(found[0], found[0]), value)


def main(arguments: list[str]) -> int:
    """Serve a folder until ended."""
    Front.engine = Engine(arguments[0])
    server = ThreadingHTTPServer(("127.0.0.1", int(arguments[1])), Front)
    server.daemon_threads = True
    server.serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
