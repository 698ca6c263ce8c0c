"""What earlier payloads brought of a feed's market run: the log's state, written with the payload that adds to it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime, timedelta

import polars as pl

from carbon254.stages import arrivals
from carbon254.stages.arrivals import Arrival, Seen
from carbon254.stores.log import Log

from .outcome import Outcome

# An old file under a new date is found within so many days.
_AROUND = 7


class SeenStore:
    """`Seen` kept in the log's state; what a payload adds goes into its outcome, to be written with its rows."""

    def __init__(self, log: Log, outcome: Outcome, scope: str) -> None:
        """`scope` names the feed, and the market run where it is not the feed's own."""
        self._log, self._outcome, self._scope = log, outcome, scope
        self._kept: set[str] = set()
        self.seen = Seen()

    def load(self, frame: pl.DataFrame) -> Seen:
        """Bring what is known of the frame's intervals into `seen`."""
        pairs = frame.select("interval_start", "interval_end").unique()
        for interval in pairs.iter_rows():
            if interval in self.seen.by_interval:
                continue
            stored = self._get(f"seen:{self._scope}", _key(interval))
            entries = [(int(offset), name) for offset, name in json.loads(stored)] if stored else []
            self.seen.by_interval[interval] = entries
            for _, name in entries:
                if name not in self.seen.sets:
                    self.seen.sets[name] = frozenset(json.loads(self._get("places", name) or b"[]"))
        return self.seen

    def remember(self, frame: pl.DataFrame, arrival: Arrival) -> None:
        """Add the frame's intervals and keep them with the transaction."""
        changed = arrivals.remember(frame, arrival, self.seen)
        for interval in changed:
            entries = self.seen.by_interval[interval]
            self._outcome.states[f"seen:{self._scope}", _key(interval)] = json.dumps(entries).encode()
        for name in {name for interval in changed for _, name in self.seen.by_interval[interval]} - self._kept:
            self._outcome.states["places", name] = json.dumps(sorted(self.seen.sets[name])).encode()
            self._kept.add(name)

    def listed(self, offset: int) -> dict[datetime, set[str]]:
        """Sets of places that the payload at `offset` listed, by the start of their interval."""
        found: dict[datetime, set[str]] = {}
        for (start, _), entries in self.seen.by_interval.items():
            found.setdefault(start, set()).update(name for at, name in entries if at == offset)
        return found

    def prints(self, days: Iterable[date], offset: int) -> frozenset[int]:
        """Fingerprints that payloads before `offset` brought for the days around these, not for these themselves."""
        mine = set(days)
        around = {day + timedelta(days=off) for day in mine for off in range(-_AROUND, _AROUND + 1)} - mine
        found: set[int] = set()
        for day in around:
            found.update(one for at, one in self._printed(day) if at < offset)
        return frozenset(found)

    def remember_prints(self, day: date, offset: int, prints: Iterable[int]) -> None:
        """Keep a payload's fingerprints of a market day with the transaction."""
        kept = {*self._printed(day), *((offset, one) for one in prints)}
        self._outcome.states[f"prints:{self._scope}", day.isoformat()] = json.dumps(sorted(kept)).encode()

    def _printed(self, day: date) -> list[tuple[int, int]]:
        key = f"prints:{self._scope}", day.isoformat()
        stored = self._outcome.states.get(key) or self._get(*key)
        return [(int(at), int(one)) for at, one in json.loads(stored)] if stored else []

    def _get(self, scope: str, key: str) -> bytes | None:
        return self._log.get_state(scope, key)


def _key(interval: tuple[datetime, datetime]) -> str:
    return f"{interval[0].isoformat()}/{interval[1].isoformat()}"
