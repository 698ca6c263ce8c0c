"""Routes that read what is made of prices and pushed beside them: bars and ticks."""

from __future__ import annotations

from fastapi import APIRouter, Response

from carbon254.names import Asked

from .answers import Format
from .asked import (
    AsOf,
    Basis,
    End,
    Limit,
    Location,
    Market,
    Run,
    Rung,
    Start,
    Strict,
    Tenant,
    TickSource,
    Tz,
    Width,
    known_then,
)
from .moments import span, zone_named
from .noted import answered
from .queries import BarsAsked
from .rooms import Rooms
from .vintages import of_bars, of_ticks


def router(rooms: Rooms) -> APIRouter:
    """The routes, over these rooms."""
    routes = APIRouter(prefix="/v1", tags=["prices"])

    @routes.get("/ticks", summary="Pushed trades and quotes, newest first")
    def ticks(
        start: Start = None,
        end: End = None,
        instrument: str | None = None,
        tenant: Tenant = None,
        source: TickSource = None,
        as_of: AsOf = None,
        tz: Tz = None,
        format: Format = Format.json,
        limit: Limit = None,
    ) -> Response:
        """Ticks of `[start, end)` by event time; the last day unless given. `as_of`: those received until then."""
        zone, now = zone_named(tz, rooms.streams), rooms.clock.now()
        since, until = span(start, end, zone, now)
        asked = known_then(as_of, zone, now)
        names = rooms.names.settle(Asked(instrument=instrument, tenant=tenant, source=source))
        question = of_ticks(since, until, names.instrument, names.tenant, asked, names.source)
        return answered(rooms, question, format, zone, limit)

    @routes.get("/bars", summary="Open, high, low, close of a place or instrument")
    def bars(
        location: Location,
        width: Width = "1h",
        start: Start = None,
        end: End = None,
        market: Market = None,
        run: Run = None,
        tenant: Tenant = None,
        source: TickSource = None,
        as_of: AsOf = None,
        strict: Strict = False,
        basis: Basis = None,
        rung: Rung = None,
        tz: Tz = None,
        format: Format = Format.json,
        limit: Limit = None,
    ) -> Response:
        """Bars that start in `[start, end)`. A 1d bar starts at the market's own midnight.

        Ticks of two tenants or sources are never mixed: an instrument that two sources push has a bar of each, told by
        `tenant` and `source`, which also narrow the answer. Of interval prices they are `public` and the market.

        With `as_of` or `rung` they are of prices as known then, by the same statement.
        Name the market and run where bars of several answer: a `Warning` lists them (422 with C254_STRICT=1).
        """
        names = rooms.names.settle(Asked(market, run, series=(location,), tenant=tenant, source=source))
        zone, now = zone_named(tz, rooms.streams, names.market), rooms.clock.now()
        since, until = span(start, end, zone, now)
        asked = known_then(as_of, zone, now, strict, basis, rung, names.market)
        wanted = BarsAsked(names.series, width, since, until, names.market, names.run, names.tenant, names.source)
        return answered(rooms, of_bars(wanted, asked), format, zone, limit)

    return routes
