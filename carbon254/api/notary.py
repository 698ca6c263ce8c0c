"""Answers with a receipt, and receipts checked again later.

An answer with a receipt is read over a fixed state of the store: of each feed, what its first arrivals brought, up to
one before which everything is stored. The receipt names that arrival and the Merkle root over all of them, so that the
same state can be read again after any later correction, and the same rows must come out. Receipts of the first format
name a place in the raw log instead, of the log as it was then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from carbon254.clock import Clock
from carbon254.errors import QueryRefused
from carbon254.model import Stream, catalogue
from carbon254.model.arrival import arrival_in, arrival_of, arrived_in
from carbon254.proof.merkle import Growing
from carbon254.proof.receipt import FeedVersion, OlderVersion, Receipt, root_over, sealed, strangers
from carbon254.proof.rows import rows_hash
from carbon254.stores.hot import HotStore, Limits
from carbon254.stores.hot.frozen import CURRENT_ONLY, Upto
from carbon254.stores.hot.guard import words
from carbon254.stores.log import Log, Record, records_of

_READS = re.compile(r"\b(?:store|commodity_data)\.`?(\w+)`?")
_CHANGING = re.compile(
    r"now(64|inblock(64)?)?|today|yesterday|utctimestamp|current_?timestamp|rand.*|canonicalrand|random.*|generate(uuid|ulid|"
    r"snowflake).*|uptime|version|(initial)?queryid|query_id|blocknumber|rownumberin.*|fuzzbits",
    re.IGNORECASE,
)
# What the engine also calls without parentheses.
_MOMENTS = {"now", "today", "current_date", "current_timestamp", "curdate", "localtime", "localtimestamp"}
_PENDING = 256
_SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """Whether a receipt still holds, and where it does not. `notes` change nothing but may explain.

    `payloads` is how many the answer was derived from: no rows of many payloads say something, of none nothing.
    """

    equal: bool
    differs: tuple[str, ...]
    notes: tuple[str, ...]
    rows: int
    payloads: int = 0


@dataclass
class _Grown:
    """The tree over a feed's arrivals up to `last` (its headers), as read up to a place of the raw log."""

    offset: int = 0
    last: Mapping[str, Any] | None = None
    tree: Growing = field(default_factory=Growing)

    @property
    def arrival(self) -> str:
        return arrival_in(self.last) if self.last else ""

    def add(self, record: Record) -> None:
        self.tree.add(_leaf(record.headers))
        self.offset, self.last = record.offset, record.headers


class Notary:
    """Issues and verifies receipts of one workspace."""

    def __init__(
        self,
        hot: HotStore,
        log: Log,
        streams: Mapping[str, Stream],
        codes: Mapping[str, str],
        clock: Clock,
        score: Callable[[Collection[str]], float | None],
        emulated: bool = False,
        older: Callable[[str], Sequence[tuple[int, str, str]]] = lambda _: (),
    ) -> None:
        self._emulated = emulated
        # `older` tells which payload of a feed (received_at, SHA-256) stood where in the log of the first format.
        self._older = older
        # `score` tells the quality of feeds, 0 to 1; None where nothing of them was judged.
        self._score = score
        self._hot, self._log, self._streams, self._codes, self._clock = hot, log, streams, codes, clock
        self._grown: dict[str, _Grown] = {}

    def answer(
        self, statement: str, known_at: datetime | None = None, limits: Limits | None = None
    ) -> tuple[pa.Table, Receipt]:
        """One reading statement's rows and their receipt; `known_at` is the moment asked about, now unless given.

        Raises QueryRefused where no receipt can be given: the statement's answer changes by itself, or comes from a
        table that keeps its current version only.
        """
        issued = self._clock.now()
        datasets = self._datasets(statement)
        stored = {topic: self._stored(topic) for topic in self._feeding(datasets)}
        feeds = {topic: found for topic, found in stored.items() if found is not None}
        table = self._hot.query_frozen(statement, {topic: upto(then) for topic, then in feeds.items()}, issued, limits)
        receipt = Receipt(
            query=statement,
            datasets=datasets,
            known_at=_told(known_at or issued),
            issued_at=_told(issued),
            feeds=feeds,
            root=root_over(feeds),
            rows=rows_hash(table),
            units=_units(datasets, table.column_names),
            licences={topic: self._licence(topic) for topic in feeds},
            quality=self._score(tuple(feeds)),
        )
        return table, sealed(receipt)

    def verify(self, receipt: Receipt, limits: Limits | None = None) -> Verdict:
        """Read the receipt's state again and compare. Raises ReceiptChanged where the receipt itself was edited."""
        receipt.check()
        differs, notes = [], []
        arrivals: dict[str, Upto] = {}
        for topic, then in sorted(receipt.feeds.items()):
            now, arrivals[topic], later = self._again(topic, then)
            if (now.payloads, now.root) != (then.payloads, then.root):
                differs.append(
                    f"{topic}: its first {then.payloads:,} payloads are not those of the receipt "
                    f"({now.payloads:,} here): another workspace, or a changed raw log"
                )
            if now.code != then.code:
                notes.append(f"{topic}: the code that makes its rows has changed since; a rebuild makes a new build")
            notes += [f"{topic}: payloads came since; they were left out"] if later else []
        table = self._hot.query_frozen(receipt.query, arrivals, datetime.fromisoformat(receipt.issued_at), limits)
        differs += _compared(receipt, table)
        payloads = sum(then.payloads for then in receipt.feeds.values())
        if not payloads and not table.num_rows:
            differs.append("nothing to compare: the receipt is over no payload and no row")
        return Verdict(not differs, tuple(differs), tuple(notes), table.num_rows, payloads)

    def _datasets(self, statement: str) -> tuple[str, ...]:
        found = words(self._hot.rewritten(statement))
        _refuse_changing(found)
        named = {part for name, _ in found for part in name.split(".")}
        views = self._hot.fetch("SELECT name, as_select FROM system.tables WHERE database = 'commodity_data'")
        reads = {row["name"]: set(_READS.findall(row["as_select"])) for row in views.to_pylist()}
        asked, known = named & reads.keys(), set[str]()
        while asked:
            known |= asked
            asked = {name for view in asked for name in reads.get(view, ())} - known
        datasets = tuple(name for name in catalogue() if name in known)
        current = [name for name in datasets if name in CURRENT_ONLY]
        if current:
            raise QueryRefused(
                f"{', '.join(current)} keeps its current version only, so no receipt can be given for it; "
                "ask for the prices it is made of, or for it as of a moment"
            )
        if not datasets:
            raise QueryRefused("the statement reads no dataset, so there is nothing to give a receipt for")
        return datasets

    def _feeding(self, datasets: Collection[str]) -> list[str]:
        return sorted(topic for topic, stream in self._streams.items() if stream.dataset in datasets)

    def _stored(self, topic: str) -> FeedVersion | None:
        """The feed's arrivals, from the first on, whose rows are all in the hot store; None where there is none."""
        read = self._log.offsets("normalise").get(f"raw.{topic}", 0)
        pending = (
            arrival_in(record.headers)
            for record in self._log.read("project", f"rows.{topic}", _PENDING)
            if record.topic == f"rows.{topic}"
        )
        waiting = min(pending, default="")
        grown = self._grown.get(topic)
        if grown is None or (waiting and grown.arrival >= waiting):
            grown = self._grown[topic] = _Grown()
        for record in records_of(self._log, f"raw.{topic}", grown.offset):
            arrival = arrival_in(record.headers)
            if record.offset > read or (waiting and arrival >= waiting):
                break
            if arrival < grown.arrival:
                # It came behind one that it sorts before: the tree is made again in the order of arrivals.
                grown = self._grown[topic] = self._in_order(topic, read, waiting)
                break
            grown.add(record)
        if grown.last is None:
            return None
        return self._version(topic, grown.tree, grown.last)

    def _in_order(self, topic: str, read: int, waiting: str) -> _Grown:
        every = [one for one in records_of(self._log, f"raw.{topic}") if one.offset <= read]
        grown = _Grown()
        for record in sorted(every, key=lambda one: arrival_in(one.headers)):
            if not waiting or arrival_in(record.headers) < waiting:
                grown.add(record)
        # Read up to here, in whatever order they came.
        grown.offset = max((one.offset for one in every), default=0)
        return grown

    def _first(self, topic: str, every: Sequence[Record], last: int) -> list[Record]:
        """The records up to a place of the log of the first format, in its order; by this log where it is that one."""
        places = self._older(topic)
        if not places:
            return [one for one in every if one.offset <= last]
        found = {arrival_in(one.headers): one for one in every}
        told = (arrival_of(received, sha256) for place, received, sha256 in sorted(places) if place <= last)
        return [found[arrival] for arrival in told if arrival in found]

    def _version(self, topic: str, tree: Growing, last: Mapping[str, Any]) -> FeedVersion:
        received = _told(datetime.fromisoformat(last["received_at"]))
        return FeedVersion(received, last["sha256"], tree.size, tree.root().hex(), self._codes.get(topic, ""))

    def _again(self, topic: str, then: FeedVersion | OlderVersion) -> tuple[FeedVersion, Upto, bool]:
        """(the same arrivals as they are here, the bound that selects their rows, whether others came since)."""
        every = list(records_of(self._log, f"raw.{topic}"))
        if isinstance(then, OlderVersion):
            mine = self._first(topic, every, then.offset)
            known = {one.offset for one in mine}
            bound = _bound(mine, [one for one in every if one.offset not in known])
        else:
            last = arrival_of(then.received_at, then.sha256)
            mine = sorted(
                (one for one in every if arrival_in(one.headers) <= last), key=lambda one: arrival_in(one.headers)
            )
            bound = upto(then)
        tree = Growing()
        for record in mine:
            tree.add(_leaf(record.headers))
        if not mine:
            return FeedVersion("", "", 0, tree.root().hex(), self._codes.get(topic, "")), bound, bool(every)
        return self._version(topic, tree, mine[-1].headers), bound, len(every) > len(mine)

    def _licence(self, topic: str) -> str:
        provider = self._streams[topic].provider
        if self._emulated:
            return f"emulated data, not of {provider.name}"
        return f"{provider.licence} ({provider.redistribution})"


def _leaf(headers: Mapping[str, Any]) -> bytes:
    return f"{headers['sha256']} {headers['received_at']}".encode()


def upto(then: FeedVersion) -> Upto:
    """The bound that selects the rows of these arrivals."""
    return Upto(datetime.fromisoformat(then.received_at), then.sha256)


def _bound(mine: Sequence[Record], others: Sequence[Record]) -> Upto:
    """The bound of arrivals that were the first in a log, though others of it may sort before the last of them."""
    if not mine:
        return Upto(datetime.fromtimestamp(0, UTC), "")
    last = max(mine, key=lambda one: arrival_in(one.headers))
    before = [one for one in others if arrival_in(one.headers) < arrival_in(last.headers)]
    (at, payload), *without = (arrived_in(one.headers) for one in (last, *before))
    return Upto(at, payload, tuple(without))


def _compared(receipt: Receipt, table: pa.Table) -> list[str]:
    now, then = rows_hash(table), receipt.rows
    if now.hash == then.hash:
        return []
    told = []
    if now.count != then.count:
        told.append(f"{then.count:,} rows then, {now.count:,} now")
    columns = sorted(name for name in then.columns.keys() | now.columns.keys()
                     if then.columns.get(name) != now.columns.get(name))  # fmt: skip
    told.append(f"columns that differ: {', '.join(name.split(':', 1)[1] for name in columns)}")
    if then.each and now.each:
        told += [f"row {at} of the receipt is not there any more" for at in strangers(then.each, now.each, _SHOWN)]
        for at in strangers(now.each, then.each, _SHOWN):
            row = {
                name: pl.Series(one.slice(at - 1, 1))[0]
                for name, one in zip(table.column_names, table.columns, strict=True)
            }
            told.append("now instead: " + ", ".join(f"{name}={value}" for name, value in row.items()))
    return told


def _refuse_changing(found: Sequence[tuple[str, bool]]) -> None:
    for name, called in found:
        if (called and _CHANGING.fullmatch(name)) or (not called and name.lower() in _MOMENTS):
            raise QueryRefused(f"{name}() answers differently each time: write the moment or value itself")
    clauses = {name for name, _ in found}
    if "LIMIT" in clauses and "ORDER" not in clauses:
        raise QueryRefused("LIMIT without ORDER BY may choose other rows next time: say which rows by ORDER BY")


def _units(datasets: Collection[str], names: list[str]) -> dict[str, str]:
    known = {column.name: column.unit for name in datasets for column in catalogue()[name].columns if column.unit}
    return {name: known[name] for name in names if name in known}


def _told(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
