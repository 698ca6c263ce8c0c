"""A log that is younger than the stores: deleted, restored from an older copy, or another one, and healed by arrival.

Every store keeps how far it has come in which log. Where none of its marks is of the log that is opened, or a mark lies
beyond the log's end, the log lacks arrivals that the stores know. The raw archive knows all of them: those that the log
lacks are taken in again in the order in which they arrived, with their original times, so that carrying them again
makes the same rows. A log that was healed has another identity, by which the lake sees that it may hold them already.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from carbon254.errors import CorruptPayload
from carbon254.ingest import Arrived, Inbox
from carbon254.stores.log import Log, NewRecord, open_log, records_of
from carbon254.stores.marks import Mark
from carbon254.stores.raw import Arrival, RawArchive, arrivals_in
from carbon254.telemetry import Metrics

from .marking import Marker

Key = tuple[str, datetime]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Reread:
    """What was taken into the log again: how many arrivals, and payloads that the archive cannot give any more."""

    arrivals: int
    damaged: tuple[str, ...] = ()

    def __str__(self) -> str:
        lost = f"; {len(self.damaged):,} payloads are damaged in the raw archive" if self.damaged else ""
        return f"{self.arrivals:,} arrivals were taken in again from the raw archive{lost}"


def why_younger(log: Log, marker: Marker, marks: Mapping[str, Collection[Mark]]) -> str:
    """Why the log is younger than stores, by their marks; empty where it is not."""
    end = log.end_offset()
    for store, found in marks.items():
        mine = [mark.offset for mark in found if mark.log == marker.log]
        if found and not mine:
            return f"the {store} was filled from another log: this one is new, or was put in its place"
        if mine and max(mine) > end:
            return (
                f"the {store} has come to record {max(mine):,}, and the log ends at {end:,}: "
                "it was restored from an older copy"
            )
    return ""


def take_again(log: Log, raw: RawArchive, topics: Collection[str], progress: Progress | None = None) -> Reread:
    """Take into the log, in their order, the arrivals that the raw archive knows and the log does not.

    What the inbox would have skipped as a repeat is skipped again. Safe to repeat, also after a crash.
    """
    damaged: list[str] = []
    by_topic: dict[str, list[Arrival]] = {}
    for one in arrivals_in(raw, damaged):
        if one.provenance.feed in topics:
            by_topic.setdefault(one.provenance.feed, []).append(one)
    known = {topic: set(_known(log, topic)) for topic in by_topic}
    lacking = {topic: _lacking(found, known[topic]) for topic, found in by_topic.items()}
    total, done = sum(map(len, lacking.values())), 0
    taken, inbox = 0, Inbox(raw, log, Metrics())
    gaps = [topic for topic in lacking if _has_gap(lacking[topic], known[topic])]
    for topic in gaps:
        taken += _fill(log, raw, topic, _ordered(by_topic[topic]), known[topic], damaged)
        done += len(lacking[topic])
    behind = (one for topic, found in lacking.items() if topic not in gaps for one in _after_last(found, known[topic]))
    for one in _ordered(behind):
        if progress:
            progress(done, total)
        taken += _take(inbox, raw, one, damaged)
        done += 1
    return Reread(taken, tuple(dict.fromkeys(damaged)))


def tell(why: str, reread: Reread) -> None:
    """Say what was found and done."""
    structlog.get_logger().warning(f"the log is younger than the stores: {why}; {reread}", arrivals=reread.arrivals)


def _known(log: Log, topic: str) -> Iterable[Key]:
    for record in records_of(log, f"raw.{topic}"):
        yield record.headers["sha256"], datetime.fromisoformat(record.headers["received_at"])


def _lacking(found: Collection[Arrival], known: Collection[Key]) -> list[Arrival]:
    return [one for one in found if (one.sha256, one.provenance.received_at) not in known]


def _has_gap(lacking: Collection[Arrival], known: Collection[Key]) -> bool:
    """Whether a payload that the log never saw arrived before the last one that it knows.

    What arrived later goes in behind it; what arrived earlier, and is known by its bytes, is a repeat that was skipped.
    """
    last, payloads = max((at for _, at in known), default=None), {sha256 for sha256, _ in known}
    return last is not None and any(
        one.provenance.received_at <= last and one.sha256 not in payloads for one in lacking
    )


def _after_last(lacking: Collection[Arrival], known: Collection[Key]) -> list[Arrival]:
    last = max((at for _, at in known), default=None)
    return [one for one in lacking if last is None or one.provenance.received_at > last]


def _ordered(found: Iterable[Arrival]) -> list[Arrival]:
    return sorted(found, key=lambda one: (one.provenance.received_at, one.sha256))


def _take(inbox: Inbox, raw: RawArchive, one: Arrival, damaged: list[str]) -> int:
    """Take an arrival in as if it came now, at its own time; 0 where it is a repeat or cannot be read."""
    told = one.provenance
    try:
        data = raw.get(one.sha256)
    except (CorruptPayload, KeyError):
        damaged.append(one.sha256)
        return 0
    arrived = Arrived(
        told.feed, data, told.name, told.received_at, told.subject, told.url, told.published_at, dict(told.headers)
    )
    return int(inbox.take(arrived, again=True).new)


def _fill(log: Log, raw: RawArchive, topic: str, found: list[Arrival], known: set[Key], damaged: list[str]) -> int:
    """Take in what lies between arrivals that the log knows. A log beside it is told all of them in their order, and
    says which of them were no repeats."""
    topic_of_log, taken = f"raw.{topic}", 0
    with tempfile.TemporaryDirectory(prefix="c254-log-") as folder:
        beside = open_log(Path(folder) / "log.db")
        try:
            inbox = Inbox(raw, beside, Metrics())
            for one in found:
                _take(inbox, raw, one, damaged)
            subjects = set()
            for record in records_of(beside, topic_of_log):
                key = record.headers["sha256"], datetime.fromisoformat(record.headers["received_at"])
                if key not in known:
                    log.append([NewRecord(topic_of_log, record.key, record.headers, record.body)])
                    subjects.add(record.headers["subject"])
                    taken += 1
            with log.transaction() as txn:
                for subject in sorted(subjects):
                    latest = beside.get_state(f"latest:{topic}", subject)
                    if latest:
                        txn.put_state(f"latest:{topic}", subject, latest)
                        txn.put_state(f"content:{topic}", latest.decode(), b"1")
        finally:
            beside.close()
    return taken
