"""Stopping what a reader's statement does: by its deadline, or because nobody waits for the answer any more.

A request's `Stop` is found by what runs for it through a context variable, so that it needs no place in every call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from carbon254.errors import QueryRefused


class Stop:
    """Asked for once, told as often as needed: what is being started at that moment is stopped the next time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._why = ""
        self._running: list[Callable[[], object]] = []

    def ask(self, why: str) -> None:
        """Stop what runs, and let nothing new begin; `why` is what the reader is told."""
        with self._lock:
            self._why = self._why or why
            running = list(self._running)
        for stop in running:
            stop()

    def check(self) -> None:
        """Raises QueryRefused where it was asked for."""
        if self._why:
            raise QueryRefused(self._why)

    @contextmanager
    def watching(self, stop: Callable[[], object]) -> Iterator[None]:
        """`stop` is called for as long as the block lasts; an error that came of it is told as what was asked."""
        with self._lock:
            self._running.append(stop)
        try:
            self.check()
            yield
        except QueryRefused:
            self.check()
            raise
        finally:
            with self._lock:
                self._running.remove(stop)


STOP: ContextVar[Stop | None] = ContextVar("c254_stop", default=None)


def stop() -> Stop:
    """The Stop of what is being done now; one that nobody asks where there is none."""
    return STOP.get() or Stop()
