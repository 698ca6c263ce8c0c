"""Consumer `bars`: market days that are over and judged → their bars, sealed; corrections → the audit trail.

Bars are computed when they are read; a sealed day is read faster, and a correction opens exactly that day again. Hours
of ticks are sealed a little after they are over. Nothing is lost where this does not run: readers compute more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from carbon254.clock import Clock
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.sealing import Unit

from .cutoffs import closed_at
from .repair import Repair
from .source import Source
from .standing import plain

CONSUMER = "bars"
_EVERY_S = 60.0
# Seals of one step: a year that is brought in must not hold up a stop.
_MANY = 64
# Ticks of an hour come a little later than it ends.
_GRACE = timedelta(minutes=10)
# On a server other writers may be between telling a change and storing its rows: so long no insert takes.
_QUIET_S = 600.0


class BarSealer:
    """Seals what is over, and tells which bars corrections changed."""

    def __init__(
        self, hot: HotStore, sources: Mapping[str, Source], clock: Clock, repair: Repair, shared: bool = False
    ) -> None:
        """`shared`: other processes write into the same store."""
        self._hot, self._sources, self._clock, self._repair = hot, sources, clock, repair
        self._quiet_s = _QUIET_S if shared else 0.0
        self._seen: dict[tuple[str, str, datetime], tuple[int, float]] = {}
        self._told: dict[tuple[str, str, datetime], int] = {}
        self._next_s = 0.0

    def step(self) -> int:
        """Seal and tell what there is, once a minute; how many units and corrections there were."""
        if self._clock.monotonic() < self._next_s:
            return 0
        done = self.settle(_MANY)
        if not done:
            self._hot.sealing.sweep()
            self._next_s = self._clock.monotonic() + _EVERY_S
        return done

    def settle(self, most: int = _MANY) -> int:
        """Seal and tell now, at most so many; how many there were."""
        done = 0
        for unit in self._hot.sealing.unsealed():
            if done == most:
                break
            key = unit.market, unit.market_run, unit.starts
            if unit.revised and unit.market and self._told.get(key) != unit.sequence:
                done += self._repair.tell(unit)
                self._told[key] = unit.sequence
            if self._over(unit) and self._rests(key, unit.sequence):
                done += self._hot.sealing.seal(unit)
                self._told.pop(key, None)
        return done

    def _rests(self, key: tuple[str, str, datetime], sequence: int) -> bool:
        """Whether nothing came for long enough since this change was first met."""
        now = self._clock.monotonic()
        seen, since = self._seen.get(key, (0, now))
        if seen != sequence:
            since = now
        self._seen[key] = sequence, since
        rests = now >= since + self._quiet_s
        if rests:
            self._seen.pop(key)
        return rests

    def _over(self, unit: Unit) -> bool:
        """Whether a unit is over, and of every feed either judged or, where nothing judges it, as late as it may be."""
        now = self._clock.now()
        if not unit.market:
            return unit.ends + _GRACE <= now
        return unit.ends <= now and all(self._closed(feed, unit, now) for feed in unit.feeds)

    def _closed(self, feed: str, unit: Unit, now: datetime) -> bool:
        source = self._sources.get(feed)
        if source is None:
            return True
        if source.rules is not None:
            where = f"feed = '{feed}' AND market_day = toDate32('{unit.day}') AND number > 0"
            return plain(self._hot, f"SELECT count() AS n FROM verdicts WHERE {where}")["n"][0] > 0
        return closed_at(source.stream, str(unit.day)) <= now
