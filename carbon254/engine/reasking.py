"""What the poller asks for again: intervals whose rows are held, and due intervals that have not come.

Politely: few spans at a time, each a few times with growing waits, and through the provider's own budget like any other
request. Whatever comes is judged as ever; when it passes, it goes out and what was held is resolved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from carbon254.calendars import market_days
from carbon254.model import Stream
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.literal import literal
from carbon254.stores.ledger import Ledger
from carbon254.stores.ledger.completeness import due_at, starts_of

from .quarantine import HELD, TABLE

MOST_TRIES = 6
MOST_SPANS = 2
_WAIT = timedelta(minutes=5)
_BACK = timedelta(days=2)
_LONGEST = timedelta(days=1)
# An interval with fewer of the day's places is asked for again.
_WHOLE = 0.98
_UNHELD = "location_id != '' AND interval_start IS NOT NULL"

Span = tuple[datetime, datetime]


class Reasker:
    """Remembers what was asked again, how often, and when it may be asked next."""

    def __init__(self, ledger: Ledger, hot: HotStore) -> None:
        self._ledger, self._hot = ledger, hot
        self._tries: dict[tuple[str, datetime], tuple[int, datetime]] = {}

    def spans(self, stream: Stream, now: datetime) -> list[Span]:
        """At most MOST_SPANS spans of a feed to ask for again now; counts them as asked."""
        wanted = self.wanted(stream, now)
        known = {start for start, _ in wanted}
        self._tries = {key: kept for key, kept in self._tries.items() if key[0] != stream.topic or key[1] in known}
        chosen = []
        for start, end in wanted:
            tries, next_at = self._tries.get((stream.topic, start), (0, now))
            if tries < MOST_TRIES and next_at <= now and len(chosen) < MOST_SPANS:
                self._tries[stream.topic, start] = (tries + 1, now + _WAIT * 2**tries)
                chosen.append((start, end))
        return chosen

    def wanted(self, stream: Stream, now: datetime) -> list[Span]:
        """Spans of the last days that are held or lacking, merged, newest first."""
        if stream.dataset != "interval_prices":
            return []
        starts = sorted({*self._held(stream, now), *self._lacking(stream, now)})
        return merged(starts, stream.resolution)[::-1]

    def _held(self, stream: Stream, now: datetime) -> Iterable[datetime]:
        """Starts of held rows of the feed's own run, and of those runs that each of its payloads lists wholly: what
        else came beside them (hourly averages, a look ahead) is not what the feed's requests are for."""
        runs = ", ".join(literal(run.market_run) for run in stream.every_run if run is stream or run.complete)
        found = self._hot.fetch(
            f"SELECT DISTINCT interval_start FROM {TABLE} WHERE feed = '{stream.topic}' AND status = '{HELD}' "
            f"AND market_run IN ({runs}) AND {_UNHELD} AND interval_start >= {literal(now - _BACK)}"
        )
        return [start.astimezone(UTC) for start in found["interval_start"].to_pylist()]

    def _lacking(self, stream: Stream, now: datetime) -> list[datetime]:
        """Starts of periods that are overdue, and that none or too few of the day's places have."""
        known = {entry.partition for entry in self._ledger.entries(stream.topic, limit=8) if entry.payloads}
        found: list[datetime] = []
        for day in market_days(now - _BACK, now, stream.clock):
            name = day.isoformat()
            if name not in known:
                continue
            cells = self._ledger.cells(stream.topic, name)
            whole = _Places(self._ledger.places(cells))
            first = min((bits & -bits for bits in cells.values() if bits), default=1).bit_length() - 1
            starts = starts_of(stream, name)
            for number, start in enumerate(starts):
                # What lies before the first interval a feed ever brought was never asked for.
                if name == min(known) and number < first:
                    continue
                if due_at(stream, start, starts[0]) + 2 * stream.slo > now:
                    continue
                if not whole.enough(frozenset(one for one, bits in cells.items() if bits >> number & 1)):
                    found.append(start)
        return found


class _Places:
    """How many places sets of places hold together. Most periods have the same sets, so that each is counted once."""

    def __init__(self, sets: Mapping[str, frozenset[str]]) -> None:
        self._sets = sets
        self._least = _WHOLE * max(len(frozenset[str]().union(*sets.values())), 1)
        self._known: dict[frozenset[str], bool] = {}

    def enough(self, names: frozenset[str]) -> bool:
        if names not in self._known:
            there = frozenset[str]().union(*(self._sets.get(name, frozenset()) for name in names))
            self._known[names] = len(there) >= self._least
        return self._known[names]


def merged(starts: list[datetime], step: timedelta) -> list[Span]:
    """Adjacent intervals as spans of at most a day."""
    spans: list[Span] = []
    for start in starts:
        if spans and start == spans[-1][1] and start + step - spans[-1][0] <= _LONGEST:
            spans[-1] = (spans[-1][0], start + step)
        else:
            spans.append((start, start + step))
    return spans
