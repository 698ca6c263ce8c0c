"""Decisions about data: written down before they take effect, and taken again where a log is made again.

A release names rows by their ids, which are hashes of payload, key and values; a resolved dead letter is told by its
payload, line and reason. Neither names a place in a log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from carbon254.clock import Clock
from carbon254.stores.decisions import Decision, Journal
from carbon254.stores.ledger import Act
from carbon254.stores.log import Letter, Log

from .quarantine import Release, kept_release

RELEASE, RESOLVE, OLDER_PLACES = "release", "resolve", "older places"
_WHO = "c254"
_MANY = 1_000_000


@dataclass(frozen=True, slots=True)
class Decider:
    """Writes decisions down, before they take effect."""

    journal: Journal
    clock: Clock

    def release(self, topic: str, ids: Sequence[str], day: str, decision: Release, acts: Sequence[Act]) -> None:
        """Held rows of a feed may go out, and a market day (if named) stands as it is; with the audit trail's words."""
        told = {"feed": topic, "rows": sorted(ids), "day": day, "why": decision.why}
        trail = [{"partition": act.partition, "why": act.why} for act in acts]
        self.journal.write(Decision(RELEASE, decision.at, decision.who, told | {"trail": trail}))

    def resolve(self, letters: Iterable[Letter], how: str) -> None:
        """Dead letters are resolved, and how."""
        if told := told_of(letters):
            self.journal.write(Decision(RESOLVE, self.clock.now(), _WHO, {"how": how, "letters": told}))


def told_of(letters: Iterable[Letter]) -> list[dict[str, Any]]:
    """Letters as a decision tells them."""
    return [asdict(one) | {"id": None, "received_at": one.received_at.isoformat()} for one in letters]


def decide_again(log: Log, decisions: Iterable[Decision]) -> None:
    """Bring decisions about rows and letters into a log that may lack them, before it carries what they are about."""
    for decision in decisions:
        if decision.kind == RELEASE:
            _release(log, decision)
        elif decision.kind == RESOLVE:
            _resolve(log, decision)


def older_places(journal: Journal, feed: str) -> list[tuple[int, str, str]]:
    """(place in the log, received_at, SHA-256) of a feed's payloads in the log of the older format."""
    return [
        (int(place), str(received), str(sha256))
        for one in journal.every()
        if one.kind == OLDER_PLACES and one.told["feed"] == feed
        for place, received, sha256 in one.told["arrivals"]
    ]


def acts_in(decisions: Iterable[Decision]) -> list[Act]:
    """What the audit trail says of the releases."""
    return [
        Act(one.at, one.who, RELEASE, one.told["feed"], act["partition"], act["why"])
        for one in decisions
        if one.kind == RELEASE
        for act in one.told["trail"]
    ]


def releases_in(decisions: Iterable[Decision]) -> Iterable[tuple[str, str, Sequence[str], Release]]:
    """(feed, market day or empty, ids of rows, the release) of each release."""
    for one in decisions:
        if one.kind == RELEASE:
            yield one.told["feed"], one.told["day"], one.told["rows"], Release(one.at, one.who, one.told["why"])


def _release(log: Log, decision: Decision) -> None:
    told = decision.told
    kept = kept_release(Release(decision.at, decision.who, told["why"]))
    with log.transaction() as txn:
        for row_id in told["rows"]:
            txn.put_state(f"released:{told['feed']}", row_id, kept)


def _resolve(log: Log, decision: Decision) -> None:
    how = decision.told["how"]
    letters = [_letter(one, how) for one in decision.told["letters"]]
    wanted = {_key(one) for one in letters}
    open_now = [one for topic in sorted({one.topic for one in letters}) for one in log.letters(topic, "open", _MANY)]
    with log.transaction() as txn:
        txn.resolve_letters([one.id for one in open_now if one.id is not None and _key(one) in wanted], how)
        for one in letters:
            # Where the payload has not been read yet: reading it finds the letter there, resolved.
            txn.add_letter(one)


def _letter(told: dict[str, Any], how: str) -> Letter:
    received = datetime.fromisoformat(told["received_at"])
    return Letter(**{**told, "received_at": received, "status": "resolved", "resolved_by": how})


def _key(letter: Letter) -> tuple[str, str, int | None, str]:
    return letter.topic, letter.payload, letter.line, letter.reason
