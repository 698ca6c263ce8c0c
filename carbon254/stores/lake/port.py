"""What the lake promises: appends that may be repeated, and scans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Protocol

import pyarrow as pa


class LakeStore(Protocol):
    """One table a dataset, partitioned by day (by year for datasets by date)."""

    def append(
        self, batches: Mapping[str, pa.Table], offsets: Mapping[str, int], beyond: Mapping[str, int] | None = None
    ) -> int:
        """One commit a dataset, with the log offset consumed in the same commit; gives the rows stored.

        A dataset whose stored offset is not below the one given is skipped: that commit was done before a crash. So is
        one that stands elsewhere than at `beyond`, where the rows were chosen as what lies beyond it: another writer
        was first, and has some of them. A dataset without an offset is always appended.
        """
        ...

    def offset(self, dataset: str) -> int:
        """The last log offset a dataset holds; 0 where none."""
        ...

    def replace_span(
        self,
        dataset: str,
        feed: str,
        start: datetime,
        end: datetime,
        table: pa.Table | None,
        fence: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Swap a feed's rows of [start, end) (partition column, UTC) for `table` in one commit, made in a block of
        `fence`."""
        ...

    def scan(self, dataset: str, row_filter: str | None = None, columns: Sequence[str] = ()) -> pa.Table:
        """Rows that pass an Iceberg filter such as `market = 'SPP'`; all columns where none are named."""
        ...

    def count(self, dataset: str) -> int:
        """Rows held, from the table's metadata."""
        ...

    def close(self) -> None:
        """Let go of the catalog."""
        ...
