"""A batch of rows and the offset it was read up to, in one commit.

The offset is a table property, set in the transaction that adds the rows: either both are there or none is, and it
outlives the expiry of snapshots. On the ordinary path nothing is looked up; see `positions` for when it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import AlwaysFalse
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.update import AssertRefSnapshotId, SetPropertiesUpdate

from carbon254.faults import reach
from carbon254.model import Dataset

from .positions import (
    READING,
    Again,
    Following,
    Position,
    arrival_column,
    batches_read,
    position_in,
    properties_of,
    reading_kept,
)
from .standing import batches_of, missing, replaced
from .writing import write_batch


@dataclass(frozen=True)
class Appending:
    """What is to be stored, and what was known when it was chosen."""

    dataset: Dataset
    rows: pa.Table
    offset: int | None
    since: int | Position | None
    following: Following | None
    again: Again | None

    def commit(self, table: Table) -> int:
        """Store it, unless it was stored already or another writer was first; gives the rows stored.

        Raises CommitFailedException where another writer came in between; then nothing was stored.
        """
        stands = position_in(table, self.dataset, self.following)
        if (self.offset is not None and self.offset <= stands.offset) or self._came_between(stands):
            return 0
        rows = shaped(self.rows, self.dataset)
        read = self._read(table, rows)
        change = table.transaction()
        if self.offset is not None:
            self._note(change, table, replace(stands, offset=self.offset), read)
        if read:
            take_away(change, replaced(table, self.dataset, rows, frozenset().union(*read.values())))
        if self._doubtful(rows, stands):
            rows = missing(table, self.dataset, rows, replaces=bool(read))
        files = write_batch(table, self.dataset, rows)
        add_files(change, files)
        if self.offset is not None:
            reach("lake.written")
        try:
            reach("lake.committing")
            change.commit_transaction()
        except CommitFailedException:
            for file in files:
                table.io.delete(file.file_path)
            raise
        return rows.num_rows

    def _came_between(self, stands: Position) -> bool:
        if self.since is None:
            return False
        return self.since != (stands if isinstance(self.since, Position) else stands.offset)

    def _doubtful(self, rows: pa.Table, stands: Position) -> bool:
        """Whether some of the rows may stand already."""
        if self.again is not None:
            return True
        if stands.doubt is None or not rows.num_rows:
            return False
        name = arrival_column(self.dataset)
        first: datetime | None = pc.min(rows[name]).as_py() if name else None
        return first is None or first <= stands.doubt

    def _note(self, change: Transaction, table: Table, position: Position, read: Mapping[str, frozenset[str]]) -> None:
        """The position, on the condition that nobody else added rows: these would be passed over, or come twice."""
        told = properties_of(position)
        if read:
            last = next(reversed(read))
            told |= reading_kept(last, read[last])
        elif READING in table.properties:
            change.remove_properties(READING)
        snapshot = table.current_snapshot()
        stood = AssertRefSnapshotId(snapshot_id=snapshot.snapshot_id if snapshot else None, ref=MAIN_BRANCH)
        change._apply((SetPropertiesUpdate(updates=told),), (stood,))

    def _read(self, table: Table, rows: pa.Table) -> dict[str, frozenset[str]]:
        """Where rows replace others: the batches of each arrival's reading, as far as it came; none else.

        A long payload is stored part by part: what an earlier commit brought of the same reading belongs to it.
        """
        if self.again is None or not self.again.replaces or "batch_id" not in rows.column_names:
            return {}
        read = batches_of(rows, self.dataset, self.again.reading)
        for reading, batches in read.items():
            kept = batches_read(table.properties, reading)
            # The same batch once more is the beginning of another reading.
            read[reading] = batches if kept & batches else batches | kept
        return read


def shaped(rows: pa.Table, dataset: Dataset) -> pa.Table:
    """The dataset's columns in their order. Raises ValueError naming those that are not there."""
    lacking = [name for name in dataset.names if name not in rows.column_names]
    if lacking:
        raise ValueError(f"{dataset.name}: the table lacks {', '.join(lacking)}; shape it with model.arrow.conform")
    return rows.select(dataset.names)


def add_files(change: Transaction, files: Sequence[DataFile]) -> None:
    """Files come in: by the table's own setting, their manifest is put beside the others, or many are merged."""
    if files:
        with change._append_snapshot_producer({}) as producer:
            for file in files:
                producer.append_data_file(file)


def take_away(change: Transaction, gone: object) -> None:
    """Rows go out, by a filter; nothing to take away is no news."""
    if gone == AlwaysFalse():
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Delete operation did not match any records")
        change.delete(gone)  # pyright: ignore[reportArgumentType]
