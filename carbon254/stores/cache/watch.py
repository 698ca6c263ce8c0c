"""A watcher's channel: one that does not keep up loses its oldest batches, never the writer's time."""

from __future__ import annotations

import queue

import polars as pl

_PENDING = 256


class Watch:
    """One watcher's channel. `missed` counts the batches it was too slow for, or that a broken connection lost."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[str, pl.DataFrame]] = queue.Queue(_PENDING)
        self.missed = 0

    def offer(self, kind: str, frame: pl.DataFrame) -> None:
        """Hand a batch over, dropping the oldest where the channel is full."""
        while True:
            try:
                self._queue.put_nowait((kind, frame))
                return
            except queue.Full:
                self._drop()

    def take(self, timeout_s: float) -> tuple[str, pl.DataFrame] | None:
        """The next (`prices` or `ticks`, changed rows), or None after `timeout_s`."""
        try:
            return self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None

    def skipped(self) -> None:
        """Say that batches were lost on the way: the watcher must look at the whole again."""
        self.missed += 1

    def _drop(self) -> None:
        try:
            self._queue.get_nowait()
            self.missed += 1
        except queue.Empty:
            return
