"""Asking from Python for prices, ticks, benchmarks, forecasts and bars, now or as they were known.

At a moment (`as_of`), at a settlement rung (`rung`), or when a market's day-ahead gate closed (`at_gate`). `basis` says
by what a row counts as known: `published` (its `known_at`), `strict` (the same without assumed times) or `received`
(what this workspace held then).
"""

from __future__ import annotations

import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from carbon254.api import vintages as ask
from carbon254.api.cells import told_apart
from carbon254.api.known import Known, known
from carbon254.api.queries import BarsAsked
from carbon254.api.runs import told_or_refused
from carbon254.calendars import align, moment_of
from carbon254.calendars.moments import one_day
from carbon254.calendars.zones import zone_name
from carbon254.errors import RunsMixed
from carbon254.model import Stream
from carbon254.model.bars import WIDTHS
from carbon254.names import Asked, in_order
from carbon254.nearest import pick
from carbon254.proof.receipt import Receipt

if TYPE_CHECKING:
    import pandas as pd

Moment = str | date | datetime


class Result:
    """An answer; `receipt` if one was asked for; `note` says why it is empty, what it mixes or what was left out.

    Zero-copy to anything that reads the Arrow stream interface.
    """

    def __init__(self, table: pa.Table, receipt: Receipt | None = None, note: str = "") -> None:
        self._table, self.receipt, self.note = table, receipt, note

    def to_arrow(self) -> pa.Table:
        """As a pyarrow table; times are UTC."""
        return self._table

    def to_polars(self) -> pl.DataFrame:
        """As a Polars frame; times are UTC."""
        return pl.DataFrame(told_apart(self._table))

    def to_pandas(self) -> pd.DataFrame:
        """As a pandas frame; needs the `pandas` extra."""
        return self._table.to_pandas()

    def in_time_zone(self, zone: str) -> Result:
        """The same instants told in `zone`. Raises BadLabel for a name that is none."""
        zone, frame = zone_name(zone), self.to_polars()
        timed = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone]
        told = frame.with_columns(pl.col(name).dt.convert_time_zone(zone) for name in timed)
        return Result(told.to_arrow(), self.receipt, self.note)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return self._table.num_rows

    def __repr__(self) -> str:
        return "\n".join(filter(None, [repr(self.to_polars()), self.note]))


class Vintages(ABC):
    """The questions a reader answers. Dates and naive times are read in `tz` (UTC unless given), answers told in it.

    A naive time that the zone's clock skips or shows twice raises BadLabel: write it with its offset.
    """

    @abstractmethod
    def sql(self, statement: str, *, receipt: bool = False) -> Result:
        """Run one read-only statement."""

    @abstractmethod
    def streams(self) -> Mapping[str, Stream]:
        """The feeds' cards, by topic."""

    @abstractmethod
    def settle(self, names: Asked) -> Asked:
        """The names of a question as they are kept. Raises UnknownName with the nearest ones."""

    @abstractmethod
    def strict(self) -> bool:
        """Whether an answer that mixes market runs is refused (C254_STRICT=1) and not only warned of."""

    def prices(
        self,
        market: str,
        start: Moment,
        end: Moment,
        locations: str | Sequence[str] = (),
        *,
        run: str | None = None,
        as_of: str | datetime | None = None,
        rung: str = "",
        strict: bool = False,
        basis: str = "",
        tz: str | None = None,
        receipt: bool = False,
    ) -> Result:
        """Interval prices of [start, end) in USD/MWh: current, as known at `as_of`, or at a rung such as S14.

        Locations are the provider's names or ids, former ones too. Name the run where several answer: RunsMixed warns,
        and with C254_STRICT=1 SeveralRuns is raised. Raises UnknownName (UnknownRung for rungs) with the nearest names.
        """
        span = self._span(market, start, end, locations, run, tz)
        question = ask.of_prices(span, _known(as_of, strict, basis, rung, span.market, tz), _now())
        return self._answer(question, tz, receipt)

    lmp = prices

    def change(
        self,
        market: str,
        start: Moment,
        end: Moment,
        from_rung: str,
        to_rung: str,
        locations: str | Sequence[str] = (),
        *,
        run: str | None = None,
        tz: str | None = None,
        receipt: bool = False,
    ) -> Result:
        """`lmp_from`, `lmp_to` and `change` (USD/MWh) of each interval, from one rung to a later one.

        `change` is missing where either price is; `changed` tells whether any component did. Raises UnknownRung.
        """
        span = self._span(market, start, end, locations, run, tz)
        return self._answer(ask.of_change(span, from_rung, to_rung, _now()), tz, receipt)

    def ticks(
        self,
        start: Moment,
        end: Moment,
        instrument: str | None = None,
        *,
        tenant: str | None = None,
        source: str | None = None,
        as_of: str | datetime | None = None,
        aligned: bool = False,
        tz: str | None = None,
    ) -> Result:
        """Pushed trades and quotes of [start, end), newest first; those received until `as_of`.

        With `aligned` each has `aligned_time`, `skew` and `skew_status` beside its own event time: how far the clock of
        its source stands off, reckoned from the ticks of the answer (see `calendars.align`).
        """
        since, until = _between(start, end, tz)
        names = self.settle(Asked(instrument=instrument, tenant=tenant, source=source))
        known = _known(as_of, tz=tz)
        found = self._answer(ask.of_ticks(since, until, names.instrument, names.tenant, known, names.source))
        if aligned:
            told = align(found.to_polars(), source=("tenant", "source"))
            found = Result(told.to_arrow(), found.receipt, found.note)
        return found.in_time_zone(tz) if tz else found

    def benchmarks(
        self,
        start: date | str,
        end: date | str,
        commodity: str | None = None,
        *,
        as_of: str | datetime | None = None,
        strict: bool = False,
        basis: str = "",
    ) -> Result:
        """`energy_prices`: one benchmark a commodity and date of [start, end), current or as known at `as_of`."""
        first, last = in_order(_day(start), _day(end))
        named = self.settle(Asked(commodity=commodity)).commodity
        return self._answer(ask.of_benchmarks(first, last, named, _known(as_of, strict, basis)))

    def forecasts(
        self,
        start: Moment,
        end: Moment,
        location: str | None = None,
        *,
        as_of: str | datetime | None = None,
        at_gate: str = "",
        every: bool = False,
        strict: bool = False,
        basis: str = "",
        tz: str | None = None,
    ) -> Result:
        """Weather forecasts of the periods that start in [start, end): the newest issue of each, or `every` one.

        As known at `as_of`, or, with `at_gate="MISO"`, when that market's day-ahead gate closed for each period's day.
        """
        since, until = _between(start, end, tz)
        named, asked = self.settle(Asked(area=location)).area, _known(as_of, strict, basis, tz=tz)
        return self._answer(ask.of_forecasts(since, until, named, asked, at_gate, every), tz)

    def bars(
        self,
        location: str,
        width: str,
        start: Moment,
        end: Moment,
        *,
        market: str | None = None,
        run: str | None = None,
        tenant: str | None = None,
        source: str | None = None,
        as_of: str | datetime | None = None,
        rung: str = "",
        strict: bool = False,
        basis: str = "",
        tz: str | None = None,
    ) -> Result:
        """Bars of a place or instrument, computed from its prices as known then; a 1d bar is a market day.

        An instrument that two tenants or sources push has a bar of each, told by the columns `tenant` and `source`,
        which also narrow the answer; of interval prices they are `public` and the market. Name the market and run where
        bars of several answer, as for `prices`.
        """
        since, until = _between(start, end, tz)
        wide = pick("width of bars", width, WIDTHS)
        names = self.settle(Asked(market, run, series=(location,), tenant=tenant, source=source))
        asked = BarsAsked(names.series, wide, since, until, names.market, names.run, names.tenant, names.source)
        when = _known(as_of, strict, basis, rung, names.market or "", tz)
        return self._answer(ask.of_bars(asked, when), tz)

    def ladder(self, market: str) -> dict[str, Any]:
        """The market's rungs with meaning and basis, and its gate. When a price stops changing is unknown."""
        return ask.ladder_facts(market)

    def _span(
        self, market: str, start: Moment, end: Moment, locations: str | Sequence[str], run: str | None, tz: str | None
    ) -> ask.Span:
        wanted = (locations,) if isinstance(locations, str) else tuple(locations)
        names = self.settle(Asked(market, run, wanted))
        return ask.Span(names.market or market, *_between(start, end, tz), names.locations, names.run)

    def _answer(self, question: ask.Question, tz: str | None = None, receipt: bool = False) -> Result:
        mixed = self._mixed(question.several(self._fetch))
        found = self.sql(question.statement, receipt=receipt)
        found.note = "; ".join(filter(None, [mixed, question.note(self._fetch, len(found))]))
        return found.in_time_zone(tz) if tz else found

    def _mixed(self, text: str) -> str:
        """Warn of what an answer mixes. Raises SeveralRuns where that is refused."""
        told = told_or_refused(text, self.strict())
        if told:
            warnings.warn(told, RunsMixed, stacklevel=_asking_line())
        return told

    def _fetch(self, sql: str) -> pa.Table:
        return self.sql(sql).to_arrow()


def instant(value: Moment, zone: str = "UTC") -> datetime:
    """An instant from a datetime, a date (its start) or ISO text; naive values are told in `zone`; `now` is now.

    Raises BadLabel for what names no instant, also for a time that the zone's clock skips or shows twice.
    """
    return moment_of(value, zone_name(zone), _now())


def _day(value: Any) -> date:
    """A date, also by a word such as `yesterday` (of UTC). Raises BadLabel."""
    named = (isinstance(value, str) and not value[:1].isdigit()) or str(value).endswith("ago")
    return instant(value).date() if named else one_day(value)


def _between(start: Moment, end: Moment, tz: str | None) -> tuple[datetime, datetime]:
    """[start, end) in UTC. Raises WrongSpan where the end is not after the start."""
    zone = tz or "UTC"
    return in_order(instant(start, zone), instant(end, zone))


def _asking_line() -> int:
    """How many calls up the first line outside this package is, as `warnings.warn` counts from its caller."""
    frame, up = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("carbon254."):
        frame, up = frame.f_back, up + 1
    return up


def _known(
    as_of: str | datetime | None,
    strict: bool = False,
    basis: str = "",
    rung: str = "",
    market: str = "",
    tz: str | None = None,
) -> Known:
    moment = instant(as_of, tz or "UTC") if as_of is not None else None
    return known(moment, strict=strict, basis=basis, rung=rung, market=market)


def _now() -> datetime:
    return datetime.now(UTC)
