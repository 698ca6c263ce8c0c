"""A real server over the rooms of a test, on a free port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from carbon254 import portal
from carbon254.api.app import create_app
from carbon254.api.connections import Patience, server_config
from carbon254.api.rooms import Rooms

WAIT_S = 30.0


@contextmanager
def served(rooms: Rooms, patience: Patience | None = None) -> Iterator[str]:
    app = create_app(rooms)
    portal.mount(app)
    server = uvicorn.Server(server_config(app, patience, host="127.0.0.1", port=0))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        rooms.closing.set()
        server.should_exit = True
        thread.join(WAIT_S)
        assert not thread.is_alive(), "an open stream kept the server from stopping"


def until(true: Callable[[], object], within_s: float = WAIT_S) -> None:
    limit = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)


def connected(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    opened = socket.create_connection((host, int(port)), timeout=WAIT_S)
    opened.settimeout(WAIT_S)
    return opened
