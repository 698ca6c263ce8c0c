"""Routes that read what is made of prices and pushed beside them: bars and ticks."""

from __future__ import annotations

from fastapi import APIRouter, Response

from . import queries
from .answers import Format, most_rows, query_answer, rows_answer
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
from .bars_known import BarsAsked, bars_as_known
from .moments import span, zone_named
from .noted import answered
from .rooms import Rooms
from .vintages import of_ticks


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
        return answered(rooms, of_ticks(since, until, instrument, tenant, asked, source), format, zone, limit)

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

        With `as_of` or `rung` they are computed from prices as known then, by the function that makes the stored ones.
        """
        zone, now = zone_named(tz, rooms.streams, market), rooms.clock.now()
        since, until = span(start, end, zone, now)
        asked = known_then(as_of, zone, now, strict, basis, rung, market)
        if not asked.now:
            bars = BarsAsked(location, width, since, until, market, run, tenant, source)
            known = bars_as_known(rooms.hot.query, rooms.streams, bars, asked)
            most = rooms.hot.limits.answer_bytes
            return rows_answer(known, format, zone, most_rows(format, limit), most).response()
        statement = queries.bars(location, width, since, until, market, run, tenant, source)
        return query_answer(rooms.hot, statement, format, zone, limit).response()

    return routes
