"""Rebuilding a span of one feed from raw bytes: a new build of its partitions, swapped in whole.

Never appends: the rebuilt rows replace the feed's rows of the span in the hot store by partition and in the lake by
filter; other feeds' rows of the same partitions are carried over unchanged. Rows come out as they were first made,
because what was known when is part of the raw log, whichever payload is read first and by how many workers. Nothing is
touched before every payload of the span was read: a missing or harmed one stops the rebuild and is named.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count

import polars as pl
import pyarrow as pa

from carbon254.calendars import day_of
from carbon254.clock import Clock, SystemClock
from carbon254.errors import CorruptPayload
from carbon254.faults import reach
from carbon254.model.arrival import arrived_in
from carbon254.stores.hot import HotStore
from carbon254.stores.lake import Lake
from carbon254.stores.ledger import Act, Lease, Ledger
from carbon254.stores.log import Log, NewRecord, Record, records_of

from .codec import decode
from .lakekeeper import keep_seals
from .marking import HOT, LAKE
from .normaliser import Normaliser, note_given
from .outcome import Outcome
from .pending import under_way
from .proof import by_date, day_span, days_of, span_of
from .quarantine import PREFIX
from .source import Source
from .standing import standing_arrivals
from .tenure import Tenure, holding
from .wanting import FewerPayloads, MissingRaw, Wanting
from .withholding import Withholding

Progress = Callable[[int, int], None]
_TURNS = count(1)


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild did."""

    feed: str
    payloads: int
    rows: int
    partitions: tuple[str, ...]
    held: tuple[str, ...] = ()


@dataclass(frozen=True)
class How:
    """How a rebuild goes about it. `order` shuffles the payloads; neither it nor `workers` changes what comes out.

    `only` names the store that is rebuilt, where it is not both of them.
    """

    workers: int = 1
    order: random.Random | None = None
    who: str = "c254"
    why: str = ""
    only: str = ""


def lease_of(topic: str) -> str:
    """The name of the lease that a rebuild of the feed holds."""
    return f"rebuild:{topic}"


def table_lease_of(dataset: str) -> str:
    """The name of the lease that a rebuild of any of the dataset's feeds holds."""
    return f"rebuild-of:{dataset}"


class Rebuilder:
    """Makes new builds of partitions out of the raw archive."""

    def __init__(
        self,
        log: Log,
        normaliser: Normaliser,
        hot: HotStore,
        lake: Lake,
        ledger: Ledger,
        withholding: Withholding | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._log, self._normaliser, self._hot, self._lake = log, normaliser, hot, lake
        self._withholding, self._clock = withholding, clock or SystemClock()
        self._ledger = ledger

    def arrived(self, topic: str, start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
        """The span of partition times covered by payloads that arrived in [start, end)."""
        spans = [
            span
            for record in self._records(topic)
            if start <= datetime.fromisoformat(record.headers["received_at"]) < end
            and (span := span_of(self._log, record))
        ]
        return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None

    def rebuild(
        self,
        source: Source,
        start: datetime,
        end: datetime,
        now: datetime,
        progress: Progress | None = None,
        how: How | None = None,
    ) -> Rebuilt:
        """Rebuild [start, end) of a feed; times are the dataset's partition column in UTC.

        Raises, before anything is changed, MissingRaw where raw payloads are missing or harmed, and FewerPayloads where
        the log does not know those that the standing rows were made from; TransientError where
        another rebuild of the feed or its table is under way; LeaseLost, without swapping anything more, where another
        one took over because this process seemed dead.
        """
        how, topic = how or How(), source.stream.topic
        # Rebuilds of two feeds of one table would each carry over what the other is about to replace.
        table = source.dataset.name
        names = {lease_of(topic): f"rebuilding {topic}", table_lease_of(table): f"rebuilding a feed of {table}"}
        # Each turn is a holder of its own: two threads of one process must not have one lease together.
        holder = f"{how.who} {os.getpid()}.{next(_TURNS)}@{socket.gethostname()}"
        with holding(self._ledger, names, holder, self._clock) as tenure:
            return self._rebuild(source, start, end, now, progress, how, tenure)

    def _rebuild(
        self,
        source: Source,
        start: datetime,
        end: datetime,
        now: datetime,
        progress: Progress | None,
        how: How,
        tenure: Tenure,
    ) -> Rebuilt:
        topic, dataset, lease = source.stream.topic, source.dataset, tenure.leases[0]
        # What some store has yet to take comes to all of them by itself; asked first, so that nothing falls between.
        coming = under_way(self._log, topic)
        every = self._records(topic)
        self._refuse_fewer(source, every, start, end)
        records = [one for one in every if self._overlaps(one, start, end) and arrived_in(one.headers) not in coming]
        outcomes = self._parsed(source, records, progress, how)
        tables, batches = _apart(outcomes)
        reach("rebuild.parsed")
        table = _between(tables, dataset.partition, start, end) if tables else None
        days = self._replaying(source, records, (start, end), now, lease)
        reach("rebuild.marked")
        held: dict[str, str] = {}
        try:
            # What is left of a store that lost rows is no measure of what it is made again of.
            if self._withholding and not how.only:
                held = self._withholding.kept_back(source, table, days, (start, end), now)
                table = self._withholding.with_standing(source, table, list(held), (start, end), coming)
            if how.only != LAKE:
                turn = tenure.leases[1].token
                self._hot.replace_span(dataset.name, topic, start, end, table, tenure.fence, turn, coming)
                reach("rebuild.hot")
            if how.only != HOT:
                self._lake.replace_span(dataset.name, topic, start, end, table, tenure.fence, coming)
                reach("rebuild.lake")
                keep_seals(self._log, self._lake, dataset.name)
                reach("rebuild.sealed")
            if not how.only:
                with self._log.transaction() as txn:
                    for record, outcome in zip(records, outcomes, strict=True):
                        note_given(txn, record, outcome)
                reach("rebuild.given")
        except Exception as error:
            for day in days:
                self._ledger.fail(topic, day, now, f"rebuild: {error}", lease)
            raise
        if self._withholding:
            self._withholding.tell(source, held, now)
            self._withholding.settle(source, table, [] if held else batches, now)
        for day, why in held.items():
            self._ledger.fail(topic, day, now, f"the rebuilt day stays out: {why}", lease)
        rebuilt = tuple(
            day for day in self._note(source, table, days, now, lease, frozenset(held), how) if day not in held
        )
        reach("rebuild.noted")
        acts = [Act(now, how.who, "replay", topic, day, how.why) for day in rebuilt]
        self._ledger.record(acts)
        reach("rebuild.recorded")
        if progress:
            progress(len(records), len(records))
        return Rebuilt(topic, len(records), table.num_rows if table is not None else 0, rebuilt, tuple(held))

    def _refuse_fewer(self, source: Source, known: Sequence[Record], start: datetime, end: datetime) -> None:
        """Raise FewerPayloads where the log does not know arrivals whose rows of the span stand in the hot store or the
        lake, or were noted."""
        topic = source.stream.topic
        arrived = {(one.headers["sha256"], datetime.fromisoformat(one.headers["received_at"])) for one in known}
        found = standing_arrivals(self._hot, self._lake, source, start, end)
        unknown = [f"{payload[:12]}… of {at:%Y-%m-%d %H:%M}Z" for at, payload in sorted(found) if
                   (payload, at) not in arrived]  # fmt: skip
        if not found and not known:
            # Nothing stands here any more: the ledger still knows what was.
            spans = {day: day_span(source.stream, date.fromisoformat(day)) for day in self._ledger.arrivals(topic)}
            unknown = [f"those of {day}" for day, (low, high) in sorted(spans.items()) if low < end and high > start]
        if unknown:
            raise FewerPayloads(topic, unknown)

    def _parsed(self, source: Source, records: list[Record], progress: Progress | None, how: How) -> list[Outcome]:
        """What the records came to, in their order, read in any order by any number of workers."""
        asked = list(records)
        if how.order is not None:
            how.order.shuffle(asked)
        outcomes: dict[int, Outcome] = {}
        wanting: list[Wanting] = []
        with ThreadPoolExecutor(max(1, how.workers), thread_name_prefix="c254-rebuild") as pool:
            futures = {pool.submit(self._normaliser.outcome, record): record for record in asked}
            for done, future in enumerate(as_completed(futures)):
                record = futures[future]
                try:
                    outcomes[record.offset] = future.result()
                except (KeyError, CorruptPayload) as error:
                    wanting.append(self._wanting(source, record, error))
                if progress:
                    progress(done, len(records))
        if wanting:
            raise MissingRaw(source.stream.topic, wanting)
        return [outcomes[record.offset] for record in records]

    def _wanting(self, source: Source, record: Record, error: Exception) -> Wanting:
        span = span_of(self._log, record)
        days = days_of(source, span, span[0], span[1] + timedelta(microseconds=1)) if span else []
        why = "harmed" if isinstance(error, CorruptPayload) else "missing"
        return Wanting(source.stream.topic, tuple(days), record.headers["sha256"], record.headers["name"], why)

    def _replaying(
        self, source: Source, records: Sequence[Record], span: tuple[datetime, datetime], now: datetime, lease: Lease
    ) -> list[str]:
        """The partitions that are rebuilt, each marked so in the ledger."""
        topic = source.stream.topic
        spans = [span_of(self._log, record) for record in records]
        days = sorted({day for one in spans for day in days_of(source, one, *span)})
        for day in days:
            state = next((entry.state for entry in self._ledger.entries(topic, day)), "")
            if state in ("running", "pending"):
                self._ledger.fail(topic, day, now, "a run ended without a word; a rebuild takes over", lease)
            self._ledger.begin(topic, day, now, "replaying", lease)
        return days

    def _note(
        self,
        source: Source,
        table: pa.Table | None,
        days: Sequence[str],
        now: datetime,
        lease: Lease,
        kept_back: frozenset[str],
        how: How,
    ) -> tuple[str, ...]:
        topic, held = source.stream.topic, set[str]()
        if table is not None and table.num_rows:
            moments = pl.DataFrame(table.select([source.dataset.partition])).to_series()
            dates = moments if by_date(source) else day_of(moments, source.stream.clock)
            held = {str(day) for day in dates.unique()}
        for day in sorted((held | set(days)) - kept_back):
            if how.only:
                # The same rows as before, in a store that had lost them: no new build.
                self._ledger.settle(topic, day, now, lease)
            else:
                self._ledger.rebuilt(topic, day, now, source.code, lease)
        return tuple(sorted(held))

    def _records(self, topic: str) -> list[Record]:
        return list(records_of(self._log, f"raw.{topic}"))

    def _overlaps(self, record: Record, start: datetime, end: datetime) -> bool:
        span = span_of(self._log, record)
        return span is not None and span[0] < end and span[1] >= start


def _apart(outcomes: Sequence[Outcome]) -> tuple[list[pa.Table], list[NewRecord]]:
    """Rows that go out, and records of held ones."""
    batches = [batch for outcome in outcomes for batch in outcome.batches]
    rows = [decode(batch.body) for batch in batches if batch.topic.startswith("rows.")]
    return rows, [batch for batch in batches if batch.topic.startswith(PREFIX)]


def _between(tables: list[pa.Table], column: str, start: datetime, end: datetime) -> pa.Table:
    frame = pl.DataFrame(pa.concat_tables(tables).unify_dictionaries())
    instant = frame[column].dtype != pl.Date
    low, high = (start, end) if instant else (start.date(), end.date())
    keep = (pl.col(column) >= low) & (pl.col(column) < high)
    mask = pa.array(frame.select(keep.alias("keep"))["keep"].to_numpy())
    return pa.concat_tables(tables).unify_dictionaries().filter(mask)
