"""A provider on this machine: a loopback server that answers by script, and what to ask it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from carbon254.feeds import Request, feed
from carbon254.model import Access

NOW = datetime(2025, 7, 1, tzinfo=UTC)
SPP = feed("iso.rt.lmp.spp").stream.provider
KEYED = replace(
    SPP,
    id="keyed",
    base_url="https://keyed.invalid",
    access=Access("query", ("KEYED_API_KEY",), "api_key", "https://keyed.invalid/register"),
)
ASK = Request("/file", "subject", {"path": "/a b.csv"})
Script = Callable[["Desk"], None]


class Desk(BaseHTTPRequestHandler):
    """Answers each call with the next of the server's scripts; the last one stays."""

    def do_GET(self) -> None:
        scripts = self.server.scripts  # type: ignore[attr-defined]
        self.server.calls.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        (scripts.pop(0) if len(scripts) > 1 else scripts[0])(self)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def says(status: int, body: bytes = b"", length: int | None = None, **headers: str) -> Script:
    def answer(desk: Desk) -> None:
        desk.send_response(status)
        for name, value in headers.items():
            desk.send_header(name.replace("_", "-"), value)
        desk.send_header("Content-Length", str(len(body) if length is None else length))
        desk.end_headers()
        desk.wfile.write(body)

    return answer


class Server(ThreadingHTTPServer):
    """A loopback server with a script."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.scripts: list[Script] = [says(200, b"ok")]
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving() -> Iterator[Server]:
    """A server that answers until the block ends."""
    started = Server()
    threading.Thread(target=started.serve_forever, args=(0.01,), daemon=True).start()
    yield started
    started.shutdown()
    started.server_close()
