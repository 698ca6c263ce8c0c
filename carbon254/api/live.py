"""Changes as they happen, by server-sent events.

The first events are a snapshot; then come the rows that changed. A reader that is too slow gets a new snapshot in place
of what it missed; the writer never waits for anyone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from itertools import groupby

import polars as pl
from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from carbon254.names import Asked
from carbon254.stores.cache import Watch

from .answers import rows_json
from .board import Board
from .moments import as_text
from .rooms import Rooms

_LOOK_S = 0.1
_HEARTBEAT_S = 15.0
_ROWS = 2_000
_HEARTBEAT = b": still here\n\n"
_KEYS = {"prices": ("market", "market_run", "location_id"), "ticks": ("tenant", "source", "instrument")}


def router(rooms: Rooms, board: Board) -> APIRouter:
    """The route, over these rooms."""
    routes = APIRouter(prefix="/v1/stream", tags=["prices"])

    @routes.get("/prices", summary="Prices and ticks as they change (server-sent events)")
    async def stream(market: str | None = None, run: str | None = Query(None)) -> StreamingResponse:
        """`event: prices` and `event: ticks`, each with a JSON list of rows as in `/v1/prices/latest`; times in UTC.

        `event: reset` says that a snapshot follows. A comment comes every 15 seconds when nothing else does.
        """
        names = await run_in_threadpool(rooms.names.settle, Asked(market or None, run or None))
        follower = Follower(rooms, board, names.market, names.run)
        return StreamingResponse(follower.events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return routes


class Follower:
    """One reader of the stream."""

    def __init__(self, rooms: Rooms, board: Board, market: str | None, run: str | None) -> None:
        self._rooms, self._board, self._market, self._run = rooms, board, market, run

    async def events(self) -> AsyncIterator[bytes]:
        """The stream's bytes, until the reader leaves or the node stops."""
        watch = self._rooms.cache.subscribe()
        try:
            for event in await run_in_threadpool(self.snapshot):
                yield event
            async for event in self._follow(watch):
                yield event
        finally:
            self._rooms.cache.unsubscribe(watch)

    async def _follow(self, watch: Watch) -> AsyncIterator[bytes]:
        clock, missed = asyncio.get_running_loop().time, 0
        spoke = clock()
        while not self._rooms.closing.is_set():
            pending = list(iter(lambda: watch.take(0), None))
            lost, missed = watch.missed > missed, watch.missed
            events = await run_in_threadpool(self._news, pending, lost) if pending or lost else []
            if not events and clock() - spoke >= _HEARTBEAT_S:
                events = [_HEARTBEAT]
            for event in events:
                spoke = clock()
                yield event
            await asyncio.sleep(_LOOK_S)

    def _news(self, pending: list[tuple[str, pl.DataFrame]], lost: bool) -> list[bytes]:
        return self.snapshot() if lost else self._changes(pending)

    def snapshot(self) -> list[bytes]:
        """Everything there is."""
        prices, ticks = self._board.prices(self._market, self._run), self._board.ticks()
        events = [b"event: reset\ndata: {}\n\n"]
        events += _events("prices", _none_is_empty(prices))
        return events + _events("ticks", _none_is_empty(ticks))

    def _changes(self, pending: list[tuple[str, pl.DataFrame]]) -> list[bytes]:
        events: list[bytes] = []
        for kind, group in groupby(sorted(pending, key=lambda batch: batch[0]), key=lambda batch: batch[0]):
            merged = pl.concat([frame for _, frame in group]).unique(_KEYS[kind], keep="last", maintain_order=True)
            prices = kind == "prices"
            rows = self._board.judge(self._wanted(merged)) if prices else self._board.judge_ticks(merged)
            events += _events(kind, rows) if rows.height else []
        return events

    def _wanted(self, prices: pl.DataFrame) -> pl.DataFrame:
        wanted = [("market", self._market), ("market_run", self._run)]
        return prices.filter(*(pl.col(column) == value for column, value in wanted if value))


def _none_is_empty(frame: pl.DataFrame | None) -> pl.DataFrame:
    return pl.DataFrame() if frame is None else frame


def _events(kind: str, frame: pl.DataFrame) -> list[bytes]:
    """The rows as events of at most `_ROWS` rows; one empty event where there are none."""
    parts = max(1, math.ceil(frame.height / _ROWS))
    texts = (rows_json(as_text(frame.slice(part * _ROWS, _ROWS), "UTC")) for part in range(parts))
    return [b"event: " + kind.encode() + b"\ndata: " + text + b"\n\n" for text in texts]
