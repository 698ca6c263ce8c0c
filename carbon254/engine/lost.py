"""Stores that were lost, emptied, or replaced by an older copy while nobody looked: seen when a workspace is opened.

A store that stands behind what the log carried into it has lost something. What is found stays noted in the log until
the store is made again, for a store that goes on from there would soon stand before the log again.
"""

from __future__ import annotations

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
from .noted import note_all, noted_lost, sentence
from .projector import CONSUMER as PROJECT
from .source import Source


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
        note_all(stores.log, found)
    return found


def keep_marks(stores: Watched, lost: Iterable[str] = ()) -> None:
    """Mark in every store how far the log carried rows into it: complete up to there, where it is not `lost`."""
    offset = max(stores.carried(PROJECT).values(), default=0)
    stores.hot.keep_mark(stores.marker.at(0 if HOT in lost else offset))
    stores.ledger.keep_mark(stores.marker.at(0 if LEDGER in lost else offset))
    keep_offset(stores.log, HOT, offset)


def _marked(store: str, stores: Watched, marks: list[Mark], wanted: int) -> str:
    """What a store's marks say; nothing where all of them are of other logs, for then it is the log that is another."""
    if marks and not any(mark.log == stores.marker.log for mark in marks):
        return ""
    return _behind(store, stores.marker.of(marks), wanted)


def _behind(store: str, has: int, wanted: int) -> str:
    if has >= wanted:
        return ""
    older = f"stands at record {has:,} of {wanted:,} that were carried into it: it is an older copy"
    return sentence(store, older if has else "is empty or new, and rows were carried into it")


def _hot(stores: Watched) -> str:
    carried = stores.carried(PROJECT)
    if not carried:
        return ""
    why = _marked(HOT, stores, stores.hot.marks(), kept_offset(stores.log, HOT))
    if why or stores.forgets:
        return why
    filled = stores.hot.filled()
    empty = sorted({stores.sources[feed].dataset.name for feed in carried} - filled)
    return sentence(HOT, f"holds no rows of {', '.join(empty)}, and rows were carried into it") if empty else ""


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
            stands = stores.lake.position(name)
        except Exception as error:  # whatever the catalog's library raises where files of it are gone
            return sentence(LAKE, f"cannot read its table {name} ({type(error).__name__}): files of it are gone")
        # One that followed another log is looked through by the lake itself, when it follows this one.
        if stands.log in ("", stores.marker.log) and (why := _behind(LAKE, stands.offset, offset)):
            return why
    return ""


def _quality(stores: Watched) -> str:
    wanted = max((mark.offset for mark in stores.ledger.marks(QUALITY_MARK)), default=0)
    has = stores.verdicts.turns()
    if has >= wanted:
        return ""
    what = f"holds {has:,} of {wanted:,} verdicts that were given" if has else "is empty, and verdicts were given"
    return sentence(QUALITY, what)


def _reference(stores: Watched) -> str:
    has, wanted = taken(stores.reference), stores.decisions.count(LISTED)
    return (
        sentence(REFERENCE, f"has {has:,} of {wanted:,} lists and changes that were taken in") if has < wanted else ""
    )
