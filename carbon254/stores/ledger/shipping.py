"""From the ledger that decides to the one that keeps history: changes of state and acts, again without harm."""

from __future__ import annotations

from datetime import datetime

from .clickhouse import ClickHouseLedger
from .ledger import Ledger

_MANY = 1_000_000


def ship(source: Ledger, target: ClickHouseLedger, since: datetime) -> int:
    """Take over what changed or was done at or after `since`; how many lines. Shipping twice changes nothing."""
    shipped = 0
    for entry in source.entries(limit=_MANY):
        if entry.changed_at >= since:
            changes = [line for line in source.history(entry.feed, entry.partition) if line[1] >= since]
            target.keep_history(entry.feed, entry.partition, changes)
            shipped += len(changes)
    acts = [act for act in source.trail(limit=_MANY) if act.at >= since]
    target.record(acts)
    return shipped + len(acts)
