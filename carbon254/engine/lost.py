"""Stores that were lost, emptied, or replaced by an older copy while nobody looked: seen when a workspace is opened.

A store that stands behind what the log carried into it has lost something. What is found stays noted in the log until
the store is made again, for a store that goes on from there would soon stand before the log again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from carbon254.stores.decisions import Journal
from carbon254.stores.hot import HotStore
from carbon254.stores.lake import Lake
from carbon254.stores.ledger import Ledger
from carbon254.stores.ledger.marks import QUALITY as QUALITY_MARK
from carbon254.stores.log import Log
from carbon254.stores.marks import Mark
from carbon254.stores.metrics import MetricStore
from carbon254.stores.reference import Reference

from .lakekeeper import CONSUMER as LAKE_CONSUMER
from .listed import LISTED, taken
from .marking import HOT, LAKE, LEDGER, QUALITY, REFERENCE, Marker, keep_offset, kept_offset
from .projector import CONSUMER as PROJECT
from .source import Source

_SCOPE = "lost"
STORES = (HOT, LAKE, LEDGER, QUALITY, REFERENCE)
COMMANDS = {HOT: "hot", LAKE: "lake", LEDGER: "ledger", QUALITY: "quality", REFERENCE: "reference"}


@dataclass(frozen=True)
class Watched:
    """The open stores that are looked at, and how far each may be behind. `forgets` says that the hot store deletes old
    rows by itself."""

    log: Log
    hot: HotStore
    lake: Lake
    ledger: Ledger
    verdicts: MetricStore
    reference: Reference
    decisions: Journal
    sources: Mapping[str, Source]
    marker: Marker
    forgets: bool = False
    _carried: dict[str, dict[str, int]] = field(default_factory=dict)

    def carried(self, consumer: str) -> dict[str, int]:
        """Offset of the last record of each feed's rows that a consumer carried."""
        if consumer not in self._carried:
            found = self.log.offsets(consumer).items()
            self._carried[consumer] = {
                topic.removeprefix("rows."): offset
                for topic, offset in found
                if topic.startswith("rows.") and topic.removeprefix("rows.") in self.sources
            }
        return self._carried[consumer]


def find_lost(stores: Watched) -> dict[str, str]:
    """Stores that lost something and what to do about it, by store; those found earlier and not mended among them."""
    checks: Mapping[str, Callable[[Watched], str]] = {
        HOT: _hot, LAKE: _lake, LEDGER: _ledger, QUALITY: _quality, REFERENCE: _reference,
    }  # fmt: skip
    before, found = noted_lost(stores.log), dict[str, str]()
    for store, check in checks.items():
        why = before.get(store) or check(stores)
        if why:
            found[store] = why
    if found != before:
        for store, why in found.items():
            structlog.get_logger().warning(why, store=store)
        _note(stores.log, found)
    return found


def noted_lost(log: Log) -> dict[str, str]:
    """What was found lost when the workspace was last opened, and is not mended yet."""
    kept = log.get_state(_SCOPE, "stores")
    return json.loads(kept) if kept else {}


def note_lost(log: Log, store: str, why: str) -> None:
    """Note that a store lacks something, until it is made again."""
    _note(log, noted_lost(log) | {store: why})


def note_made_again(log: Log, store: str) -> None:
    """A store was made again: nothing is said of it any more."""
    found = noted_lost(log)
    if found.pop(store, None) is not None:
        _note(log, found)


def keep_marks(stores: Watched, lost: Iterable[str] = ()) -> None:
    """Mark in every store that is not lost how far the log carried rows into it: they are complete up to there."""
    offset = max(stores.carried(PROJECT).values(), default=0)
    if HOT not in lost:
        stores.hot.keep_mark(stores.marker.at(offset))
        keep_offset(stores.log, HOT, offset)
    if LEDGER not in lost:
        stores.ledger.keep_mark(stores.marker.at(offset))


def _note(log: Log, found: Mapping[str, str]) -> None:
    with log.transaction() as txn:
        txn.put_state(_SCOPE, "stores", json.dumps(found).encode())


def _told(store: str, what: str) -> str:
    return f"the {store} {what}; make it again: c254 rebuild {COMMANDS[store]}"


def _marked(store: str, stores: Watched, marks: list[Mark], wanted: int) -> str:
    """What a store's marks say; nothing where all of them are of other logs, for then it is the log that is another."""
    if marks and not any(mark.log == stores.marker.log for mark in marks):
        return ""
    return _behind(store, stores.marker.of(marks), wanted)


def _behind(store: str, has: int, wanted: int) -> str:
    if has >= wanted:
        return ""
    older = f"stands at record {has:,} of {wanted:,} that were carried into it: it is an older copy"
    return _told(store, older if has else "is empty or new, and rows were carried into it")


def _hot(stores: Watched) -> str:
    carried = stores.carried(PROJECT)
    if not carried:
        return ""
    why = _marked(HOT, stores, stores.hot.marks(), kept_offset(stores.log, HOT))
    if why or stores.forgets:
        return why
    filled = stores.hot.filled()
    empty = sorted({stores.sources[feed].dataset.name for feed in carried} - filled)
    return _told(HOT, f"holds no rows of {', '.join(empty)}, and rows were carried into it") if empty else ""


def _ledger(stores: Watched) -> str:
    wanted = max(stores.carried(PROJECT).values(), default=0)
    return _marked(LEDGER, stores, stores.ledger.marks(), wanted)


def _lake(stores: Watched) -> str:
    wanted: dict[str, int] = {}
    for feed, offset in stores.carried(LAKE_CONSUMER).items():
        name = stores.sources[feed].dataset.name
        wanted[name] = max(offset, wanted.get(name, 0))
    for name, offset in sorted(wanted.items()):
        try:
            has = stores.lake.offset(name)
        except Exception as error:  # whatever the catalog's library raises where files of it are gone
            return _told(LAKE, f"cannot read its table {name} ({type(error).__name__}): files of it are gone")
        if why := _behind(LAKE, has, offset):
            return why
    return ""


def _quality(stores: Watched) -> str:
    wanted = max((mark.offset for mark in stores.ledger.marks(QUALITY_MARK)), default=0)
    has = stores.verdicts.turns()
    if has >= wanted:
        return ""
    what = f"holds {has:,} of {wanted:,} verdicts that were given" if has else "is empty, and verdicts were given"
    return _told(QUALITY, what)


def _reference(stores: Watched) -> str:
    has, wanted = taken(stores.reference), stores.decisions.count(LISTED)
    return _told(REFERENCE, f"has {has:,} of {wanted:,} lists and changes that were taken in") if has < wanted else ""
