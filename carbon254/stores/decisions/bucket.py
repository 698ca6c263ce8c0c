"""The journal of decisions on S3: an object a decision, beside the raw payloads, named so that names sort by time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC

from carbon254.stores.raw.bucket import Bucket

from .port import Decision, line, read

_FOLDER = "decisions"


class BucketJournal:
    """See `port.Journal`. Raises TransientError where the service does not answer."""

    def __init__(self, url: str, endpoint: str = "") -> None:
        self._bucket = Bucket(f"{url.rstrip('/')}/{_FOLDER}", endpoint)

    def write(self, decision: Decision) -> None:
        """Write a decision down; stored when this returns."""
        stamp = decision.at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        self._bucket.put(f"{stamp}-{decision.kind}-{decision.id[:16]}.json", line(decision))

    def every(self) -> list[Decision]:
        """Every decision, first first. Raises CorruptRecord where one was damaged."""
        found = ((name, self._bucket.get(name)) for name in sorted(self._bucket.names()))
        return [read(told[0], self._bucket.shown(name)) for name, told in found if told is not None]

    def count(self, kinds: Collection[str]) -> int:
        """How many decisions of these kinds there are."""
        return sum(name.split("-")[1] in kinds for name in self._bucket.names())
