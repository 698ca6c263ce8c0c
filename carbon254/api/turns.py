"""Turns of those who ask the hot store: so many at a time, so many waiting, none for longer than its deadline.

Written as plain ASGI around the routes that ask: what runs for a request is stopped by its deadline, and when nobody
waits for the answer any more. Beyond what may wait, 429 with `Retry-After`. Other routes never wait behind these.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from carbon254.stores.hot.stopping import STOP, Stop, stop

_ASKING = {
    "/v1/sql", "/v1/prices", "/v1/prices/change", "/v1/ticks", "/v1/bars", "/v1/benchmarks", "/v1/forecasts",
    "/v1/receipts/verify",
}  # fmt: skip
_AGAIN_S = 0.25
# How long our own code may take to notice that it was stopped, before the reader is answered without it.
_GRACE_S = 3.0


@dataclass(frozen=True, slots=True)
class Allowed:
    """How many statements run and wait at a time, for how long one is worked on, waiting included, and how many live
    streams may be open, in all and for each reader."""

    running: int = 4
    waiting: int = 16
    seconds: float = 10.0
    streams: int = 64
    streams_each: int = 16

    @property
    def late(self) -> str:
        """What a reader is told whose statement took too long."""
        return (
            f"the statement took longer than {self.seconds:g} s (C254_QUERY_SECONDS): "
            "narrow it, for instance by time or place"
        )


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Stops what runs in the block for this request after so many seconds; None leaves it to the node's deadline."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, stop().ask, (f"the statement took longer than the {seconds:g} s it was given",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Turns:
    """ASGI middleware; see above."""

    def __init__(self, app: ASGIApp, allowed: Allowed) -> None:
        self._app, self._allowed = app, allowed
        self._free, self._waiting = asyncio.Semaphore(allowed.running), 0
        # Stopping is a statement too: it must not wait behind those that it stops.
        self._stopping = ThreadPoolExecutor(2, "c254-stop")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].rstrip("/") not in _ASKING:
            await self._app(scope, receive, send)
            return
        began = asyncio.get_running_loop().time()
        if not await self._turn():
            await _answer(send, 429, f"{self._allowed.running} other statements are running: try again later", True)
            return
        await _Request(self, scope, receive, send, began).run()

    async def _turn(self) -> bool:
        if self._free.locked() and self._waiting >= self._allowed.waiting:
            return False
        self._waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), self._allowed.seconds / 2)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True


class _Request:
    """One request that has its turn. The turn ends with the work, also where the answer is still being sent."""

    def __init__(self, turns: Turns, scope: Scope, receive: Receive, send: Send, began: float) -> None:
        self._turns, self._scope, self._receive, self._send = turns, scope, receive, send
        self._ends = began + turns._allowed.seconds
        self._stop, self._messages = Stop(), asyncio.Queue[Message]()
        self._gone, self._started, self._answered, self._held = asyncio.Event(), asyncio.Event(), False, True

    async def run(self) -> None:
        token = STOP.set(self._stop)
        hearing = asyncio.create_task(self._hear())
        working = asyncio.create_task(self._work())
        STOP.reset(token)
        working.add_done_callback(lambda _: self._release())
        try:
            await self._until(working)
        finally:
            hearing.cancel()

    async def _work(self) -> None:
        await self._turns._app(self._scope, self._messages.get, self._say)

    async def _until(self, working: asyncio.Task[None]) -> None:
        clock = asyncio.get_running_loop().time
        ready = asyncio.create_task(self._started.wait())
        gone = asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait({working, gone, ready}, timeout=self._ends - clock(), return_when="FIRST_COMPLETED")
            given_up = clock() + _GRACE_S
            why = "nobody waits for the answer any more" if self._gone.is_set() else self._turns._allowed.late
            while not working.done() and not self._started.is_set() and clock() < given_up:
                await asyncio.get_running_loop().run_in_executor(self._turns._stopping, self._stop.ask, why)
                await asyncio.wait({working, ready}, timeout=_AGAIN_S, return_when="FIRST_COMPLETED")
            if not working.done() and not self._started.is_set():
                self._answered = True
                await _answer(self._send, 503, why)
                return  # the turn ends when the work does
            await working
        finally:
            for task in (gone, ready):
                task.cancel()

    async def _hear(self) -> None:
        """Hands on what the reader sends, and notices that it left."""
        while True:
            message = await self._receive()
            self._messages.put_nowait(message)
            if message["type"] == "http.disconnect":
                self._gone.set()
                return

    async def _say(self, message: Message) -> None:
        if self._answered:
            return
        self._started.set()
        self._release()
        await self._send(message)

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._turns._free.release()


async def _answer(send: Send, status: int, detail: str, again: bool = False) -> None:
    body = orjson.dumps({"detail": detail})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers + [(b"retry-after", b"1")] * again})
    await send({"type": "http.response.body", "body": body})
