"""The commit that swaps files for others with the same rows: a snapshot of the kind `replace`.

The library commits swaps as `overwrite`, which tells streaming readers (Spark, Flink) that rows changed, and makes them
stop. By the specification `replace` is "files were added and removed without changing table data", and they pass it by.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyiceberg.io import FileIO
from pyiceberg.table import Transaction
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.table.update.snapshot import _OverwriteFiles


class Replacing(_OverwriteFiles):
    """Give it the files that leave and those that come. It is staged in its transaction when the block ends."""

    def __init__(self, change: Transaction, io: FileIO) -> None:
        super().__init__(operation=Operation.OVERWRITE, transaction=change, io=io)

    def _summary(self, snapshot_properties: Mapping[str, str] | None = None) -> Summary:
        # The library counts totals for the kinds it knows; these are the same for this one.
        found = super()._summary(dict(snapshot_properties or {}))
        return Summary(operation=Operation.REPLACE, **found.additional_properties)
