"""A node behind HTTP: API, portal and consumers in one process."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import uvicorn

from carbon254 import portal
from carbon254.api.app import create_app, create_service
from carbon254.api.connections import server_config
from carbon254.api.rooms import Rooms
from carbon254.api.turns import Allowed
from carbon254.app import Node
from carbon254.errors import WorkspaceError
from carbon254.feeds import feeds
from carbon254.memory import settled
from carbon254.settings import Settings

from .console import out

# A busy machine may take long; a server that is alive and has not begun by then never will.
_START_TIMEOUT_S = 300.0
_SETTLED_AFTER_S = 10.0


class Served:
    """A node's HTTP server in a thread of its own."""

    def __init__(
        self, node: Node, listening: socket.socket, reading: bool = True, carries: Collection[str] = ()
    ) -> None:
        """`carries` are the consumers that run here, all of them where none is named."""
        self._rooms = Rooms(
            hot=node.hot,
            cache=node.cache,
            log=node.log,
            ledger=node.ledger,
            inbox=node.pipeline.inbox,
            clock=node.clock,
            metrics=node.metrics,
            streams={topic: found.stream for topic, found in feeds().items()},
            ready=node.trouble,
            notary=node.notary(),
            asks=node.asks(carries or node.pipeline.steps(), reading),
            reference=node.reference,
            strict=node.settings.strict,
            emulated=node.emulated,
            allowed=_allowed(node.settings),
            notes=node.condition.notes,
        )
        app = create_app(self._rooms) if reading else create_service(self._rooms)
        if reading:
            portal.mount(app)
        host, port = listening.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self._listening, self._failure = listening, ""
        self._server = uvicorn.Server(server_config(app))
        self._thread = threading.Thread(target=self._run, name="c254-http", daemon=True)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listening])
        except BaseException as error:
            # Also SystemExit, which is how this server gives up: who waits for it is told why.
            self._failure = f"{type(error).__name__}: {error}"

    def start(self) -> None:
        """Return once the server answers."""
        self._thread.start()
        end = time.monotonic() + _START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive():
                raise WorkspaceError(f"the HTTP server did not start: {self._failure or 'it ended at once'}")
            if time.monotonic() > end:
                raise WorkspaceError(f"the HTTP server did not start within {_START_TIMEOUT_S:.0f} s")
            time.sleep(0.02)

    def drain(self) -> None:
        """Say that the node is stopping: it answers still, and is not ready."""
        self._rooms.closing.set()

    def stop(self) -> None:
        """Let requests end and close."""
        self._rooms.closing.set()
        self._server.should_exit = True
        self._thread.join(10)


def _allowed(settings: Settings) -> Allowed:
    return Allowed(
        settings.query_slots, settings.query_waiting, settings.query_seconds, settings.streams, settings.streams_each
    )


class Feeding(Protocol):
    """What brings payloads while the node runs."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


def carry(node: Node, served: Served, feeding: Feeding, greet: Callable[[], None], only: Sequence[str] = ()) -> None:
    """Run a node's consumers (`only` some) and its HTTP until the process is asked to end, then drain.

    Drained is: not ready any more, each consumer's step ended, requests answered. `greet` says that it is up.
    """
    node.runner.start(only)
    served.start()
    node.workspace.announce(served.url)
    feeding.start()
    greet()
    _wait_for_signal()
    served.drain()
    feeding.stop()
    node.runner.stop()
    served.stop()


def is_up(name: str, url: str) -> None:
    """Say that something is up, and how it ends."""
    out.print(f"{name} is up: [bold]{url}[/bold]  (stop with ctrl-C or c254 stop)", highlight=False)


def _wait_for_signal() -> None:
    """Return when the process is asked to end."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    # Looking for cycles stops every thread for half a second: whoever waits for the node is answered before that.
    if not asked.wait(_SETTLED_AFTER_S):
        settled()
        asked.wait()
