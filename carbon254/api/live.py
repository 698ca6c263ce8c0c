"""Changes as they happen, by server-sent events.

The first events are a snapshot; then come the rows that changed, each with an id. A reader that was cut off names the
last id it has (`Last-Event-ID`) and reads on from there; where more was missed than is kept, it is told so and gets a
snapshot. The writer never waits for anyone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
import polars as pl
from fastapi import APIRouter, Header, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from carbon254.names import Asked

from .board import Board
from .changes import Change, Changes, events
from .rooms import Rooms

_HEARTBEAT_S = 15.0
_HEARTBEAT = b": still here\n\n"
_LongId = Annotated[str | None, Header(max_length=64, description="The last id that was read: go on from there")]


def router(rooms: Rooms, board: Board) -> APIRouter:
    """The route, over these rooms."""
    routes = APIRouter(prefix="/v1/stream", tags=["prices"])
    changes = Changes(rooms, board)
    open_now: Counter[str] = Counter()

    @routes.get("/prices", summary="Prices and ticks as they change (server-sent events)")
    async def stream(
        request: Request, market: str | None = None, run: str | None = Query(None), last_event_id: _LongId = None
    ) -> StreamingResponse:
        """`event: prices` and `event: ticks`, each with a JSON list of rows as in `/v1/prices/latest`; times in UTC.

        `event: reset` says that a snapshot follows, and `missed` in it that changes were lost on the way. A comment
        comes every 15 seconds when nothing else does. Beyond the streams that one reader, or all, may have open: 429,
        503 with `Retry-After`.
        """
        names = await run_in_threadpool(rooms.names.settle, Asked(market or None, run or None))
        reader = request.client.host if request.client else ""
        _admit(rooms, open_now, reader)
        follower = Follower(rooms, board, changes, (names.market, names.run), last_event_id)
        told = _counted(follower.events(), open_now, reader)
        return StreamingResponse(told, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return routes


def _admit(rooms: Rooms, open_now: Counter[str], reader: str) -> None:
    later = {"Retry-After": "5"}
    if open_now[reader] >= rooms.allowed.streams_each:
        raise HTTPException(429, f"{rooms.allowed.streams_each} streams of yours are open: close one first", later)
    if open_now.total() >= rooms.allowed.streams:
        raise HTTPException(503, f"{rooms.allowed.streams} streams are open: try again later", later)


async def _counted(told: AsyncIterator[bytes], open_now: Counter[str], reader: str) -> AsyncIterator[bytes]:
    open_now[reader] += 1
    try:
        async for part in told:
            yield part
    finally:
        open_now[reader] -= 1
        if not open_now[reader]:
            del open_now[reader]


class Follower:
    """One reader of the stream."""

    def __init__(
        self, rooms: Rooms, board: Board, changes: Changes, wanted: tuple[str | None, str | None], told: str | None
    ) -> None:
        self._rooms, self._board, self._changes, self._wanted, self._told = rooms, board, changes, wanted, told

    async def events(self) -> AsyncIterator[bytes]:
        """The stream's bytes, until the reader leaves or the node stops."""
        woken = asyncio.Event()
        at, place = self._changes.follow(woken), self._changes.place(self._told or "")
        try:
            if place is None or self._changes.after(place) is None:
                for event in await run_in_threadpool(self._snapshot, at, bool(self._told)):
                    yield event
            else:
                at = place
            async for event in self._follow(woken, at):
                yield event
        finally:
            self._changes.leave(woken)

    async def _follow(self, woken: asyncio.Event, at: int) -> AsyncIterator[bytes]:
        while not self._rooms.closing.is_set():
            woken.clear()
            fresh = self._changes.after(at)
            if fresh is None:
                at = self._changes.last
                for event in await run_in_threadpool(self._snapshot, at, True):
                    yield event
            elif fresh:
                at = fresh[-1].number
                for event in await run_in_threadpool(self._texts, fresh):
                    yield event
            else:
                try:
                    await asyncio.wait_for(woken.wait(), _HEARTBEAT_S)
                except TimeoutError:
                    yield _HEARTBEAT

    def _texts(self, fresh: list[Change]) -> list[bytes]:
        return [text for change in fresh for text in change.texts(self._wanted, self._changes.mark)]

    def _snapshot(self, at: int, missed: bool) -> list[bytes]:
        """Everything there is, as of change number `at`."""
        prices, ticks = self._board.prices(*self._wanted), self._board.ticks()
        told = [b"event: reset\ndata: " + orjson.dumps({"missed": True} if missed else {}) + b"\n\n"]
        told += events("prices", _none_is_empty(prices))
        return told + events("ticks", _none_is_empty(ticks), f"{self._changes.mark}-{at}")


def _none_is_empty(frame: pl.DataFrame | None) -> pl.DataFrame:
    return pl.DataFrame() if frame is None else frame
