"""Housekeeping: carried rows leave the log after their retention, and a full workspace takes no more.

Raw payloads and their records stay for ever: everything can be rebuilt from them. History of the ledger is kept for
90 days.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from carbon254.clock import Clock
from carbon254.ingest import Inbox
from carbon254.stores.ledger import ClickHouseLedger, Ledger, ship
from carbon254.stores.log import Log

from .publisher import CONSUMER as PUBLISH

HISTORY = timedelta(days=90)
_EVERY_S = 60.0
_GIVE_BACK_ROUNDS = 2
_CONSUMERS = ("project", "lake")


class Housekeeper:
    """Looks after the workspace once a minute."""

    def __init__(
        self,
        log: Log,
        ledger: Ledger,
        inbox: Inbox,
        clock: Clock,
        size: Callable[[], int],
        retention: timedelta,
        budget_bytes: int,
        history: ClickHouseLedger | None = None,
        give_back: Callable[[], None] = lambda: None,
    ) -> None:
        """`give_back` hands memory back that a burst of work left; it is called now and then, and costs a little."""
        self._log, self._ledger, self._inbox, self._clock = log, ledger, inbox, clock
        self._size, self._retention, self._budget_bytes = size, retention, budget_bytes
        self._history, self._shipped = history, datetime.min.replace(tzinfo=UTC)
        self._give_back, self._rounds = give_back, 0
        self._next_s = 0.0

    def step(self) -> int:
        """Tidy when a minute has passed; there is never more to carry."""
        if self._clock.monotonic() < self._next_s:
            return 0
        self._next_s = self._clock.monotonic() + _EVERY_S
        self._rounds += 1
        if self._rounds % _GIVE_BACK_ROUNDS == 0:
            self._give_back()
        now = self._clock.now()
        # Where rows were ever published, they stay until they all were.
        publishing = (PUBLISH,) if self._log.offsets(PUBLISH) else ()
        self._log.trim("rows.", _CONSUMERS + publishing, now - self._retention)
        self._log.trim("counts.", ("project",), now - self._retention)
        if self._history is not None:
            # Before anything is forgotten here; what falls in the minute that is shipped twice is kept once.
            ship(self._ledger, self._history, self._shipped)
            self._shipped = now - timedelta(seconds=_EVERY_S)
        self._ledger.prune(now - HISTORY)
        if self._budget_bytes:
            used = self._size()
            full = f"the workspace holds {used / 1e9:.1f} GB of {self._budget_bytes / 1e9:g} GB"
            self._inbox.full = full if used > self._budget_bytes else ""
        return 0
