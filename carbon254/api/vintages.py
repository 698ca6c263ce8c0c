"""Questions about what was known: each is a statement, and what must be said beside its answer.

The same questions serve Python, HTTP and the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from carbon254.calendars import market as market_named
from carbon254.calendars import market_day_of
from carbon254.errors import QueryRefused
from carbon254.model.ladders import Rung, gate, ladder
from carbon254.model.ladders import rung as rung_named

from . import queries
from .known import Fetch, Known, not_reached, reached_at, why_empty
from .marks import mark

_VERSIONS = {"interval_prices": "interval_prices_arrivals", "market_ticks": "market_ticks"}


@dataclass(frozen=True, slots=True)
class Question:
    """A statement; `where` finds every stored row of what it asks about, `told` is to be said whatever the answer."""

    statement: str
    dataset: str
    where: str
    known: Known = field(default_factory=Known)
    told: str = ""
    marked: Callable[[Fetch], str] | None = None

    def note(self, fetch: Fetch, rows: int) -> str:
        """What must be said beside an answer of so many rows; empty where nothing must."""
        if rows or self.told or self.known.now:
            return "; ".join(filter(None, [self.told, self.marked(fetch) if self.marked else ""]))
        return why_empty(fetch, _VERSIONS.get(self.dataset, f"{self.dataset}_versions"), self.where, self.known)


@dataclass(frozen=True, slots=True)
class Span:
    """Interval prices of a market that start in [start, end)."""

    market: str
    start: datetime
    end: datetime
    locations: Sequence[str] = ()
    run: str | None = None

    @property
    def where(self) -> str:
        return queries.span_where(self.market, self.start, self.end, self.locations, self.run)

    @property
    def parts(self) -> tuple[str, datetime, datetime, Sequence[str], str | None]:
        return self.market, self.start, self.end, self.locations, self.run


def of_prices(span: Span, known: Known, now: datetime) -> Question:
    """Interval prices as known then. Rows whose rung is not reached at `now` are left out, and that is said."""
    told = not_reached(known.rung, span.start, span.end, now) if known.rung else ""
    # What was known then was not held then; marks are of the present.
    marked = partial(mark, market=span.market, run=span.run, start=span.start, end=span.end) if known.now else None
    return Question(queries.prices(*span.parts, known, now), "interval_prices", span.where, known, told, marked)


def of_change(span: Span, from_rung: str, to_rung: str, now: datetime) -> Question:
    """The price at one rung beside the price at a later one. Raises UnknownRung, QueryRefused for the wrong order."""
    clock = market_named(ladder(span.market).market).clock
    between = two_rungs(span.market, from_rung, to_rung, market_day_of(span.start, clock))
    statement = queries.change(span.market, span.start, span.end, between, span.locations, span.run, now)
    told = not_reached(between[1], span.start, span.end, now)
    return Question(statement, "interval_prices", span.where, Known(rung=between[1]), told)


def two_rungs(market: str, from_rung: str, to_rung: str, day: date) -> tuple[Rung, Rung]:
    """Both rungs of a change. Raises UnknownRung, and QueryRefused where the first is not the earlier one."""
    earlier, later = rung_named(market, from_rung), rung_named(market, to_rung)
    if reached_at(earlier, day) >= reached_at(later, day):
        raise QueryRefused(f"{later.name} does not come after {earlier.name}: exchange them")
    return earlier, later


def of_ticks(
    start: datetime,
    end: datetime,
    instrument: str | None,
    tenant: str | None,
    known: Known,
    source: str | None = None,
) -> Question:
    """Pushed ticks received until then."""
    where = queries.ticks_where(start, end, instrument, tenant, source)
    return Question(queries.ticks(start, end, instrument, tenant, known, source), "market_ticks", where, known)


def of_benchmarks(start: date, end: date, commodity: str | None, known: Known) -> Question:
    """Daily benchmarks as known then."""
    where = queries.benchmarks_where(start, end, commodity)
    return Question(queries.benchmarks(start, end, commodity, known), "energy_prices", where, known)


def of_forecasts(
    start: datetime, end: datetime, location: str | None, known: Known, at_gate: str = "", every: bool = False
) -> Question:
    """Forecasts as known then; with `at_gate` (a market) when its day-ahead gate closed for each period's day.

    The newest issue of each period, unless every one is asked for. Raises UnknownRung for a market without a gate.
    """
    if at_gate and not known.now:
        raise QueryRefused("a gate says when by itself; leave as_of and the basis out")
    named = gate(at_gate).market if at_gate else ""
    statement = queries.forecasts(start, end, location, known, named, every)
    asked = Known(rung=Rung(named, "gate", "days", 0, "", "")) if named else known
    return Question(statement, "weather_forecasts", queries.forecasts_where(start, end, location), asked)


def ladder_facts(market: str) -> dict[str, Any]:
    """A market's rungs with their meaning and basis, and its gate. When a price is never revised again is unknown."""
    found = ladder(market)
    rungs = [
        {"rung": rung.name, "set": rung.set, "meaning": rung.meaning, "basis": rung.basis, "source": rung.source}
        for rung in found.rungs
    ]
    closes = {
        "days_before": found.gate.days_before,
        "time": found.gate.at.isoformat("minutes"),
        "clock": market_named(found.market).clock,
        "basis": found.gate.basis,
    }
    return {"market": found.market, "rungs": rungs, "gate": closes, "never_revised_after": None}


def rungs_of_day(market: str, day: date, now: datetime) -> list[dict[str, Any]]:
    """Each rung of one market day: when it is reached, and whether it is."""
    found = []
    for rung in ladder(market).rungs:
        when = reached_at(rung, day).astimezone(UTC)
        found.append(
            {"rung": rung.name, "set": rung.set, "reached_at": when, "reached": when <= now, "basis": rung.basis}
        )
    return found
