"""Waiting for the node that runs a workspace to carry what a command put into the shared log beside it.

Waited for is what the command put there and what came of it, and nothing else: a node that polls is never at rest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx2 as httpx

from carbon254.errors import TransientError
from carbon254.model.arrival import arrival_in
from carbon254.stores.log import Log, records_of
from carbon254.workspace import Workspace

CONSUMERS = {"normalise": "raw.", "project": "rows.", "lake": "rows."}
# Behind the normaliser: what carries a payload's rows, and what counts its records.
_AFTER = (("project", "held."), ("project", "rows."), ("project", "counts."), ("lake", "rows."))
_STEP_S = 0.2
_ASK_AFTER_S = 10.0
_PATIENCE_S = 300.0
_KEPT = "what was taken in is kept, and is carried"


@dataclass
class _Queue:
    """One feed's payloads on their way (arrival → raw record); `made` is the last record that came of them."""

    feed: str
    payloads: Mapping[str, int]
    made: int = 0
    waits: list[tuple[str, str]] = field(default_factory=lambda: list(_AFTER))

    def left(self, log: Log) -> dict[str, int]:
        """Consumer → the first record it has yet to carry of this feed, of those that carry ours still."""
        raw = f"raw.{self.feed}"
        if not self.made:
            first = _first(log, "normalise", raw, max(self.payloads.values()))
            if first:
                return {"normalise": first}
            self.made = _made(log, self.feed, self.payloads)
        pending = {}
        for consumer, prefix in tuple(self.waits):
            first = _first(log, consumer, f"{prefix}{self.feed}", self.made)
            if first:
                pending[consumer] = first
            else:
                self.waits.remove((consumer, prefix))
        return pending


def wait_until_carried(workspace: Workspace, log: Log, payloads: Mapping[str, Mapping[str, int]]) -> None:
    """Return when these payloads (feed → arrival → offset of its raw record) are carried to every store.

    Raises TransientError when the node has stopped, is in trouble, or moves none of it for minutes: never waits for
    ever, and never for anything else.
    """
    queues = [_Queue(feed, offsets) for feed, offsets in payloads.items() if offsets]
    left, moved, asked = _left(log, queues), time.monotonic(), 0.0
    while left:
        time.sleep(_STEP_S)
        before, left = left, _left(log, queues)
        now = time.monotonic()
        if left != before:
            moved = now
        elif now - moved > _PATIENCE_S:
            behind = ", ".join(dict.fromkeys(name for name, _ in left))
            raise TransientError(f"the running node does not carry {behind}; {_KEPT} later. See: c254 logs")
        elif now - max(moved, asked) > _ASK_AFTER_S:
            asked = now
            _refuse_trouble(workspace)


def _left(log: Log, queues: Sequence[_Queue]) -> dict[tuple[str, str], int]:
    return {(name, queue.feed): first for queue in queues for name, first in queue.left(log).items()}


def _first(log: Log, consumer: str, topic: str, last: int) -> int:
    """The first record of a topic that the consumer has yet to carry, where it is not beyond `last`; else 0."""
    pending = log.read(consumer, topic, 1)
    return pending[0].offset if pending and pending[0].offset <= last else 0


def _made(log: Log, feed: str, payloads: Mapping[str, int]) -> int:
    """The last record that came of the payloads: the counts of each come behind its rows."""
    first, last = min(payloads.values()), max(payloads.values())
    made = [one.offset for one in records_of(log, f"counts.{feed}", first) if arrival_in(one.headers) in payloads]
    return max(made, default=last)


def _refuse_trouble(workspace: Workspace) -> None:
    running = workspace.running()
    if running is None:
        raise TransientError(f"the node that ran the workspace has stopped; {_KEPT} when one starts: c254 up")
    reasons = _reasons(running.url)
    if reasons:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise TransientError(f"the running node is in trouble ({told}); {_KEPT} once that is mended. See: c254 logs")


def _reasons(url: str) -> Mapping[str, str]:
    """Why the node is not ready; empty when it is, or is too busy to say."""
    try:
        return httpx.get(f"{url}/ready", timeout=5.0, trust_env=False).json().get("reasons", {})
    except (httpx.HTTPError, ValueError):
        return {}
