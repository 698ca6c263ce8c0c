"""Routes that read what is made of prices and pushed beside them: bars and ticks."""

from __future__ import annotations

from fastapi import APIRouter, Response

from . import queries
from .answers import Format, query_answer
from .asked import End, Limit, Location, Market, Run, Start, Tz, Width
from .moments import span, zone_named
from .rooms import Rooms


def router(rooms: Rooms) -> APIRouter:
    """The routes, over these rooms."""
    routes = APIRouter(prefix="/v1", tags=["prices"])

    @routes.get("/ticks", summary="Pushed trades and quotes, newest first")
    def ticks(
        start: Start = None,
        end: End = None,
        instrument: str | None = None,
        tenant: str | None = None,
        tz: Tz = None,
        format: Format = Format.json,
        limit: Limit = None,
    ) -> Response:
        """Ticks of `[start, end)` by event time; the last day unless given."""
        zone = zone_named(tz, rooms.streams)
        since, until = span(start, end, zone, rooms.clock.now())
        return query_answer(rooms.hot, queries.ticks(since, until, instrument, tenant), format, zone, limit)

    @routes.get("/bars", summary="Open, high, low, close of a place or instrument")
    def bars(
        location: Location,
        width: Width = "1h",
        start: Start = None,
        end: End = None,
        market: Market = None,
        run: Run = None,
        tz: Tz = None,
        format: Format = Format.json,
        limit: Limit = None,
    ) -> Response:
        """Bars that start in `[start, end)`. A 1d bar starts at the market's own midnight."""
        zone = zone_named(tz, rooms.streams, market)
        since, until = span(start, end, zone, rooms.clock.now())
        return query_answer(rooms.hot, queries.bars(location, width, since, until, market, run), format, zone, limit)

    return routes
