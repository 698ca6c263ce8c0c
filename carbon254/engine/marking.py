"""How far stores have come in the log: marks as they are written into stores, and what the log knows of them.

A store's mark is written before the log is told of it, so that a store which stands behind what the log knows was lost,
emptied or replaced by an older copy; and a store that stands beyond the log's end was filled from another log, or from
this one before an older copy of it was restored.
"""

from __future__ import annotations

from dataclasses import dataclass

from carbon254.stores.log import Log
from carbon254.stores.marks import Mark

HOT, LEDGER, LAKE, QUALITY, REFERENCE, LOG = "hot store", "ledger", "lake", "quality", "reference", "log"
_SCOPE = "marks"


@dataclass(frozen=True, slots=True)
class Marker:
    """Marks of one workspace in one log."""

    workspace: str
    log: str

    def at(self, offset: int) -> Mark:
        """The mark of a store that holds every record up to an offset."""
        return Mark(self.workspace, self.log, offset)

    def of(self, marks: list[Mark]) -> int:
        """The highest offset among marks that are of this log; whichever workspace brought it there."""
        return max((mark.offset for mark in marks if mark.log == self.log), default=0)


def kept_offset(log: Log, store: str) -> int:
    """How far a store had come when the log was last told."""
    return int(log.get_state(_SCOPE, store) or b"0")


def keep_offset(log: Log, store: str, offset: int) -> None:
    """Tell the log how far a store has come."""
    with log.transaction() as txn:
        txn.put_state(_SCOPE, store, str(offset).encode())
