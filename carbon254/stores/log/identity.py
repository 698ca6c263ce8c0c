"""Which log this is: a name made with the log and kept in it, so that another log in its place is seen.

Offsets are positions in one log and mean nothing in another. Whoever keeps an offset keeps the log's identity beside
it. A log that was restored from an older copy gives offsets again that it gave before: it is named anew then.
"""

from __future__ import annotations

import uuid

from .port import Log

_SCOPE, _KEY = "log", "identity"


def identity_of(log: Log) -> str:
    """The log's identity; made and kept where it has none yet. It changes with `renew` only."""
    kept = log.get_state(_SCOPE, _KEY)
    if kept:
        return kept.decode()
    with log.transaction() as txn:
        # Two processes that open a new log name it once.
        kept = txn.get_state(_SCOPE, _KEY)
        if not kept:
            kept = uuid.uuid4().hex.encode()
            txn.put_state(_SCOPE, _KEY, kept)
    return kept.decode()


def renew(log: Log) -> str:
    """Give the log another identity, because offsets it gave before are given again; returns the new one."""
    fresh = uuid.uuid4().hex
    with log.transaction() as txn:
        txn.put_state(_SCOPE, _KEY, fresh.encode())
    return fresh
