"""Old snapshots go, with the files that only they name. Rows never go: what stands now is in the snapshot that stays.

First the table forgets its snapshots, in commits, then the files are removed that no remaining snapshot names. A death
in between leaves files that nobody can read: `orphans` finds them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from carbon254.faults import reach

from .reaching import Advance, everything, reached
from .sweeping import path_in, remove
from .trying import looking_again

# The library and catalogs look each of them up in the list of all.
_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Expired:
    """What one table forgot."""

    table: str
    snapshots: int = 0
    kept: int = 0
    files: int = 0
    bytes: int = 0


def expirable(table: Table, before: datetime) -> list[Snapshot]:
    """Snapshots made before an instant that no branch and no tag stands on; oldest first. The current one never."""
    kept = {ref.snapshot_id for ref in table.metadata.refs.values()} | {table.metadata.current_snapshot_id}
    moment = int(before.timestamp() * 1000)
    old = [one for one in table.metadata.snapshots if one.timestamp_ms < moment and one.snapshot_id not in kept]
    return sorted(old, key=lambda one: one.timestamp_ms)


@dataclass
class Expiry:
    """Makes one table forget. `table` looks at it anew; `alone` is held while a commit is tried."""

    name: str
    table: Callable[[], Table]
    alone: Callable[[], AbstractContextManager[object]]
    before: datetime

    def run(self, advance: Advance | None = None) -> Expired:
        """Forget snapshots from before the instant; gives what that came to."""
        table = self.table()
        old = expirable(table, self.before)
        if not old:
            return Expired(self.name, kept=len(table.metadata.snapshots))
        named = reached(table.io, old, advance)
        for start in range(0, len(old), _TOGETHER):
            # By their time and not one by one: the library copies the table's whole metadata for each that is named.
            self._forget(old[start : start + _TOGETHER][-1].timestamp_ms + 1)
        table = self.table()
        # By the file, not by how it is named: one that moved with its folder may have two names.
        stays = {path_in(table.io, location) for location in everything(table)}
        gone = [location for location in named if path_in(table.io, location) not in stays]
        files, size = remove(table.io, gone)
        reach("upkeep.expired")
        return Expired(self.name, len(old), len(table.metadata.snapshots), files, size)

    def _forget(self, before_ms: int) -> None:
        before = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=before_ms)

        def turn() -> None:
            with self.alone():
                table = self.table()
                if expirable(table, before):
                    reach("upkeep.expiring")
                    table.maintenance.expire_snapshots().older_than(before).commit()
                    reach("upkeep.forgotten")

        looking_again(self.name, turn)
