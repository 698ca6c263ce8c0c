"""Latest prices and ticks, in process: what the live page reads, and a channel for those who watch.

Merging is vectorised; a watcher that does not keep up loses its oldest batches, never the writer's time.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

import polars as pl

PRICE_COLUMNS = (
    "market", "market_run", "location", "location_id", "location_type", "interval_start", "interval_end",
    "lmp", "energy", "congestion", "loss", "ghg", "known_at", "known_basis", "received_at", "revision", "flags",
)  # fmt: skip
TICK_COLUMNS = (
    "tenant", "source", "instrument", "event_time", "event_id", "sequence", "price", "quantity", "bid", "ask",
    "received_at", "flags",
)  # fmt: skip
_PRICE_KEY = ("market", "market_run", "location_id")
_PRICE_ORDER = ("interval_start", "known_at", "revision", "received_at")
_TICK_KEY = ("tenant", "source", "instrument")
# Ticks of one instant are told apart by the source's own order; when they came says nothing about it.
_TICK_ORDER = ("event_time", "sequence", "received_at", "event_id")
_PENDING = 256


class Watch:
    """One watcher's channel. `missed` counts the batches it was too slow for."""

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

    def _drop(self) -> None:
        try:
            self._queue.get_nowait()
            self.missed += 1
        except queue.Empty:
            return


class LatestPrices:
    """The newest price of each market, run and place, and the newest tick of each instrument."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prices: pl.DataFrame | None = None
        self._ticks: pl.DataFrame | None = None
        self._watches: list[Watch] = []

    def put(self, frame: pl.DataFrame) -> None:
        """Merge interval prices; older intervals and older versions change nothing."""
        fresh = _plain(_newest(frame.select(PRICE_COLUMNS), _PRICE_KEY, _PRICE_ORDER))
        with self._lock:
            before, self._prices = self._prices, _merge(self._prices, fresh, _PRICE_KEY, _PRICE_ORDER)
            self._tell("prices", _changed(before, self._prices, _PRICE_KEY, fresh))

    def put_ticks(self, frame: pl.DataFrame) -> None:
        """Merge ticks."""
        fresh = _plain(_newest(frame.select(TICK_COLUMNS), _TICK_KEY, _TICK_ORDER))
        with self._lock:
            before, self._ticks = self._ticks, _merge(self._ticks, fresh, _TICK_KEY, _TICK_ORDER)
            self._tell("ticks", _changed(before, self._ticks, _TICK_KEY, fresh))

    def get(
        self, market: str | None = None, run: str | None = None, locations: Sequence[str] = ()
    ) -> pl.DataFrame | None:
        """Newest prices, narrowed; None before the first one arrived."""
        with self._lock:
            found = self._prices
        if found is None:
            return None
        if market:
            found = found.filter(pl.col("market") == market)
        if run:
            found = found.filter(pl.col("market_run") == run)
        if locations:
            wanted = list(locations)
            found = found.filter(pl.col("location").is_in(wanted) | pl.col("location_id").is_in(wanted))
        return found

    def get_ticks(self) -> pl.DataFrame | None:
        """Newest ticks; None before the first one arrived."""
        with self._lock:
            return self._ticks

    def subscribe(self) -> Watch:
        """A channel of changes from now on."""
        watch = Watch()
        with self._lock:
            self._watches.append(watch)
        return watch

    def unsubscribe(self, watch: Watch) -> None:
        """Close a channel."""
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)

    def _tell(self, kind: str, changed: pl.DataFrame) -> None:
        if changed.height:
            for watch in self._watches:
                watch.offer(kind, changed)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Dictionary columns as text, so that batches with other dictionaries concatenate."""
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))


def _newest(frame: pl.DataFrame, key: Sequence[str], order: Sequence[str]) -> pl.DataFrame:
    telling = [name for name in key if frame[name].n_unique() > 1] or list(key[-1:])
    return frame.sort(order).unique(telling, keep="last", maintain_order=True)


def _merge(before: pl.DataFrame | None, fresh: pl.DataFrame, key: Sequence[str], order: Sequence[str]) -> pl.DataFrame:
    return fresh if before is None else _newest(pl.concat([before, fresh]), key, order)


def _changed(before: pl.DataFrame | None, after: pl.DataFrame, key: Sequence[str], fresh: pl.DataFrame) -> pl.DataFrame:
    touched = after.join(fresh.select(key), on=list(key), how="semi")
    return touched if before is None else touched.join(before, on=after.columns, how="anti", nulls_equal=True)
