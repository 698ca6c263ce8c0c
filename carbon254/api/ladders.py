"""Routes of what has vintages beside prices: settlement ladders and changes, benchmarks and forecasts as known then."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response

from carbon254.names import Asked, in_order

from .answers import Format
from .asked import AsOf, Basis, End, Limit, Locations, OneMarket, Run, Start, Strict, Tz, known_then
from .moments import span, zone_named
from .noted import answered
from .receipts import WithReceipt
from .rooms import Rooms
from .vintages import Span, ladder_facts, of_benchmarks, of_change, of_forecasts, rungs_of_day


def router(rooms: Rooms) -> APIRouter:
    """The routes, over these rooms."""
    routes = APIRouter(prefix="/v1", tags=["as known then"])
    _rungs(routes, rooms)
    _vintages(routes, rooms)
    return routes


def _rungs(routes: APIRouter, rooms: Rooms) -> None:
    @routes.get("/ladders/{market}", summary="A market's settlement ladder and day-ahead gate")
    def ladder(
        market: str, day: Annotated[str | None, Query(description="Market day; adds when each rung is reached")] = None
    ) -> dict[str, Any]:
        """Each rung with its meaning and how sure we are of it (P primary source, S secondary, K not looked up).
        `never_revised_after` is null: no operator says when a price stops changing.
        """
        facts = ladder_facts(market)
        if day:
            facts["of_day"] = rungs_of_day(market, _date(day), rooms.clock.now())
        return facts

    @routes.get("/prices/change", summary="The price at one settlement rung beside a later one")
    def change(
        market: OneMarket,
        from_rung: Annotated[str, Query(description="The earlier rung, e.g. S7")],
        to_rung: Annotated[str, Query(description="The later rung, e.g. S105")],
        start: Start = None,
        end: End = None,
        location: Locations = None,
        run: Run = None,
        tz: Tz = None,
        format: Format = Format.json,
        limit: Limit = None,
        receipt: WithReceipt = False,
    ) -> Response:
        """`lmp_from`, `lmp_to` and their difference `change` in USD/MWh, one row an interval of `[start, end)`."""
        names, now = rooms.names.settle(Asked(market, run, tuple(location or ()))), rooms.clock.now()
        zone = zone_named(tz, rooms.streams, names.market)
        since, until = span(start, end, zone, now)
        asked = Span(names.market or market, since, until, names.locations, names.run)
        question = of_change(asked, from_rung, to_rung, now)
        return answered(rooms, question, format, zone, limit, receipt)


def _vintages(routes: APIRouter, rooms: Rooms) -> None:
    @routes.get("/benchmarks", summary="Daily benchmark prices, current or as they were known")
    def benchmarks(
        start: Annotated[str, Query(description="First date, included")],
        end: Annotated[str, Query(description="Last date, not included")],
        commodity: str | None = None,
        as_of: AsOf = None,
        strict: Strict = False,
        basis: Basis = None,
        tz: Tz = None,
        format: Format = Format.json,
        limit: Limit = None,
    ) -> Response:
        """The rows of `energy_prices`: one benchmark a commodity and date."""
        zone = zone_named(tz, rooms.streams)
        asked = known_then(as_of, zone, rooms.clock.now(), strict, basis)
        names, (first, last) = rooms.names.settle(Asked(commodity=commodity)), in_order(_date(start), _date(end))
        return answered(rooms, of_benchmarks(first, last, names.commodity, asked), format, zone, limit)

    @routes.get("/forecasts", summary="Weather forecasts: newest, as known then, or at gate closure")
    def forecasts(
        start: Start = None,
        end: End = None,
        location: str | None = None,
        as_of: AsOf = None,
        at_gate: Annotated[str | None, Query(description="Market whose day-ahead gate says when, e.g. MISO")] = None,
        every: Annotated[bool, Query(description="Every issue, not only the newest of each period")] = False,
        strict: Strict = False,
        basis: Basis = None,
        tz: Tz = None,
        format: Format = Format.json,
        limit: Limit = None,
    ) -> Response:
        """Forecasts of the periods that start in `[start, end)`; the newest issue of each that was known then."""
        zone, now = zone_named(tz, rooms.streams), rooms.clock.now()
        since, until = span(start, end, zone, now)
        asked = known_then(as_of, zone, now, strict, basis)
        names = rooms.names.settle(Asked(area=location))
        question = of_forecasts(since, until, names.area, asked, at_gate or "", every)
        return answered(rooms, question, format, zone, limit)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise HTTPException(400, f"{text[:60]!r} is not a date; write it like 2025-11-02") from None
