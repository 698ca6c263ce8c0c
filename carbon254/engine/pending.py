"""What of a feed is under way: arrivals whose rows are in the log, and not yet in every store."""

from __future__ import annotations

from datetime import datetime

from carbon254.errors import TransientError
from carbon254.model.arrival import arrived_in
from carbon254.stores.log import Log

Arrived = tuple[datetime, str]
_STORES = ("project", "lake")
_MOST = 4_096


def under_way(log: Log, topic: str) -> frozenset[Arrived]:
    """(received_at, SHA-256) of the arrivals of a feed that some store has yet to take, or that were not read yet.

    Raises TransientError where these are too many to work around.
    """
    found: set[Arrived] = set()
    for consumer, prefix in (("normalise", "raw."), *((store, "rows.") for store in _STORES)):
        records = log.read(consumer, f"{prefix}{topic}", _MOST)
        if len(records) == _MOST:
            raise TransientError(f"{consumer} is far behind on {topic}; do it again once it has caught up: c254 status")
        found.update(arrived_in(one.headers) for one in records if one.topic == f"{prefix}{topic}")
    return frozenset(found)
