"""Step `settle`: spans that are not what their arrivals say, read in order, are rebuilt from raw.

A span is unsettled by an arrival that was carried behind one that it sorts before, and by a payload that, read again,
gives other rows than it gave, by what the log or the hot store knows of it. Which span is kept in the log with what
unsettled it, so that a crash forgets nothing. It is rebuilt once every store has taken what was in the log by then;
until then readers keep what stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from carbon254.clock import Clock
from carbon254.faults import reach
from carbon254.stores.ledger import Ledger
from carbon254.stores.log import Log

from .normaliser import UNSETTLED, Normaliser
from .pending import under_way
from .rebuilder import How, Rebuilder
from .source import Source
from .spans import spans_of

_EVERY_S = 60.0
# As the audit trail tells it.
WHO, WHY = "c254", "read again, or received out of order"


class Settler:
    """Rebuilds what is unsettled."""

    def __init__(
        self,
        log: Log,
        ledger: Ledger,
        normaliser: Normaliser,
        rebuilder: Rebuilder,
        sources: Mapping[str, Source],
        clock: Clock,
    ) -> None:
        self._log, self._ledger, self._normaliser, self._rebuilder = log, ledger, normaliser, rebuilder
        self._sources, self._clock = sources, clock
        self._look_s = 0.0

    def step(self) -> int:
        """Rebuild the spans that wait for nothing more; how many."""
        if self._clock.monotonic() >= self._look_s:
            # Also what other processes noted, and this one before it was started.
            self._normaliser.unsettled |= {topic for topic in self._sources if self._log.get_state(UNSETTLED, topic)}
            self._look_s = self._clock.monotonic() + _EVERY_S
        return sum(self._settle(topic) for topic in sorted(self._normaliser.unsettled))

    def _settle(self, topic: str) -> bool:
        kept = self._log.get_state(UNSETTLED, topic)
        if not kept:
            self._normaliser.unsettled.discard(topic)
            return False
        if under_way(self._log, topic):
            return False
        first, last = (_moment(text) for text in kept.decode().split())
        source = self._sources[topic]
        end = last + (timedelta(days=1) if source.dataset.by_date else timedelta(microseconds=1))
        for low, high in spans_of(source, self._log, self._ledger, (first, end)):
            self._rebuilder.rebuild(source, low, high, self._clock.now(), how=How(who=WHO, why=WHY))
            reach("settle.rebuilt")
        with self._log.transaction() as txn:
            # What was unsettled meanwhile stays.
            if txn.get_state(UNSETTLED, topic) == kept:
                txn.put_state(UNSETTLED, topic, b"")
        reach("settle.done")
        return True


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
