"""Commits of SQLite that outlive a power cut, whatever the disk refuses in between.

SQLite syncs what it writes, with three gaps. The removal of its journal is not synced, so that a cut could undo a
commit. A failed sync of the folder in which it made the journal goes unsaid. And where the last sync of a commit
fails, the commit is told as failed but is there to be read: who tries again finds it done, and acknowledges what the
disk never kept.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event


def lasting_commits(engine: sa.Engine) -> None:
    """Every commit of this SQLite engine is on disk when it returns. Call it before the engine's other listeners."""
    unsure: set[str] = set()

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, _record: object) -> None:
        # The journal stays, cut to nothing: a commit syncs a file, and no folder that could fail unsaid.
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = EXTRA")

    @event.listens_for(engine, "handle_error")
    def _doubt(_context: object) -> None:
        unsure.add("the last commit")

    @event.listens_for(engine, "begin")
    def _settle_doubts(db: sa.Connection) -> None:
        # A commit of its own that writes: once it is on disk, so is everything before it.
        if unsure:
            version = db.exec_driver_sql("PRAGMA user_version").scalar()
            db.exec_driver_sql(f"PRAGMA user_version = {version}")
            unsure.clear()
