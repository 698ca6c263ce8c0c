"""Many small files of a partition become few sorted ones, and no row is lost or doubled, whoever writes meanwhile.

A few partitions are rewritten, then committed together: the old files leave and the new ones come in one snapshot. The
commit decides. Where another writer was first, what was rewritten still stands if its old files are all there, and is
committed again on top; otherwise it is thrown away and that partition waits for the next turn. Neither the table's
offset nor any other property is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from carbon254.errors import CorruptPayload
from carbon254.faults import reach
from carbon254.model import Dataset

from .replacing import Replacing
from .rewriting import Plan, Rewrite, SealOf, rewritten, tasks_of
from .survey import survey
from .tiers import MOST_ROWS, Partition, bins
from .trying import looking_again

_TOGETHER = 8  # partitions a commit, and no more rows than one file may have


@dataclass(frozen=True, slots=True)
class Compacted:
    """What became of a partition; `why` says what kept it from being merged."""

    table: str
    partition: str
    tier: str
    rows: int = 0
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    why: str = ""


def plans(table: Table, dataset: Dataset, now: datetime, older_than: timedelta | None, at_least: int = 0) -> list[Plan]:
    """What is worth merging, oldest partition first.

    `older_than` leaves younger partitions alone, `at_least` those that have fewer small files, whatever their tier.
    """
    found = []
    for partition, files in survey(table, dataset).items():
        if older_than is not None and partition.age(now) < older_than:
            continue
        tier = partition.tier(now)
        small = [file for file in files if tier.is_small(file.size, file.rows)]
        if len(small) >= max(tier.at_least, at_least):
            for bin_ in bins([(file.size, file.rows) for file in small], tier):
                found.append(Plan(partition, tier, tuple(small[place] for place in bin_)))
    return found


def _groups(todo: Sequence[Plan]) -> Iterator[list[Plan]]:
    group, rows = list[Plan](), 0
    for plan in todo:
        more = sum(file.rows for file in plan.files)
        if group and (len(group) == _TOGETHER or rows + more > MOST_ROWS):
            yield group
            group, rows = [], 0
        group.append(plan)
        rows += more
    if group:
        yield group


@dataclass
class Compaction:
    """Merges one dataset's files. `table` looks at it anew; `alone` is held while a commit is tried."""

    dataset: Dataset
    table: Callable[[], Table]
    alone: Callable[[], AbstractContextManager[object]]
    seal_of: SealOf
    now: datetime
    older_than: timedelta | None = None
    at_least: int = 0
    _harmed: set[Partition] = field(default_factory=set)

    def steps(self) -> Iterator[Compacted]:
        """Merge until nothing is left that is worth it; each group is committed before it is told of."""
        while todo := self._left():
            gone_on = False
            for group in _groups(todo):
                for done in self._carried(group):
                    gone_on = gone_on or not done.why
                    yield done
            if not gone_on:
                return

    def _left(self) -> list[Plan]:
        found = plans(self.table(), self.dataset, self.now, self.older_than, self.at_least)
        return [plan for plan in found if plan.partition not in self._harmed]

    def _carried(self, group: Sequence[Plan]) -> Iterator[Compacted]:
        table, done = self.table(), list[Rewrite]()
        for plan in group:
            if plan.partition in self._harmed:
                continue
            try:
                rewrite = rewritten(table, self.dataset, plan, self.seal_of)
            except CorruptPayload as error:
                self._harmed.add(plan.partition)
                yield Compacted(self.dataset.name, plan.partition.name, plan.tier.name, why=str(error))
                continue
            if rewrite is not None:
                done.append(rewrite)
        for rewrite in self._committed(table, done):
            yield self._told(rewrite)

    def _committed(self, table: Table, rewrites: list[Rewrite]) -> list[Rewrite]:
        """Those that are in the table now."""
        seen, left = table, rewrites

        def turn() -> list[Rewrite]:
            nonlocal seen, left
            with self.alone():
                before, seen = seen, self.table()
                if seen.metadata.current_snapshot_id != before.metadata.current_snapshot_id:
                    left = self._standing(seen, left)
                if left:
                    self._commit(seen, left)
                return left

        return looking_again(self.dataset.name, turn)

    def _commit(self, table: Table, rewrites: Sequence[Rewrite]) -> None:
        """Swap the files. Raises CommitFailedException where another commit came first; then nothing was swapped."""
        change = table.transaction()
        with Replacing(change, table.io) as replacing:
            for rewrite in rewrites:
                for file in rewrite.old:
                    replacing.delete_data_file(file)
                for file in rewrite.new:
                    replacing.append_data_file(file)
        reach("upkeep.committing")
        try:
            change.commit_transaction()
        except CommitFailedException:
            raise
        except Exception:
            # Nobody said whether it landed: the table does.
            if self.table().snapshot_by_id(replacing.snapshot_id) is None:
                raise
        reach("upkeep.committed")

    def _standing(self, table: Table, rewrites: Sequence[Rewrite]) -> list[Rewrite]:
        """Those whose files are all still there; what was written for the others goes."""
        kept = []
        for rewrite in rewrites:
            if rewrite.still_holds(tasks_of(table, self.dataset, rewrite.plan.partition)):
                kept.append(rewrite)
            else:
                for file in rewrite.new:
                    table.io.delete(file.file_path)
        return kept

    def _told(self, rewrite: Rewrite) -> Compacted:
        return Compacted(
            table=self.dataset.name,
            partition=rewrite.plan.partition.name,
            tier=rewrite.plan.tier.name,
            rows=sum(file.record_count for file in rewrite.new),
            files_before=len(rewrite.old),
            files_after=len(rewrite.new),
            bytes_before=sum(file.file_size_in_bytes for file in rewrite.old),
            bytes_after=sum(file.file_size_in_bytes for file in rewrite.new),
        )
