"""What a complete five-minute feed must come to, told slowly: the rules of arrival in plain Python, row by row.

Independent of the product but for the rules themselves (docs/decisions): a payload equal to the last of its subject is
no news; a row is known when it came if it came promptly or an earlier payload had its place, else it is assumed known
when it was due; a place that a complete payload no longer lists is withdrawn when that payload came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FIVE = timedelta(minutes=5)
DELAY, WINDOW = timedelta(minutes=5), timedelta(hours=1)
# A clock that wavers by less than this does not say which of two payloads came first: the second one did.
WAVERS = timedelta(seconds=1)
Key = tuple[str, datetime]


@dataclass(frozen=True)
class Payload:
    """One file: prices of some places for one interval, and when it came."""

    subject: str
    start: datetime
    prices: tuple[tuple[str, float], ...]
    received: datetime


@dataclass(frozen=True)
class Version:
    """One row as it was learned: None is a withdrawal."""

    lmp: float | None
    known: datetime
    received: datetime
    assumed: bool


class Twin:
    """The model: every version of every key, in a dict."""

    def __init__(self) -> None:
        self.versions: dict[Key, list[Version]] = {}
        self.taken: list[Payload] = []
        self._learned = 0
        self._latest: dict[str, object] = {}
        self._contents: set[object] = set()
        self._listed: dict[datetime, list[set[str]]] = {}

    def deliver(self, payload: Payload) -> bool:
        """Whether it is news."""
        content = (payload.start, payload.prices)
        latest = self._latest.get(payload.subject)
        if latest == content or (latest is None and content in self._contents):
            return False
        self._latest[payload.subject] = content
        self._contents.add(content)
        newest = max((one.received for one in self.taken), default=payload.received - 2 * WAVERS)
        if payload.received <= newest < payload.received + WAVERS:
            payload = replace(payload, received=newest + timedelta(microseconds=1))
        self.taken.append(payload)
        return True

    def _learn_all(self) -> None:
        """What all that was taken says, in the order in which it was received."""
        if self._learned == len(self.taken):
            return
        self.versions, self._listed, self._learned = {}, {}, len(self.taken)
        for payload in sorted(self.taken, key=lambda one: one.received):
            self._learn(payload)

    def _learn(self, payload: Payload) -> None:
        due = payload.start + FIVE + DELAY
        before = set[str]().union(*self._listed.setdefault(payload.start, []))
        places = {place for place, _ in payload.prices}
        for place, lmp in payload.prices:
            live = due + WINDOW >= payload.received or place in before
            known = payload.received if live else min(due, payload.received)
            self._add((place, payload.start), Version(lmp, known, payload.received, not live))
        gone = before - places
        # Most of the file missing is a part of it; more than one place missing is a cut file. Neither withdraws.
        if len(gone) == 1 and len(places) >= 1:
            for place in gone:
                self._add((place, payload.start), Version(None, payload.received, payload.received, False))
        self._listed[payload.start].append(places)

    def _add(self, key: Key, version: Version) -> None:
        self.versions.setdefault(key, []).append(version)

    def keys(self) -> set[Key]:
        """Every key that anything is known of."""
        self._learn_all()
        return set(self.versions)

    def as_of(self, moment: datetime, basis: str) -> dict[Key, float | None]:
        """Key → price, by what was known at a moment."""
        self._learn_all()
        found = {}
        for key, versions in self.versions.items():
            stood = [one for one in versions if _counts(one, moment, basis)]
            if stood:
                found[key] = max(stood, key=lambda one: (one.known, one.received)).lmp
        return found

    def moments(self) -> list[datetime]:
        """Every moment at which something became known."""
        self._learn_all()
        return sorted(
            {at for versions in self.versions.values() for one in versions for at in (one.known, one.received)}
        )


def _counts(version: Version, moment: datetime, basis: str) -> bool:
    if basis == "received":
        return version.received <= moment
    return version.known <= moment and not (basis == "strict" and version.assumed)
