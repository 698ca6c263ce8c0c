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
from .held import bars_held, dataset_held, prices_held
from .known import Fetch, Known, not_reached, reached_at, why_empty
from .marks import mark
from .queries import BarsAsked
from .runs import runs_answering, several

_VERSIONS = {"interval_prices": "interval_prices_arrivals", "market_ticks": "market_ticks"}


@dataclass(frozen=True, slots=True)
class Question:
    """A statement; `where` finds every stored row of what it asks about, `told` is to be said whatever the answer.

    `held` tells what is stored, for an answer without rows; `mixed` what is mixed where the question named no run.
    """

    statement: str
    dataset: str
    where: str
    known: Known = field(default_factory=Known)
    told: str = ""
    marked: Callable[[Fetch], str] | None = None
    held: Callable[[Fetch], str] | None = None
    mixed: Callable[[Fetch], str] | None = None

    def note(self, fetch: Fetch, rows: int) -> str:
        """What must be said beside an answer of so many rows; empty where nothing must."""
        if rows or self.told or self.known.now:
            held = self.held(fetch) if self.held and not rows and not self.told else ""
            return "; ".join(filter(None, [self.told, self.marked(fetch) if self.marked else "", held]))
        why = why_empty(fetch, _VERSIONS.get(self.dataset, f"{self.dataset}_versions"), self.where, self.known)
        return why or (self.held(fetch) if self.held else "")

    def several(self, fetch: Fetch) -> str:
        """What to say where rows of several market runs answer and none was named; empty else. See `runs`."""
        return self.mixed(fetch) if self.mixed else ""


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


def _mixed(span: Span, known: Known) -> Callable[[Fetch], str] | None:
    if span.run:
        return None
    return lambda fetch: several((span.market, run) for run in runs_answering(fetch, span.where, known))


def _held(span: Span) -> Callable[[Fetch], str]:
    return partial(prices_held, market=span.market, locations=span.locations, run=span.run)


def of_prices(span: Span, known: Known, now: datetime) -> Question:
    """Interval prices as known then. Rows whose rung is not reached at `now` are left out, and that is said."""
    told = not_reached(known.rung, span.start, span.end, now) if known.rung else ""
    # What was known then was not held then; marks are of the present.
    marked = partial(mark, market=span.market, run=span.run, start=span.start, end=span.end) if known.now else None
    statement = queries.prices(*span.parts, known, now)
    beside = _held(span), _mixed(span, known)
    return Question(statement, "interval_prices", span.where, known, told, marked, *beside)


def of_change(span: Span, from_rung: str, to_rung: str, now: datetime) -> Question:
    """The price at one rung beside the price at a later one. Raises UnknownRung, QueryRefused for the wrong order."""
    clock = market_named(ladder(span.market).market).clock
    between = two_rungs(span.market, from_rung, to_rung, market_day_of(span.start, clock))
    statement = queries.change(span.market, span.start, span.end, between, span.locations, span.run, now)
    told = not_reached(between[1], span.start, span.end, now)
    known = Known(rung=between[1])
    return Question(statement, "interval_prices", span.where, known, told, None, _held(span), _mixed(span, known))


def of_bars(asked: BarsAsked, known: Known = queries.NOW) -> Question:
    """The bars of a place or instrument, of prices as known then."""
    where = queries.bars_where(asked)
    series = (
        "SELECT DISTINCT CAST(market, 'String') AS m, CAST(market_run, 'String') AS r "
        f"FROM {queries.bars_view(known)} WHERE {where}"
    )

    def mixed(fetch: Fetch) -> str:
        return several((row["m"], row["r"]) for row in fetch(series).to_pylist())

    held = partial(bars_held, locations=asked.locations, width=asked.width)
    one = asked.market and asked.run
    return Question(queries.bars(asked, known), "ohlc_bars", where, held=held, mixed=None if one else mixed)


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
    mine = queries.equal(instrument=instrument, tenant=tenant, source=source)
    held = partial(dataset_held, view="market_ticks", column="event_time", where=mine, what=instrument or "ticks")
    statement = queries.ticks(start, end, instrument, tenant, known, source)
    return Question(statement, "market_ticks", where, known, held=held)


def of_benchmarks(start: date, end: date, commodity: str | None, known: Known) -> Question:
    """Daily benchmarks as known then."""
    where = queries.benchmarks_where(start, end, commodity)
    mine, what = queries.equal(commodity=commodity), commodity or "benchmarks"
    held = partial(dataset_held, view="energy_prices", column="price_date", where=mine, what=what)
    return Question(queries.benchmarks(start, end, commodity, known), "energy_prices", where, known, held=held)


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
    mine, what = queries.equal(location=location), f"forecasts of {location}" if location else "forecasts"
    held = partial(dataset_held, view="weather_forecasts", column="forecast_time", where=mine, what=what)
    return Question(statement, "weather_forecasts", queries.forecasts_where(start, end, location), asked, held=held)


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
