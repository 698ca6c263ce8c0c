"""Places of each market and instruments as the normaliser joins them: the reference store's, anew after a change."""

from __future__ import annotations

import threading

import polars as pl

from carbon254.stages.enrich import Directory
from carbon254.stores.reference import Reference


class Directories:
    """Directories by market. Asks the store's version before each use: a load beside the node counts at once."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[int, Directory]] = {}
        self._instruments: tuple[int, pl.DataFrame] | None = None

    def instruments(self) -> pl.DataFrame:
        """What ticks are enriched with; see `Reference.instrument_facts`."""
        with self._lock:
            version = self._reference.version()
            if self._instruments is None or self._instruments[0] != version:
                self._instruments = version, self._reference.instrument_facts()
            return self._instruments[1]

    def of(self, market: str) -> Directory:
        """The market's places with their history."""
        with self._lock:
            # The version is read first: a load in between makes the snapshot newer than it says, and is taken again.
            version = self._reference.version(market)
            kept = self._kept.get(market)
            if kept is None or kept[0] != version:
                kept = version, Directory.of(self._reference.snapshot(market))
                self._kept[market] = kept
            return kept[1]
