"""The condition of a workspace's stores when it is opened: what was healed, what is lost, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from carbon254.identity import Origin
from carbon254.stores.log import Log, renew
from carbon254.stores.raw import RawArchive

from .deciding import decide_again
from .lost import Watched, find_lost, keep_marks
from .marking import HOT, LEDGER, LOG, Marker
from .noted import note_healed
from .younger import Progress, Reread, take_again, tell, why_younger

_SCOPE, _MARKED = "marks", "kept"
_ORIGINS = {"copied": "the workspace is a copy of another", "moved": "the workspace was moved or restored"}


@dataclass(frozen=True)
class Condition:
    """`lost` are stores that lack something, each with the command that mends it; `notes` is what was healed."""

    stores: Watched
    lost: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def examine(stores: Watched, raw: RawArchive, origin: Origin, now: datetime) -> Condition:
    """Compare every store with the log: take in again what the log lacks, and tell which stores lack something.

    Costs a few rows of each store where nothing is wrong. A workspace that was copied or moved is looked through by
    arrival once, for what a copy or a backup left out is not told by any mark.
    """
    log, marks = stores.log, {HOT: stores.hot.marks(), LEDGER: stores.ledger.marks()}
    marked = log.get_state(_SCOPE, _MARKED) is not None
    if not marked and not any(marks.values()):
        # A new workspace, or one from before stores were marked.
        keep_marks(stores)
        _put(log, _MARKED, "1")
        return Condition(stores, find_lost(stores))
    why, lost = why_younger(log, stores.marker, marks), find_lost(stores)
    if not why and origin in ("new", "same"):
        return Condition(stores, lost)
    stores, reread = heal(stores, raw, lost)
    notes = {}
    if why or reread.arrivals:
        why = why or _ORIGINS[origin]
        tell(why, reread)
        notes[LOG] = f"it was younger than the stores: {why}; {reread}"
        note_healed(log, f"{now.isoformat(timespec='seconds')}: {notes[LOG]}")
    return Condition(stores, lost, notes)


def heal(
    stores: Watched, raw: RawArchive, lost: Iterable[str] = (), progress: Progress | None = None
) -> tuple[Watched, Reread]:
    """Give the log another identity, decide again what people decided, and take in what it lacks.

    Stores that are `lost` are not marked as complete. Safe to repeat, also after a crash: the marks come last.
    """
    log = stores.log
    again = replace(stores, marker=Marker(stores.marker.workspace, renew(log)), _carried={})
    decide_again(log, stores.decisions.every())
    reread = take_again(log, raw, stores.sources.keys(), progress)
    keep_marks(again, lost)
    _put(log, _MARKED, "1")
    return again, reread


def _put(log: Log, key: str, value: str) -> None:
    with log.transaction() as txn:
        txn.put_state(_SCOPE, key, value.encode())
