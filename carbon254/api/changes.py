"""Changes of prices and ticks for all who follow them: judged once, written once for each filter, kept for a while.

One thread waits for the cache and wakes the followers; each reads on from where it is, at its own pace. One that is
farther behind than what is kept is told so, and begins again with a snapshot.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from itertools import groupby

import polars as pl
import structlog

from carbon254.stores.cache import Watch

from .answers import rows_json
from .board import Board
from .moments import as_text
from .rooms import Rooms

ROWS = 2_000
KEPT = 512
_LOOK_S = 0.5
_FORGET_AFTER_S = 60.0
_KEYS = {"prices": ("market", "market_run", "location_id"), "ticks": ("tenant", "source", "instrument")}
Filter = tuple[str | None, str | None]


class Change:
    """Rows that changed together, by their number; written when first asked for by a filter."""

    def __init__(self, number: int, kind: str, rows: pl.DataFrame) -> None:
        self.number, self._kind, self._rows = number, kind, rows
        self._texts: dict[Filter, list[bytes]] = {}
        self._lock = threading.Lock()
        self.written = 0

    def texts(self, wanted: Filter, mark: str) -> list[bytes]:
        """Its events for those who want a market and run; none where nothing of it is theirs."""
        with self._lock:
            if wanted not in self._texts:
                self.written += 1
                rows = self._rows
                if self._kind == "prices":
                    pairs = zip(("market", "market_run"), wanted, strict=True)
                    rows = rows.filter(*(pl.col(column) == value for column, value in pairs if value))
                self._texts[wanted] = events(self._kind, rows, f"{mark}-{self.number}") if rows.height else []
            return self._texts[wanted]


class Changes:
    """What is kept of the changes, and who waits for more. `mark` tells one run of it from the next."""

    def __init__(self, rooms: Rooms, board: Board, kept: int = KEPT) -> None:
        self._rooms, self._board = rooms, board
        self._lock = threading.Lock()
        self._kept: deque[Change] = deque(maxlen=kept)
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._thread: threading.Thread | None = None
        self.mark, self.last, self._first = secrets.token_hex(4), 0, 1

    def follow(self, woken: asyncio.Event) -> int:
        """Wake this event when there is more, from now on; gives the number of the last change before."""
        with self._lock:
            self._waiting[woken] = asyncio.get_running_loop()
            if self._thread is None:
                self.mark, self._first = secrets.token_hex(4), self.last + 1
                self._kept.clear()
                watch = self._rooms.cache.subscribe()
                self._thread = threading.Thread(target=self._run, args=(watch,), name="c254-changes", daemon=True)
                self._thread.start()
            return self.last

    def leave(self, woken: asyncio.Event) -> None:
        """Nobody waits on it any more."""
        with self._lock:
            self._waiting.pop(woken, None)

    @property
    def followers(self) -> int:
        """How many follow."""
        return len(self._waiting)

    def after(self, number: int) -> list[Change] | None:
        """The changes after that one; None where some of them are not kept any more."""
        with self._lock:
            first = self._kept[0].number if self._kept else self.last + 1
            if number + 1 < max(self._first, first if self.last else 0):
                return None
            return [change for change in self._kept if change.number > number]

    def place(self, told: str) -> int | None:
        """The number of the change that an event's id names; None where it is of another run, or no id."""
        mark, _, number = told.partition("-")
        known = mark == self.mark and number.isdigit() and len(number) < 16 and int(number) <= self.last
        return int(number) if known else None

    def _run(self, watch: Watch) -> None:
        idle, missed = 0.0, 0
        try:
            while not self._rooms.closing.is_set():
                first = watch.take(_LOOK_S)
                pending = [first, *iter(lambda: watch.take(0), None)] if first else []
                if watch.missed > missed:
                    missed = watch.missed
                    self._lose()
                if pending:
                    self._add([batch for batch in pending if batch])
                idle = 0.0 if self._waiting else idle + _LOOK_S
                if idle > _FORGET_AFTER_S and self._forget(watch):
                    return
        finally:
            self._rooms.cache.unsubscribe(watch)
            self._wake()

    def _add(self, pending: Sequence[tuple[str, pl.DataFrame]]) -> None:
        try:
            for kind, group in groupby(sorted(pending, key=lambda batch: batch[0]), key=lambda batch: batch[0]):
                merged = pl.concat([frame for _, frame in group]).unique(_KEYS[kind], keep="last", maintain_order=True)
                judged = self._board.judge(merged) if kind == "prices" else self._board.judge_ticks(merged)
                with self._lock:
                    self.last += 1
                    self._kept.append(Change(self.last, kind, judged))
        except Exception as error:
            # The followers get everything anew; the thread is theirs alone and must go on.
            structlog.get_logger().error("changes could not be told", exc_info=error)
            self._lose()
        self._wake()

    def _lose(self) -> None:
        """Something is missing: everyone begins again."""
        with self._lock:
            self._kept.clear()
            self.last += 1
            self._first = self.last + 1
        self._wake()

    def _forget(self, watch: Watch) -> bool:
        with self._lock:
            if self._waiting:
                return False
            self._thread = None
            return True

    def _wake(self) -> None:
        with self._lock:
            waiting = list(self._waiting.items())
        for woken, loop in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)


def events(kind: str, frame: pl.DataFrame, told: str = "") -> list[bytes]:
    """The rows as events of at most `ROWS` rows; one empty event where there are none. The last one has the id."""
    parts = max(1, math.ceil(frame.height / ROWS))
    texts = [rows_json(as_text(frame.slice(part * ROWS, ROWS), "UTC")) for part in range(parts)]
    ends = [b"\n\n"] * (parts - 1) + [b"\nid: " + told.encode() + b"\n\n" if told else b"\n\n"]
    return [b"event: " + kind.encode() + b"\ndata: " + text + end for text, end in zip(texts, ends, strict=True)]
