"""One file in place of many: read, sorted, written, read back and compared. Nothing is committed here.

What was written and never committed belongs to no snapshot: a death here leaves files that nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table

from carbon254.errors import CorruptPayload
from carbon254.faults import reach
from carbon254.model import Dataset

from .layout import ordered
from .seals import digest
from .survey import Held
from .tiers import Partition, Tier
from .writing import write_file

SealOf = Callable[[str], str]
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """Files of one partition that make one file together."""

    partition: Partition
    tier: Tier
    files: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A plan carried out and not yet committed: `new` stands for `old` as they were with those `deletes`."""

    plan: Plan
    old: tuple[DataFile, ...]
    deletes: frozenset[str]
    new: tuple[DataFile, ...]

    def still_holds(self, tasks: Mapping[str, FileScanTask]) -> bool:
        """Whether all that was read is still what the table has."""
        found = [tasks.get(file.file_path) for file in self.old]
        return all(found) and _deletes([task for task in found if task]) == self.deletes


def tasks_of(table: Table, dataset: Dataset, partition: Partition) -> dict[str, FileScanTask]:
    """What reading a partition touches now, by the path of the data file."""
    tasks = table.scan(partition.rows_of(dataset)).plan_files()
    return {task.file.file_path: task for task in tasks}


def rewritten(table: Table, dataset: Dataset, plan: Plan, seal_of: SealOf) -> Rewrite | None:
    """One sorted file with the rows of the plan's; None where another writer took some of them away.

    Raises CorruptPayload where a file is not as it was committed: merging it would seal the harm.
    """
    tasks = tasks_of(table, dataset, plan.partition)
    mine = [tasks[file.path] for file in plan.files if file.path in tasks]
    if len(mine) < len(plan.files):
        return None
    for task in mine:
        kept = seal_of(task.file.file_path)
        if kept and digest(table.io, task.file.file_path) != kept:
            name = task.file.file_path.rsplit("/", 1)[-1]
            raise CorruptPayload(f"{dataset.name} {plan.partition.name}: {name} is not as it was committed")
    rows = ordered(_read(table, dataset, mine), dataset)
    reach("upkeep.read")
    new = (write_file(table, rows, [plan.partition.value], plan.tier.level),) if rows.num_rows else ()
    reach("upkeep.written")
    for file in new:
        _refuse_difference(table, dataset, rows, file)
    return Rewrite(plan, tuple(task.file for task in mine), _deletes(mine), new)


def _deletes(tasks: Sequence[FileScanTask]) -> frozenset[str]:
    return frozenset(one.file_path for task in tasks for one in task.delete_files)


def _read(table: Table, dataset: Dataset, tasks: Sequence[FileScanTask]) -> pa.Table:
    """Rows of the files; texts that repeat are held once, so that many rows fit."""
    scan = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
    repeating = {column.name for column in dataset.columns if column.type == "category"}
    parts = []
    for start in range(0, len(tasks), _AT_ONCE):
        # The library gives text in whichever of Arrow's two types a file happened to have.
        part = scan.to_table(tasks[start : start + _AT_ONCE]).cast(table.schema().as_arrow())
        columns = [part[name].dictionary_encode() if name in repeating else part[name] for name in part.column_names]
        parts.append(pa.table(columns, names=part.column_names))
    return pa.concat_tables(parts).unify_dictionaries()


def _refuse_difference(table: Table, dataset: Dataset, rows: pa.Table, file: DataFile) -> None:
    """Raises CorruptPayload where the file does not hold exactly these rows in this order."""
    back = _read(table, dataset, [FileScanTask(file)])
    if not pl.DataFrame(back).equals(pl.DataFrame(rows)):
        table.io.delete(file.file_path)
        raise CorruptPayload(f"{dataset.name}: {file.file_path.rsplit('/', 1)[-1]} does not hold what was written")
