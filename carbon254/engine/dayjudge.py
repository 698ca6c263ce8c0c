"""The final verdict on a market day: its rows as readers have them, judged by all rules against what is due.

A finished day gets a verdict once everything due has had its time to come, and again whenever its payloads change. It
is kept in the metric store (state, score, numbers), in `verdicts` for readers, and in the audit trail when it turns. A
day whose verdict is `held` keeps its rows, with a mark for readers; what a rebuild made of it must not be worse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from carbon254.calendars import market_day_span
from carbon254.clock import Clock
from carbon254.model import dataset
from carbon254.model.arrow import conform
from carbon254.quality import Finding, Judgement, PartitionState, Rules, Verdict, context_for, judge, observe
from carbon254.quality.row_checks import Unique
from carbon254.stores.hot import HotStore
from carbon254.stores.ledger import Act, Entry, Ledger
from carbon254.stores.ledger.completeness import due_at, starts_of
from carbon254.stores.metrics import MetricStore

from .quarantine import HELD, RELEASED
from .source import Source
from .standing import begun, earlier_states, kept_as, mark_of, plain, repeats, standing_rows

PUBLISHED = "published"
VERDICTS = "verdicts"
WHO = "gate"
_EVERY_S = 60.0
_RECENT = 14
_UTC = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class DayVerdict:
    """How one market day was judged."""

    feed: str
    day: str
    status: str
    judgement: Judgement
    why: str


class DayJudge:
    """Judges market days of feeds that publish intervals."""

    def __init__(
        self, hot: HotStore, ledger: Ledger, metrics: MetricStore, sources: Mapping[str, Source], clock: Clock
    ) -> None:
        self._hot, self._ledger, self._metrics, self._sources, self._clock = hot, ledger, metrics, sources, clock
        self._done: dict[tuple[str, str], str] = {}
        self._first: dict[str, str] = {}
        self._next_s = 0.0

    def step(self) -> int:
        """Judge the days that finished or changed, once a minute; there is never more to carry."""
        if self._clock.monotonic() >= self._next_s:
            self._next_s = self._clock.monotonic() + _EVERY_S
            for _ in self.finals(self._clock.now()):
                pass
        return 0

    def finals(self, now: datetime) -> Iterator[DayVerdict]:
        """Verdicts on finished days that have none, or whose payloads changed since."""
        for topic, source in self._sources.items():
            if source.rules is None or source.stream.dataset != "interval_prices":
                continue
            for entry in self._ledger.entries(topic, limit=_RECENT):
                if entry.payloads and finished_at(source, entry.partition) <= now and self._news(source.rules, entry):
                    yield self.final(source, entry, now)

    def final(self, source: Source, entry: Entry, now: datetime) -> DayVerdict:
        """Judge one day as it stands, and keep the verdict."""
        assert source.rules is not None
        rows = self.standing(source, entry.partition)
        said_again = repeats(self._ask, source.stream, entry)
        state, judgement = self.judge(source, entry.partition, rows, now, said_again)
        mark = mark_of(source.rules, entry)
        self._metrics.put(kept_as(entry, mark, state, judgement, now))
        before, _ = self.status(entry.feed, entry.partition)
        held = RELEASED if before == RELEASED else HELD
        found = DayVerdict(
            entry.feed, entry.partition, held if blocking(judgement) else PUBLISHED, judgement, _told(judgement)
        )
        self.keep(source, entry, found.status, judgement, found.why, now)
        if found.status != (before or PUBLISHED):
            why = found.why or "every blocking check passes"
            self._ledger.record([Act(now, WHO, f"verdict {found.status}", entry.feed, entry.partition, why)])
        self._done[entry.feed, entry.partition] = mark
        return found

    def judge(
        self, source: Source, day: str, rows: pl.DataFrame, now: datetime, said_again: int = 0
    ) -> tuple[PartitionState, Judgement]:
        """The verdict on rows of a market day, against what is due at `now` and the days before."""
        assert source.rules is not None
        topic, span = source.stream.topic, market_day_span(date.fromisoformat(day), source.stream.clock)
        state = observe(rows, source.rules, span, None, said_again)
        context = context_for(
            source.stream,
            *span,
            now,
            since=self._since(topic, day, state),
            history=self._metrics.history(topic, day),
            earlier=list(earlier_states(self._metrics, topic, day).values()),
        )
        return state, judge(state, source.rules, context)

    def keep(
        self, source: Source, entry: Entry, status: str, judgement: Judgement | None, why: str, now: datetime
    ) -> None:
        """Write a verdict where readers find it."""
        completeness = (
            next((one.value for one in judgement.services if one.name == "completeness"), None) if judgement else None
        )
        failed = [one.check for one in (*blocking(judgement), *judgement.failed)] if judgement else []
        row = {
            "feed": entry.feed,
            "market_day": date.fromisoformat(entry.partition),
            "status": status,
            "score": judgement.score if judgement else None,
            "completeness": completeness,
            "failed_checks": ", ".join(dict.fromkeys(failed)),
            "why": why,
            "market": source.stream.market,
            "market_run": source.stream.market_run,
            "build": entry.build,
            "checksum": entry.checksum,
            "judged_at": now,
        }
        frame = pl.DataFrame(
            [row], schema_overrides={"score": pl.Float64, "completeness": pl.Float64, "judged_at": _UTC}
        )
        token = f"{entry.feed} {entry.partition} {status} {now.isoformat()}"
        self._hot.insert(VERDICTS, conform(frame, dataset(VERDICTS)), token)

    def status(self, feed: str, day: str) -> tuple[str, str]:
        """(status, why) of a day's last verdict; empty where it has none."""
        sql = f"SELECT status, why FROM {VERDICTS} WHERE feed = '{feed}' AND market_day = toDate32('{day}')"
        found = self._hot.fetch(sql).to_pylist()
        return (str(found[0]["status"]), found[0]["why"]) if found else ("", "")

    def standing(self, source: Source, day: str) -> pl.DataFrame:
        """The current rows of a market day."""
        return standing_rows(self._ask, source.stream, date.fromisoformat(day))

    def _ask(self, sql: str) -> pl.DataFrame:
        return plain(self._hot, sql)

    def _since(self, topic: str, day: str, state: PartitionState) -> datetime | None:
        if day <= self._first.get(topic, day):
            every = (entry.partition for entry in self._ledger.entries(topic, limit=1_000_000) if entry.payloads)
            self._first[topic] = min(every, default=day)
        return begun(state) if day == self._first[topic] else None

    def _news(self, rules: Rules, entry: Entry) -> bool:
        """Whether the day was not judged yet as it stands now."""
        mark = mark_of(rules, entry)
        key = entry.feed, entry.partition
        if key not in self._done:
            sql = (
                f"SELECT build, checksum FROM {VERDICTS} WHERE feed = '{entry.feed}' "
                f"AND market_day = toDate32('{entry.partition}')"
            )
            found = self._hot.fetch(sql).to_pylist()
            same = bool(found) and (found[0]["build"], found[0]["checksum"]) == (entry.build, entry.checksum)
            self._done[key] = mark if same else ""
        return self._done[key] != mark


def finished_at(source: Source, day: str) -> datetime:
    """When a market day is over, and everything due of it has had twice its service level to come."""
    starts = starts_of(source.stream, day)
    ends = starts[-1] + source.stream.resolution
    return max(ends, due_at(source.stream, starts[-1], starts[0])) + 2 * source.stream.slo


def blocking(judgement: Judgement) -> list[Finding]:
    """Failed findings for which a day is held. A repeated row is stored once, so that readers never see it."""
    return [one for one in judgement.blocking if one.kind != Unique.kind]


def worse(rebuilt: Judgement, standing: Judgement) -> str:
    """What a rebuilt day fails that the standing one does not, or fails less; empty where it is as good."""
    stood = {one.check: one for one in standing.findings}
    for one in blocking(rebuilt):
        before = stood.get(one.check)
        passed = before is None or before.verdict is not Verdict.failed
        if passed or (one.value or 0.0) < ((before.value if before else None) or 0.0) - 1e-9:
            return f"{one.check}: {one.why}"
    return ""


def _told(judgement: Judgement) -> str:
    return "; ".join(f"{one.check}: {one.why}" for one in blocking(judgement)[:4])
