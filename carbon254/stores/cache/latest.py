"""Latest prices and ticks, in process: what the live page reads, and a channel for those who watch.

Merging is vectorised.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import polars as pl

from .kinds import PRICES, TICKS, Kind, narrowed, newest, ranked
from .watch import Watch


class LatestPrices:
    """See `port.Cache`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, pl.DataFrame] = {}
        self._watches: list[Watch] = []
        self._filled = False

    def put(self, frame: pl.DataFrame) -> None:
        """Merge interval prices; older intervals and older versions change nothing."""
        self._merge(frame, PRICES)

    def put_ticks(self, frame: pl.DataFrame) -> None:
        """Merge ticks."""
        self._merge(ranked(frame), TICKS)

    def _merge(self, frame: pl.DataFrame, kind: Kind) -> None:
        fresh = newest(frame, kind)
        with self._lock:
            before = self._held.get(kind.name)
            after = self._held[kind.name] = fresh if before is None else newest(pl.concat([before, fresh]), kind)
            changed = _changed(before, after, kind.key, fresh)
            for watch in self._watches if changed.height else []:
                watch.offer(kind.name, changed)

    def get(
        self, market: str | None = None, run: str | None = None, locations: Sequence[str] = ()
    ) -> pl.DataFrame | None:
        """Newest prices, narrowed; None before the first one arrived."""
        with self._lock:
            found = self._held.get(PRICES.name)
        return None if found is None else narrowed(found, market, run, locations)

    def get_ticks(self) -> pl.DataFrame | None:
        """Newest ticks; None before the first one arrived."""
        with self._lock:
            return self._held.get(TICKS.name)

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

    def watched(self) -> bool:
        """Whether anybody holds a channel."""
        return bool(self._watches)

    def filled(self) -> bool:
        """Whether what was newest before has been put in."""
        return self._filled

    def fill_done(self) -> None:
        """Say so."""
        self._filled = True

    def close(self) -> None:
        """Nothing is held open."""


def _changed(before: pl.DataFrame | None, after: pl.DataFrame, key: Sequence[str], fresh: pl.DataFrame) -> pl.DataFrame:
    touched = after.join(fresh.select(key), on=list(key), how="semi")
    return touched if before is None else touched.join(before, on=after.columns, how="anti", nulls_equal=True)
