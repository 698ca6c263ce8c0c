"""An arrival: a payload of a feed at the moment it was received.

Arrivals of a feed are ordered by (received_at, SHA-256 of the payload) and by nothing else: not by where a log happens
to keep them. The same bytes received twice are two arrivals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# In the headers of a record: its payload was carried before, so that stores look for its rows before they keep them.
AGAIN_READ = "again_read"
_DIGITS = 16


def arrival_of(received_at: datetime | str, sha256: str) -> str:
    """The arrival as text that sorts as arrivals do: the moment in microseconds UTC, and the payload's first digits."""
    moment = datetime.fromisoformat(received_at) if isinstance(received_at, str) else received_at
    told = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{told}Z {sha256[:_DIGITS]}"


def arrival_in(headers: Mapping[str, Any]) -> str:
    """The arrival that a record of the log came from; its headers name `received_at` and `sha256`."""
    return arrival_of(headers["received_at"], headers["sha256"])


def arrived_in(headers: Mapping[str, Any]) -> tuple[datetime, str]:
    """(received_at, SHA-256) of the arrival that a record of the log came from; compares as arrivals do."""
    return datetime.fromisoformat(headers["received_at"]), headers["sha256"]


def arrival_number(feed: str, arrival: str) -> int:
    """The arrival of a feed as a number of 63 bits, the same in every process; its order says nothing."""
    return int.from_bytes(hashlib.sha256(f"{feed} {arrival}".encode()).digest()[:8]) >> 1
