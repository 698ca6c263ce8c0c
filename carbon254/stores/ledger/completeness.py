"""Expected against received: what a market day should hold by its card, and what reached it.

Expected are the periods of the market day (23, 24 or 25 hours in steps of the card's resolution) times the places known
that day: those that any payload of the day listed, or those handed in. Only what is due at a moment counts: a period
whose publication is not due yet is neither there nor missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from carbon254.calendars import market_day_span
from carbon254.model import Stream

from .folding import Cells

_DATASET = "interval_prices"


@dataclass(frozen=True, slots=True)
class Completeness:
    """Counts of one partition at a moment. `missing` are starts of due periods that no place has; UTC."""

    feed: str
    partition: str
    at: datetime
    expected: int
    due: int
    received: int
    places: int
    due_cells: int
    received_cells: int
    missing: tuple[datetime, ...]

    @property
    def share(self) -> float | None:
        """Received cells over due ones, 0 to 1; None while nothing is due."""
        return self.received_cells / self.due_cells if self.due_cells else None


def completeness(
    stream: Stream,
    partition: str,
    at: datetime,
    cells: Cells,
    sets: Mapping[str, frozenset[str]],
    known: frozenset[str] = frozenset(),
) -> Completeness | None:
    """How complete a market day is at `at`; None for feeds that publish no intervals.

    `cells` and `sets` are the ledger's; `known` are places that should be there whether or not a payload listed them.
    """
    if stream.dataset != _DATASET:
        return None
    starts = starts_of(stream, partition)
    due = [number for number, start in enumerate(starts) if due_at(stream, start, starts[0]) <= at]
    places = known.union(*(sets.get(name, frozenset()) for name in cells))
    received = sum(1 for number in due if any(bits >> number & 1 for bits in cells.values()))
    return Completeness(
        feed=stream.topic,
        partition=partition,
        at=at,
        expected=len(starts),
        due=len(due),
        received=received,
        places=len(places),
        # A day that should have begun and has nothing lacks at least one place.
        due_cells=len(due) * max(len(places), 1),
        received_cells=_cells(due, cells, sets, places),
        missing=tuple(starts[number] for number in due if not any(bits >> number & 1 for bits in cells.values())),
    )


def starts_of(stream: Stream, partition: str) -> list[datetime]:
    """Starts (UTC) of a market day's periods."""
    start, end = market_day_span(date.fromisoformat(partition), stream.clock)
    return [start + stream.resolution * number for number in range((end - start) // stream.resolution)]


def due_at(stream: Stream, start: datetime, day: datetime) -> datetime:
    """When the period that starts at `start` is normally published; `day` is its market day's start."""
    anchor = day if stream.publication.anchor == "market_day" else start + stream.resolution
    return anchor + stream.publication.delay


def periods_mask(starts: list[datetime], day: datetime, resolution: timedelta) -> int:
    """Starts of periods as bits, lowest first; what lies outside the day is left out."""
    bits = 0
    for start in starts:
        if start >= day:
            bits |= 1 << (start - day) // resolution
    return bits


def _cells(due: list[int], cells: Cells, sets: Mapping[str, frozenset[str]], places: frozenset[str]) -> int:
    """Places that are there, over all due periods. Periods with the same sets are counted together."""
    groups: dict[frozenset[str], int] = {}
    for number in due:
        names = frozenset(name for name, bits in cells.items() if bits >> number & 1)
        groups[names] = groups.get(names, 0) + 1
    found = 0
    for names, periods in groups.items():
        there = frozenset[str]().union(*(sets.get(name, frozenset()) for name in names))
        found += periods * len(there & places)
    return found
