"""Upkeep of the lake: small files merged, old snapshots forgotten; every new file gets its seal.

A node does it by itself once a day, a bounded group of partitions a step, beside everything else. `c254 lake …` does
the same when it is asked to, also beside a running node. Rows are never removed, whatever their age.
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

_SCOPE, _BEGAN = "upkeep:lake", "began"
_LOOK_S = 60.0


def compacted(
    log: Log, lake: Lake, dataset: str, now: datetime, older_than: timedelta | None = None
) -> Iterator[Compacted]:
    """Merge a dataset's small files; what is told of is committed, and its files are sealed."""
    # What an earlier run left without seals when it died gets them now.
    keep_seals(log, lake, dataset)
    for done in lake.compact(dataset, now, older_than, seal_of(log, dataset)):
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
    """The daily upkeep of a node. Nodes that share a log take turns: who begins writes it there."""

    def __init__(self, log: Log, lake: Lake, clock: Clock, every: timedelta, keep: timedelta) -> None:
        self._log, self._lake, self._clock, self._every, self._keep = log, lake, clock, every, keep
        self._next_s = 0.0
        self._work: Iterator[object] | None = None

    def step(self) -> int:
        """Go on with what is due: a group of partitions, or a table's snapshots. 0 when nothing is."""
        if self._work is None:
            if not self._due():
                return 0
            self._work = self.everything()
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
        now, journal = self._clock.now(), structlog.get_logger()
        for name in catalogue():
            before = after = 0
            for done in compacted(self._log, self._lake, name, now):
                before, after = before + done.files_before, after + done.files_after
                if done.why:
                    journal.warning("the lake's files were left as they are", table=name, why=done.why)
                yield done
            gone = expired(self._log, self._lake, name, now - self._keep)
            if before or gone.snapshots:
                journal.info("lake upkeep", table=name, files=before, into=after, snapshots_gone=gone.snapshots)
            yield gone

    def _due(self) -> bool:
        """Whether the last time is long enough ago; a new workspace has nothing to keep up yet."""
        if not self._every or self._clock.monotonic() < self._next_s:
            return False
        self._next_s = self._clock.monotonic() + _LOOK_S
        now, began = self._clock.now(), self._log.get_state(_SCOPE, _BEGAN)
        if began is not None and now - datetime.fromisoformat(began.decode()) < self._every:
            return False
        with self._log.transaction() as txn:
            # Another node may have begun since: the log lets one of them through.
            if txn.get_state(_SCOPE, _BEGAN) != began:
                return False
            txn.put_state(_SCOPE, _BEGAN, now.isoformat().encode())
        return began is not None
