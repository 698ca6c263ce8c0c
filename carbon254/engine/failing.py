"""Whose fault is an error: a payload's, which becomes a dead letter, or a store's, which is tried again?"""

from __future__ import annotations

import traceback
from pathlib import Path

from carbon254.disk import disk_trouble
from carbon254.errors import Carbon254Error, CorruptRecord, SettingsError, TransientError, WorkspaceError

# Libraries of stores and networks: what they raise is never about the bytes of a payload.
_STORES = ("apsw", "sqlite3", "sqlalchemy", "psycopg", "clickhouse_connect", "chdb", "confluent_kafka", "redis")


def is_of_the_payload(error: Exception) -> bool:
    """Whether reading the same payload again would fail again, and reading another would not."""
    if isinstance(error, Carbon254Error):
        return not isinstance(error, TransientError | WorkspaceError | CorruptRecord | SettingsError)
    return type(error).__module__.split(".")[0] not in _STORES and disk_trouble(error, "") is None


def told(error: BaseException) -> str:
    """Type, message and last frame, for a dead letter."""
    words = " ".join(str(error).split())[:500]
    where = ""
    for frame in traceback.extract_tb(error.__traceback__)[-1:]:
        where = f" ({'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} in {frame.name})"
    return f"{type(error).__name__}{f': {words}' if words else ''}{where}"
