"""What is noted in the log of stores that lack something, and of the log's own healing: read without any engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from carbon254.stores.log import Log

from .marking import HOT, LAKE, LEDGER, QUALITY, REFERENCE

_SCOPE, _STORES, _HEALED = "lost", "stores", "healed"
COMMANDS = {HOT: "hot", LAKE: "lake", LEDGER: "ledger", QUALITY: "quality", REFERENCE: "reference"}
_FILES = {HOT: "hot", LAKE: "lake", LEDGER: "ledger.db", QUALITY: "quality.db", REFERENCE: "reference.db"}
MEND = "; make it again: "


def sentence(store: str, what: str) -> str:
    """What a store lacks, and the command that makes it again."""
    return f"the {store} {what}{MEND}c254 rebuild {COMMANDS[store]}"


def noted_lost(log: Log) -> dict[str, str]:
    """What was found lost when the workspace was last opened, and is not mended yet, by store."""
    kept = log.get_state(_SCOPE, _STORES)
    return json.loads(kept) if kept else {}


def note_all(log: Log, found: Mapping[str, str]) -> None:
    """Note what every store lacks, instead of what was noted before."""
    with log.transaction() as txn:
        txn.put_state(_SCOPE, _STORES, json.dumps(found).encode())


def note_lost(log: Log, store: str, what: str) -> None:
    """Note that a store lacks something, until it is made again."""
    note_all(log, noted_lost(log) | {store: sentence(store, what)})


def note_made_again(log: Log, store: str) -> None:
    """A store was made again: nothing is said of it any more."""
    found = noted_lost(log)
    if found.pop(store, None) is not None:
        note_all(log, found)


def missing_files(root: Path) -> dict[str, str]:
    """Stores in a workspace's folder whose files are not there at all."""
    gone = (store for store, name in _FILES.items() if not (root / name).exists())
    return {store: sentence(store, f"is gone: there is no {_FILES[store]}") for store in gone}


def note_healed(log: Log, told: str) -> None:
    """Note when the log was healed, why and how."""
    with log.transaction() as txn:
        txn.put_state(_SCOPE, _HEALED, told.encode())


def last_healed(log: Log) -> str:
    """When the log was last healed, why and how; empty where it never was."""
    return (log.get_state(_SCOPE, _HEALED) or b"").decode()
