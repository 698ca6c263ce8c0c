"""From states to a verdict: findings, the score, service levels. The score is defined here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from carbon254.calendars import interval_starts, market_day_of, market_day_span, market_days
from carbon254.model import Stream

from .check import Context, Finding, Verdict
from .metrics import metrics
from .partition import PartitionState, merged
from .rules import Rules
from .states import Prints, Tally
from .whole import completeness


@dataclass(frozen=True, slots=True)
class Service:
    """A service level: what was reached against what was promised; `value` is None where nothing could be judged."""

    name: str
    value: float | None
    target: float
    more_is_better: bool

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value > self.target if self.more_is_better else self.value < self.target


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a partition, or on many merged into one."""

    findings: tuple[Finding, ...]
    score: float | None
    services: tuple[Service, ...]
    metrics: Mapping[str, float]

    @property
    def missed(self) -> tuple[str, ...]:
        """Names of the targets that were missed."""
        return tuple(service.name for service in self.services if service.met is False)

    @property
    def failed(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict is Verdict.failed)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Failed findings for which rows should be held back."""
        return tuple(finding for finding in self.failed if finding.blocks)

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "score": self.score,
            "services": {service.name: service.value for service in self.services},
            "missed": list(self.missed),
            "findings": [asdict(finding) for finding in self.findings],
            "metrics": dict(self.metrics),
        }


def judge(state: PartitionState, rules: Rules, context: Context | None = None) -> Judgement:
    """The verdict on a state made by these rules. Without a context nothing is due and there is no history."""
    numbers = metrics(state)
    context = replace(context or Context(), metrics=numbers)
    findings = tuple(check.judge(state, context) for check in rules.checks)
    reached = score(findings)
    return Judgement(findings, reached, services(state, rules, context, reached), numbers)


def score(findings: Iterable[Finding]) -> float | None:
    """The weighted share of passed checks among those that passed or failed; None where all are unknown.

    Over many partitions it is the same share over all their findings.
    """
    weights = {Verdict.passed: 0.0, Verdict.failed: 0.0, Verdict.unknown: 0.0}
    for finding in findings:
        weights[finding.verdict] += finding.weight
    judged = weights[Verdict.passed] + weights[Verdict.failed]
    return weights[Verdict.passed] / judged if judged else None


def services(state: PartitionState, rules: Rules, context: Context, reached: float | None) -> tuple[Service, ...]:
    """Completeness, duplicates and lateness of the rows, and the score, against the rules' targets."""
    targets = rules.targets
    return (
        Service("score", reached, targets.score, True),
        Service("completeness", completeness(state, context), targets.completeness, True),
        Service("duplicates", _failed_share(state, "unique"), targets.duplicates, False),
        Service("late", _failed_share(state, "late"), targets.late, False),
    )


def together(parts: Sequence[tuple[PartitionState, Context]]) -> tuple[PartitionState, Context]:
    """The state and the context of many partitions of one feed: their rows and what was due of them."""
    due = [start for _, context in parts for start in context.due or ()]
    known = max((context.known_places for _, context in parts), default=0)
    said = any(context.due is not None for _, context in parts)
    return merged(state for state, _ in parts), Context(due=due if said else None, known_places=known)


def context_for(
    stream: Stream,
    start: datetime,
    end: datetime,
    at: datetime,
    *,
    since: datetime | None = None,
    history: Mapping[str, Sequence[float]] | None = None,
    earlier: Iterable[PartitionState] = (),
) -> Context:
    """What is due of [start, end) (UTC, whole market days) at the moment `at`, by the card's publication and service
    level; intervals before `since`, the first the feed ever brought, are not. `earlier` are states of days before."""
    past = history or {}
    places = sorted(past.get("places", ()))
    priced = stream.dataset == "interval_prices"
    due = _due(stream, start, end, at, since) if priced else None
    whole = (end - start) // stream.resolution
    step = stream.resolution
    newest = datetime.fromtimestamp(due[-1] / 1e6, start.tzinfo) + step if due else None
    return Context(
        due=due,
        fresh_by=newest,
        history=past,
        prints=frozenset(
            print_
            for state in earlier
            for kept in state.states.values()
            if isinstance(kept, Prints)
            for print_ in kept.by_block.values()
        ),
        over=len(due) == whole if due is not None else end <= at,
        known_places=round(places[len(places) // 2]) if places else 0,
    )


def _due(stream: Stream, start: datetime, end: datetime, at: datetime, since: datetime | None) -> list[int]:
    """Starts (µs) of the intervals that must have arrived."""
    days = list(market_days(start, end, stream.clock))
    if not days:
        return []
    starts = interval_starts(days[0], days[-1], stream.clock, stream.resolution)
    found = []
    by_day = stream.publication.anchor == "market_day"
    for day in days:
        opens, closes = market_day_span(day, stream.clock)
        out = opens + stream.publication.delay if by_day else None
        for begin in starts.filter((starts >= opens) & (starts < closes)).to_list():
            published = out or begin + stream.resolution + stream.publication.delay
            if start <= begin < end and published + stream.slo <= at and (since is None or begin >= since):
                found.append(round(begin.timestamp() * 1_000_000))
    return found


def partition_of(moment: datetime, stream: Stream) -> str:
    """The market day of an instant, as the ledger names it."""
    return market_day_of(moment, stream.clock).isoformat()


def _failed_share(state: PartitionState, name: str) -> float | None:
    tally = state.get(name, Tally)
    return tally.failed / tally.judged if tally.judged else None
