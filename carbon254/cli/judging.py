"""Judging a workspace's partitions: what changed is read once, everything else is judged from its kept state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import polars as pl

from carbon254.calendars import day_of, market_day_span
from carbon254.engine.standing import begun, earlier_states, kept_as, mark_of, repeats, standing_rows
from carbon254.feeds import Feed
from carbon254.model import Stream, dataset
from carbon254.quality import (
    Context,
    Judgement,
    PartitionState,
    Rules,
    Service,
    context_for,
    judge,
    observe,
    read_rules,
    score,
    services,
    together,
)
from carbon254.quality.laws import HourlyMean
from carbon254.reader import Reader
from carbon254.stores.ledger import Entry
from carbon254.stores.metrics import MetricStore

_EARLIER = 7
_ALWAYS = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Judged:
    """One partition's verdict, and what it was made of. `read` says whether its rows had to be read."""

    feed: str
    partition: str
    build: int
    state: PartitionState
    context: Context
    judgement: Judgement
    read: bool


@dataclass(frozen=True, slots=True)
class FeedVerdict:
    """All judged partitions of a feed as one."""

    feed: str
    days: Sequence[Judged]
    services: Sequence[Service]

    @property
    def missed(self) -> list[str]:
        """Service levels that were missed; the score's target is for all feeds together."""
        return [one.name for one in self.services if one.met is False and one.name != "score"]


class Bench:
    """Judges partitions of one workspace at the moment `at`."""

    def __init__(
        self, open_reader: Callable[[], Reader], store: MetricStore, at: datetime, *, again: bool = False
    ) -> None:
        self._open, self._store, self._again = open_reader, store, again
        self.at = at

    @cached_property
    def _reader(self) -> Reader:
        """Opened when the first row has to be read: kept states need none."""
        return self._open()

    def close(self) -> None:
        """Give the workspace up, if it was opened."""
        if "_reader" in self.__dict__:
            self._reader.close()

    def feed(self, feed: Feed, entries: Sequence[Entry], wanted: Callable[[str], bool]) -> FeedVerdict:
        """Verdicts of the wanted partitions among a feed's ledger entries, oldest first."""
        rules = rules_of(feed)
        known = sorted((entry for entry in entries if entry.payloads), key=lambda entry: entry.partition)
        states: dict[str, PartitionState] = {}
        judged = []
        for entry in known:
            if not wanted(entry.partition):
                continue
            earlier = self._earlier(entry, states)
            found = self._partition(feed, rules, entry, earlier, first=entry is known[0])
            states[entry.partition] = found.state
            judged.append(found)
        return verdict(feed.topic, rules, judged)

    def _earlier(self, entry: Entry, states: dict[str, PartitionState]) -> list[PartitionState]:
        """States of the days before: those just made, and what was kept before them."""
        if not states:
            states |= earlier_states(self._store, entry.feed, entry.partition)
        day = date.fromisoformat(entry.partition)
        days = [(day - timedelta(days=back)).isoformat() for back in range(1, _EARLIER + 1)]
        return [states[name] for name in days if name in states]

    def _partition(
        self, feed: Feed, rules: Rules, entry: Entry, earlier: Sequence[PartitionState], first: bool
    ) -> Judged:
        stream = feed.stream
        span = market_day_span(date.fromisoformat(entry.partition), stream.clock)
        mark = mark_of(rules, entry)
        kept = self._store.get(entry.feed, entry.partition)
        fresh = kept is not None and kept.build == entry.build and kept.source == mark and not self._again
        state = (
            PartitionState.from_bytes(kept.state) if kept is not None and fresh else self._observe(stream, rules, entry)
        )
        past = self._store.history(entry.feed, entry.partition)
        since = begun(state) if first else None
        context = context_for(stream, *span, self.at, since=since, history=past, earlier=earlier)
        found = judge(state, rules, context)
        new = kept_as(entry, mark, state, found, self.at)
        if kept is None or not fresh or kept.score != found.score or kept.verdict != new.verdict:
            self._store.put(new)
        return Judged(entry.feed, entry.partition, entry.build, state, context, found, not fresh)

    def _observe(self, stream: Stream, rules: Rules, entry: Entry) -> PartitionState:
        day = date.fromisoformat(entry.partition)
        span = market_day_span(day, stream.clock) if stream.dataset == "interval_prices" else None
        rows = standing_rows(self._ask, stream, day)
        return observe(rows, rules, span, self._others(rules, day), repeats(self._ask, stream, entry))

    def _ask(self, sql: str) -> pl.DataFrame:
        return self._reader.sql(sql).to_polars()

    def _others(self, rules: Rules, day: date) -> dict[str, pl.DataFrame]:
        """Rows of other feeds that a law compares with."""
        from carbon254.feeds import feeds

        wanted = {check.parts for check in rules.checks if isinstance(check, HourlyMean)}
        found = {}
        for topic in wanted & feeds().keys():
            stream = feeds()[topic].stream
            found[topic] = standing_rows(self._ask, stream, day).filter(pl.col("market_run") == stream.market_run)
        return found


def verdict(topic: str, rules: Rules, judged: Sequence[Judged]) -> FeedVerdict:
    """The feed's service levels over all its judged days: their merged state, and the score over all findings."""
    state, context = together([(one.state, one.context) for one in judged])
    whole = score(finding for one in judged for finding in one.judgement.findings)
    return FeedVerdict(topic, judged, services(state, rules, context, whole))


def judge_file(frame: pl.DataFrame, feed: Feed) -> FeedVerdict:
    """Verdicts of a frame's market days; every interval of a day is due, and days are compared with those before."""
    stream, rules, judged = feed.stream, rules_of(feed), []
    past: dict[str, list[float]] = {}
    for day, rows in _days(frame, stream):
        span = market_day_span(day, stream.clock)
        state = observe(rows, rules, span if stream.dataset == "interval_prices" else None)
        earlier = [one.state for one in judged[-_EARLIER:]]
        context = context_for(stream, *span, _ALWAYS, history=past, earlier=earlier)
        found = judge(state, rules, context)
        for name, value in found.metrics.items():
            past.setdefault(name, []).append(value)
        judged.append(Judged(feed.topic, day.isoformat(), 0, state, context, found, True))
    return verdict(feed.topic, rules, judged)


def rules_of(feed: Feed) -> Rules:
    """The rules beside a feed. Raises RulesError."""
    return read_rules(feed.quality(), feed.stream, f"{feed.package.replace('.', '/')}/quality.yaml")


def _days(frame: pl.DataFrame, stream: Stream) -> Iterator[tuple[date, pl.DataFrame]]:
    """The frame's market days in order; rows without a time go with the first."""
    time = dataset(stream.dataset).partition
    days = frame[time] if frame.schema[time] == pl.Date else day_of(frame[time], stream.clock)
    days = days.fill_null(days.min()) if days.null_count() and days.null_count() < len(days) else days
    for day in days.drop_nulls().unique().sort().to_list():
        yield day, frame.filter(days == day)
