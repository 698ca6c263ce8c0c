"""Upkeep of the lake: small files merged, old snapshots forgotten; every new file gets its seal.

A node does it by itself once a day, a bounded group of partitions a step, beside everything else; where many small
files came together, as in the partitions of yesterday and today, it merges them every hour. `c254 lake …` does the same
when it is asked to, also beside a running node. Rows are never removed, whatever their age.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import structlog

from carbon254.clock import Clock
from carbon254.faults import reach
from carbon254.model import catalogue
from carbon254.stores.lake import Compacted, Expired, Lake
from carbon254.stores.log import Log

from .lakekeeper import keep_seals, seal_of

_SCOPE, _BEGAN, _MERGED = "upkeep:lake", "began", "merged"
# A busy table gets a file a minute and partition, a quiet one four an hour.
_OFTEN, _MANY = timedelta(hours=1), 8
_LOOK_S = 60.0


def compacted(
    log: Log, lake: Lake, dataset: str, now: datetime, older_than: timedelta | None = None, at_least: int = 0
) -> Iterator[Compacted]:
    """Merge a dataset's small files; what is told of is committed, and its files are sealed."""
    # What an earlier run left without seals when it died gets them now.
    keep_seals(log, lake, dataset)
    for done in lake.compact(dataset, now, older_than, seal_of(log, dataset), at_least):
        keep_seals(log, lake, dataset)
        reach("upkeep.sealed")
        yield done


def expired(
    log: Log, lake: Lake, dataset: str, before: datetime, advance: Callable[[int, int], None] | None = None
) -> Expired:
    """Forget a dataset's snapshots from before an instant; its new metadata is sealed."""
    found = lake.expire(dataset, before, advance)
    keep_seals(log, lake, dataset)
    return found


class Upkeep:
    """The upkeep of a node, every day and every hour. Nodes that share a log take turns: who begins writes it there."""

    def __init__(self, log: Log, lake: Lake, clock: Clock, every: timedelta, keep: timedelta) -> None:
        self._log, self._lake, self._clock, self._every, self._keep = log, lake, clock, every, keep
        self._next_s = 0.0
        self._work: Iterator[object] | None = None

    def step(self) -> int:
        """Go on with what is due: a group of partitions, or a table's snapshots. 0 when nothing is."""
        if self._work is None:
            self._work = self._due()
            if self._work is None:
                return 0
        try:
            next(self._work)
        except BaseException as error:
            self._work = None
            if isinstance(error, StopIteration):
                return 0
            raise
        return 1

    def everything(self) -> Iterator[object]:
        """All of it, by steps."""
        for name in catalogue():
            yield from self._merging(name)
            gone = expired(self._log, self._lake, name, self._clock.now() - self._keep)
            if gone.snapshots:
                structlog.get_logger().info("lake upkeep", table=name, snapshots_gone=gone.snapshots)
            yield gone

    def merging(self) -> Iterator[object]:
        """Only what has many small files, by steps."""
        for name in catalogue():
            yield from self._merging(name, _MANY)

    def _merging(self, name: str, at_least: int = 0) -> Iterator[Compacted]:
        journal, before, after = structlog.get_logger(), 0, 0
        for done in compacted(self._log, self._lake, name, self._clock.now(), None, at_least):
            before, after = before + done.files_before, after + done.files_after
            if done.why:
                journal.warning("the lake's files were left as they are", table=name, why=done.why)
            yield done
        if before:
            journal.info("lake upkeep", table=name, files=before, into=after)

    def _due(self) -> Iterator[object] | None:
        """What is due now, if anything is; a new workspace has nothing to keep up yet."""
        if not self._every or self._clock.monotonic() < self._next_s:
            return None
        self._next_s = self._clock.monotonic() + _LOOK_S
        if self._begun(_BEGAN, self._every):
            return self.everything()
        return self.merging() if self._begun(_MERGED, min(_OFTEN, self._every)) else None

    def _begun(self, name: str, every: timedelta) -> bool:
        """Whether the last time is long enough ago, and no other node was first."""
        now, began = self._clock.now(), self._log.get_state(_SCOPE, name)
        if began is not None and now - datetime.fromisoformat(began.decode()) < every:
            return False
        with self._log.transaction() as txn:
            # Another node may have begun since: the log lets one of them through.
            if txn.get_state(_SCOPE, name) != began:
                return False
            txn.put_state(_SCOPE, name, now.isoformat().encode())
        return began is not None
