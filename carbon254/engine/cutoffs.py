"""By when the verdicts on a market day speak: fixed moments, which follow from arrivals and the card alone.

The first is when everything due has had its service level to come. What arrives later is judged in windows counted from
there, so that a day that is brought in piece by piece gets few verdicts, and the same ones whoever asks and whenever.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from carbon254.model import Stream
from carbon254.stores.ledger.completeness import due_at, starts_of

_WINDOW = timedelta(minutes=15)


def closed_at(stream: Stream, day: str) -> datetime:
    """When a market day is over, and everything due of it has had its service level to come."""
    starts = starts_of(stream, day)
    return max(starts[-1] + stream.resolution, due_at(stream, starts[-1], starts[0])) + stream.slo


def cutoffs(stream: Stream, day: str, arrived: Iterable[datetime]) -> list[datetime]:
    """The moments by which verdicts 1, 2 … on a day speak, given when its rows arrived; each has something new."""
    closed, window = closed_at(stream, day), max(stream.slo, _WINDOW)
    # Whole windows, rounded up: what arrives as one ends belongs to it.
    return sorted({closed + max(0, -((closed - moment) // window)) * window for moment in arrived})
