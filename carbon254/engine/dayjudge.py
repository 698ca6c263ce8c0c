"""The verdicts on a market day: its rows as readers have them, judged by all rules against what is due.

Verdict 1 judges what had arrived when everything due had its service level to come; later arrivals give verdict 2, and
so on (`cutoffs.py`). Each speaks of a fixed moment and is compared with the verdicts on earlier days as they stood
then, so that it follows from arrivals alone: whoever asks, how often, and however often the process died. Verdicts are
kept in the metric store (state, score, numbers), the last one in `verdicts` for readers, and in the audit trail when
it turns. A day whose verdict is `held` keeps its rows, with a mark for readers; what a rebuild made of it must not be
worse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from heapq import heapify, heappop, heappush

import polars as pl

from carbon254.calendars import market_day_span
from carbon254.clock import Clock
from carbon254.model import dataset
from carbon254.model.arrow import conform
from carbon254.quality import Finding, Judgement, PartitionState, Rules, Verdict, context_for, judge, observe
from carbon254.quality.row_checks import Unique
from carbon254.stores.hot import HotStore
from carbon254.stores.ledger import Act, Arrivals, Ledger
from carbon254.stores.ledger.marks import QUALITY
from carbon254.stores.metrics import Kept, MetricStore

from .cutoffs import closed_at, cutoffs
from .marking import Marker
from .quarantine import HELD, RELEASED
from .source import Source
from .standing import arrivals_of, begun, earlier_states, plain, rows_by, standing_rows

PUBLISHED = "published"
VERDICTS = "verdicts"
WHO = "gate"
_EVERY_S = 60.0
# Verdicts of one step: a year that is brought in must not hold up a stop.
_MANY = 64
# So many days are compared with the ones before them.
_LATER = 60
# A payload is stamped before it is noted.
_SETTLED = timedelta(minutes=1)
_UTC = pl.Datetime("us", "UTC")
Days = Mapping[str, Arrivals]


@dataclass(frozen=True, slots=True)
class DayVerdict:
    """How one market day was judged: the number of the verdict, and by when what it judges had arrived."""

    feed: str
    day: str
    number: int
    received_by: datetime
    status: str
    judgement: Judgement
    why: str


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    """A verdict that is due. Ordered by the moment it speaks of, then by day: what it is compared with comes first."""

    at: datetime
    day: str
    number: int


class DayJudge:
    """Judges market days of feeds that publish intervals.

    `verdicts` keeps each verdict with its state; `metrics` keeps how partitions stand, for scores over all feeds.
    `carried` says whether everything that has arrived of a feed is stored: before that nothing is judged.
    """

    def __init__(
        self,
        hot: HotStore,
        ledger: Ledger,
        metrics: MetricStore,
        verdicts: MetricStore,
        sources: Mapping[str, Source],
        clock: Clock,
        carried: Callable[[str], bool] = lambda topic: True,
        marker: Marker | None = None,
    ) -> None:
        self._hot, self._ledger, self._metrics, self._sources, self._clock = hot, ledger, metrics, sources, clock
        self.verdicts = self._verdicts = verdicts
        self._carried, self._marker = carried, marker
        self._done: dict[str, dict[str, str]] = {}
        self._closed: dict[tuple[str, str], datetime] = {}
        self._arrived: dict[tuple[str, str], tuple[str, list[tuple[datetime, str]]]] = {}
        self._next_s = 0.0

    def step(self) -> int:
        """Judge the days that finished or changed, once a minute; how many there were."""
        if self._clock.monotonic() < self._next_s:
            return 0
        done = self.settle(_MANY)
        if not done:
            self._next_s = self._clock.monotonic() + _EVERY_S
        return done

    def settle(self, most: int = _MANY) -> int:
        """Give the verdicts that are due now, at most so many; how many there were."""
        done = 0
        for _ in self.finals(self._clock.now()):
            done += 1
            if done == most:
                break
        if done and self._marker is not None:
            self._ledger.keep_mark(self._marker.at(self._verdicts.turns()), QUALITY)
        return done

    def judge_again(self, advance: Callable[[int], None] = lambda done: None) -> int:
        """Forget every verdict and give all of them anew; how many. `advance` gets how many so far."""
        given = 0
        self._verdicts.forget(max((mark.offset for mark in self._ledger.marks(QUALITY)), default=0))
        self._metrics.forget()
        self._done, self._arrived = {}, {}
        while done := self.settle():
            advance(given := given + done)
        return given

    def finals(self, now: datetime) -> Iterator[DayVerdict]:
        """Verdicts that are due by now and not given yet, or made of other arrivals than there are."""
        for source in self._sources.values():
            if source.rules is not None and source.stream.dataset == "interval_prices":
                yield from self._of_feed(source, source.rules, now)

    def _of_feed(self, source: Source, rules: Rules, now: datetime) -> Iterator[DayVerdict]:
        topic, digest = source.stream.topic, rules.digest
        if topic not in self._done:
            self._done[topic] = {day: told for day, told in self._verdicts.covered(topic).items() if told}
        days, done = self._ledger.arrivals(topic), self._done[topic]
        told = {day: f"{one.payloads} {one.last.isoformat()} {one.build} {digest}" for day, one in days.items()}
        fresh = [day for day in days if done.get(day) != told[day] and self._closes(source, day) + _SETTLED <= now]
        if not fresh or not self._carried(topic):
            return
        due: list[_Due] = []
        whole: dict[str, int] = {}
        for day in fresh:
            moments = cutoffs(source.stream, day, (at for at, _ in self._arrivals(source, day, told[day])))
            ready = [_Due(at, day, number) for number, at in enumerate(moments, 1) if at + _SETTLED <= now]
            due += ready
            if len(ready) == len(moments):
                whole[day] = len(moments)
        heapify(due)
        waiting = {(one.day, one.number) for one in due}
        while due:
            one = heappop(due)
            waiting.discard((one.day, one.number))
            last = whole.get(one.day) == one.number
            found, again = self._given(source, rules, one, days, told[one.day] if last else "")
            for later in again:
                if (later.day, later.number) not in waiting and later.day in told:
                    heappush(due, later)
                    waiting.add((later.day, later.number))
            if last:
                done[one.day] = told[one.day]
                self._arrived.pop((topic, one.day), None)
            if found is not None:
                yield found

    def _compared_again(self, topic: str, due: _Due) -> list[_Due]:
        """Verdicts that were compared with what stood before this one: in order of time there are none."""
        later = [_Due(at, day, number) for day, number, at in self._verdicts.after(topic, due.day, due.at, _LATER)]
        for day in {one.day for one in later}:
            # Whatever happens meanwhile, they are looked at again.
            self._done[topic].pop(day, None)
            kept = self._verdicts.get(topic, day)
            if kept is not None and kept.verdict.get("covers"):
                self._verdicts.put(_covering(kept, ""))
        return later

    def _given(
        self, source: Source, rules: Rules, due: _Due, days: Days, covers: str
    ) -> tuple[DayVerdict | None, list[_Due]]:
        """The verdict, kept, and those that were compared with what stood before it; None where it was given and
        stands. `covers` tells all arrivals, where it is of all."""
        topic = source.stream.topic
        arrived = self._arrivals(source, due.day, "")
        judged = hashlib.sha256(repr([one for one in arrived if one[0] <= due.at]).encode()).hexdigest()
        compared = self._verdicts.marks(topic, due.day, due.at)
        facts = [judged, days[due.day].build, rules.digest, *compared]
        mark = hashlib.sha256("\n".join(map(repr, facts)).encode()).hexdigest()
        kept = self._verdicts.numbered(topic, due.day, due.number)
        if kept is not None and kept.source == mark and kept.judged_at == due.at:
            if covers and kept.verdict.get("covers") != covers:
                self._verdicts.put(_covering(kept, covers))
            return None, []
        rows = rows_by(self._hot, source.stream, date.fromisoformat(due.day), due.at)
        state, judgement = self._judge(source, due.day, rows, due.at, days)
        found, at = self._told(source, due, judgement)
        self._write(source, found, judgement, days[due.day].build, judged, at)
        told = {"missed": list(judgement.missed), "failed": [one.check for one in judgement.failed], "covers": covers}
        verdict = Kept(topic, due.day, due.number, mark, state.to_bytes(), judgement.score, due.at, told,
                       judgement.metrics)  # fmt: skip
        if covers:
            # How the partition stands, for scores over all feeds; `c254 quality run` looks at the rows itself.
            build = days[due.day].build
            self._metrics.put(Kept(topic, due.day, build, f"verdict {mark}", verdict.state, judgement.score, due.at,
                                   told, judgement.metrics))  # fmt: skip
        again = self._compared_again(topic, due)
        self._verdicts.put(verdict)
        return found, again

    def _told(self, source: Source, due: _Due, judgement: Judgement) -> tuple[DayVerdict, datetime]:
        """The verdict as readers get it, and when it speaks; its turn goes into the audit trail."""
        topic, now = source.stream.topic, self._clock.now()
        sql = (
            f"SELECT status, number, received_by, judged_at FROM {VERDICTS} "
            f"WHERE feed = '{topic}' AND market_day = toDate32('{due.day}')"
        )
        before, number, by, at = next(plain(self._hot, sql).iter_rows(), ("", None, None, due.at))
        status, why = (RELEASED if before == RELEASED else HELD) if blocking(judgement) else PUBLISHED, _told(judgement)
        if status != (before or PUBLISHED):
            told = why or "every blocking check passes"
            self._ledger.record([Act(now, WHO, f"verdict {status}", topic, due.day, told)])
        # A person's word, or a rebuild's, about this very verdict came after it: it is given anew after that.
        anew = number == due.number and by is not None and at > by and at >= due.at
        return DayVerdict(topic, due.day, due.number, due.at, status, judgement, why), max(now, at) if anew else due.at

    def judge(self, source: Source, day: str, rows: pl.DataFrame, now: datetime) -> tuple[PartitionState, Judgement]:
        """What the rules say of rows of a market day, against what is due at `now` and the verdicts given by then."""
        return self._judge(source, day, rows, now, self._ledger.arrivals(source.stream.topic))

    def _judge(
        self, source: Source, day: str, rows: pl.DataFrame, at: datetime, days: Days
    ) -> tuple[PartitionState, Judgement]:
        assert source.rules is not None
        topic, span = source.stream.topic, market_day_span(date.fromisoformat(day), source.stream.clock)
        state = observe(rows, source.rules, span)
        # On a feed's first day ever, what lies before its first interval was never asked for.
        first = all(one >= day for one, arrived in days.items() if arrived.first <= at)
        context = context_for(
            source.stream,
            *span,
            at,
            since=begun(state) if first else None,
            history=self._verdicts.history(topic, day, by=at),
            earlier=list(earlier_states(self._verdicts, topic, day, at).values()),
        )
        return state, judge(state, source.rules, context)

    def _closes(self, source: Source, day: str) -> datetime:
        key = source.stream.topic, day
        if key not in self._closed:
            self._closed[key] = closed_at(source.stream, day)
        return self._closed[key]

    def _arrivals(self, source: Source, day: str, told: str) -> list[tuple[datetime, str]]:
        """When which payloads arrived; asked again where the ledger tells of others. Without `told` as asked last."""
        key = source.stream.topic, day
        kept = self._arrived.get(key)
        if kept is None or told not in ("", kept[0]):
            kept = self._arrived[key] = told, arrivals_of(self._hot, source.stream, date.fromisoformat(day))
        return kept[1]

    def mark(self, source: Source, day: str, status: str, why: str, now: datetime) -> None:
        """Say something of a day beside its verdicts: that it is released, or that a rebuild of it stays out."""
        topic = source.stream.topic
        sql = f"SELECT number, received_by FROM {VERDICTS} WHERE feed = '{topic}' AND market_day = toDate32('{day}')"
        last = next(plain(self._hot, sql).iter_rows(), (None, None))
        build = next((one.build for one in self._ledger.entries(topic, day)), 1)
        self._insert(source, day, {"status": status, "why": why, "number": last[0], "received_by": last[1],
                                   "build": build, "failed_checks": "", "checksum": "", "judged_at": now})  # fmt: skip

    def _write(
        self, source: Source, found: DayVerdict, judgement: Judgement, build: int, judged: str, at: datetime
    ) -> None:
        """Write a verdict where readers find it."""
        failed = [one.check for one in (*blocking(judgement), *judgement.failed)]
        completeness = next((one.value for one in judgement.services if one.name == "completeness"), None)
        self._insert(source, found.day, {
            "status": found.status, "why": found.why, "number": found.number, "received_by": found.received_by,
            "score": judgement.score, "completeness": completeness, "failed_checks": ", ".join(dict.fromkeys(failed)),
            "build": build, "checksum": judged, "judged_at": at,
        })  # fmt: skip

    def _insert(self, source: Source, day: str, told: Mapping[str, object]) -> None:
        stream = source.stream
        row = {"score": None, "completeness": None, **told, "feed": stream.topic, "market_day": date.fromisoformat(day),
               "market": stream.market, "market_run": stream.market_run}  # fmt: skip
        kinds = {"score": pl.Float64, "completeness": pl.Float64, "number": pl.Int64}
        frame = pl.DataFrame([row], schema_overrides={**kinds, "judged_at": _UTC, "received_by": _UTC})
        token = hashlib.sha256(repr(sorted(row.items(), key=lambda one: one[0])).encode()).hexdigest()
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


def _covering(kept: Kept, covers: str) -> Kept:
    return replace(kept, verdict={**kept.verdict, "covers": covers})


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
