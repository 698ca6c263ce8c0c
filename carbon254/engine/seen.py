"""What earlier payloads brought of a feed's market run: the log's state, written with the payload that adds to it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime, timedelta

import polars as pl

from carbon254.model.arrival import arrival_in
from carbon254.stages import arrivals
from carbon254.stages.arrivals import Arrival, Seen
from carbon254.stores.log import Log

from .outcome import Outcome

# An old file under a new date is found within so many days.
_AROUND = 7


class SeenStore:
    """`Seen` kept in the log's state; what a payload adds goes into its outcome, to be written with its rows."""

    def __init__(self, log: Log, outcome: Outcome, scope: str, place: str) -> None:
        """`scope` names the feed, and the market run where it is not the feed's own; `place` the arrival that is read.

        What an earlier reading of the same arrival brought is left out: this one takes its place.
        """
        self._log, self._outcome, self._scope, self._place = log, outcome, scope, place
        self._kept: set[str] = set()
        # Whether the arrival brings a set of places to an interval that others brought already.
        self._news = False
        self.seen = Seen()

    def load(self, frame: pl.DataFrame) -> Seen:
        """Bring what is known of the frame's intervals into `seen`."""
        pairs = frame.select("interval_start", "interval_end").unique()
        for interval in pairs.iter_rows():
            if interval in self.seen.by_interval:
                continue
            stored = self._get(f"seen:{self._scope}", _key(interval))
            entries: dict[str, str] = {}
            for told, name in json.loads(stored) if stored else ():
                at = self._named(told)
                if at != self._place:
                    entries[name] = min(at, entries.get(name, at))
            self.seen.by_interval[interval] = entries
            for name in entries:
                if name not in self.seen.sets:
                    self.seen.sets[name] = frozenset(json.loads(self._get("places", name) or b"[]"))
        return self.seen

    def remember(self, frame: pl.DataFrame, arrival: Arrival) -> None:
        """Add the frame's intervals and keep them with the transaction."""
        changed = arrivals.remember(frame, arrival, self.seen)
        for interval in changed:
            entries = self.seen.by_interval[interval]
            self._news |= len(entries) > 1
            told = [(at, name) for name, at in sorted(entries.items())]
            self._outcome.states[f"seen:{self._scope}", _key(interval)] = json.dumps(told).encode()
        for name in {name for interval in changed for name in self.seen.by_interval[interval]} - self._kept:
            self._outcome.states["places", name] = json.dumps(sorted(self.seen.sets[name])).encode()
            self._kept.add(name)

    @property
    def is_behind(self) -> bool:
        """Whether what this arrival brings was to be known to one that sorts after it, and was carried before it."""
        key = f"newest:{self._scope}", ""
        newest = (self._get(*key) or b"").decode()
        if newest < self._place:
            self._outcome.states[key] = self._place.encode()
        return newest > self._place and self._news

    def listed(self) -> dict[datetime, set[str]]:
        """Sets of places that the arrival listed, by the start of their interval."""
        found: dict[datetime, set[str]] = {}
        for (start, _), names in self.seen.mine.items():
            found.setdefault(start, set()).update(names)
        return found

    def prints(self, days: Iterable[date]) -> frozenset[int]:
        """Fingerprints that arrivals before this one brought for the days around these, not for these themselves."""
        mine = set(days)
        around = {day + timedelta(days=off) for day in mine for off in range(-_AROUND, _AROUND + 1)} - mine
        found: set[int] = set()
        for day in around:
            found.update(one for at, one in self._printed(day) if at < self._place)
        return frozenset(found)

    def remember_prints(self, day: date, prints: Iterable[int]) -> None:
        """Keep the arrival's fingerprints of a market day with the transaction."""
        kept = {*self._printed(day), *((self._place, one) for one in prints)}
        self._outcome.states[f"prints:{self._scope}", day.isoformat()] = json.dumps(sorted(kept)).encode()

    def _printed(self, day: date) -> list[tuple[str, int]]:
        key = f"prints:{self._scope}", day.isoformat()
        stored = self._outcome.states.get(key) or self._get(*key)
        return [(self._named(at), int(one)) for at, one in json.loads(stored)] if stored else []

    def _named(self, at: str | int) -> str:
        """The arrival of an entry; older entries name a place in the log instead."""
        return at if isinstance(at, str) else arrival_in(self._log.fetch(at).headers)

    def _get(self, scope: str, key: str) -> bytes | None:
        return self._log.get_state(scope, key)


def _key(interval: tuple[datetime, datetime]) -> str:
    return f"{interval[0].isoformat()}/{interval[1].isoformat()}"
