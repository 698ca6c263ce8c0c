"""Routes that read prices: the newest ones, spans of intervals, ticks and bars."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
import polars as pl
from fastapi import APIRouter, HTTPException, Query, Response

from . import queries
from .answers import JSON_ROWS, Format, json_bytes, rows_answer, rows_json
from .board import Board
from .moments import MARKET, as_text, in_market_clocks, instant, span, zone_named
from .rooms import Rooms

_MOST = 5_000_000
Tz = Annotated[str | None, Query(description="IANA zone to tell times in, or `market` for its clock; UTC if not given")]
Start = Annotated[str | None, Query(description="ISO 8601, included; a day before `end` if not given")]
End = Annotated[str | None, Query(description="ISO 8601, not included; now if not given")]
Market = Annotated[str | None, Query(description="Market, e.g. SPP")]
Run = Annotated[str | None, Query(description="Market run in the operator's own term, e.g. DAM")]
Locations = Annotated[list[str] | None, Query(description="The provider's name or id of a place; repeat for more")]
Limit = Annotated[
    int | None, Query(ge=1, le=_MOST, description="Most rows; JSON 10,000, CSV and Arrow all, if not given")
]
Width = Literal["1m", "5m", "15m", "1h", "1d"]


def router(rooms: Rooms, board: Board) -> APIRouter:
    """The routes, over these rooms."""
    routes = APIRouter(prefix="/v1", tags=["prices"])

    @routes.get("/prices/latest", summary="The newest price of each place")
    def latest(
        market: Market = None,
        run: Run = None,
        location: Locations = None,
        limit: Annotated[int, Query(ge=1, le=100_000)] = 1_000,
        tz: Tz = None,
    ) -> Response:
        """Hubs and zones first. `stale` says that a newer price is overdue by the feed's own schedule (null where no
        card tells), `age_s` counts from `known_at`, `flag_names` spells `flags` out. LMP is in USD/MWh.
        """
        found = board.prices(market, run, location)
        if found is None:
            return json_bytes(b'{"count":0,"total":0,"rows":[]}')
        cut = found.head(limit)
        per_market = tz == MARKET and not market
        rows = in_market_clocks(cut, rooms.streams) if per_market else as_text(cut, _zone(rooms, tz, market))
        head = orjson.dumps({"count": cut.height, "total": found.height})
        return json_bytes(head[:-1] + b',"rows":' + rows_json(rows) + b"}")

    @routes.get("/prices", summary="Interval prices of a span, current or as they were known")
    def prices(
        market: Annotated[str, Query(description="Market, e.g. SPP")],
        start: Start = None,
        end: End = None,
        location: Locations = None,
        run: Run = None,
        as_of: Annotated[str | None, Query(description="What was known then; ISO 8601")] = None,
        strict: Annotated[bool, Query(description="Leave out rows whose known_at was assumed")] = False,
        tz: Tz = None,
        format: Format = Format.json,
        limit: Limit = None,
    ) -> Response:
        """One row an interval, `[start, end)`; naive times are read in `tz`. LMP and components are in USD/MWh."""
        zone, now = _zone(rooms, tz, market), rooms.clock.now()
        since, until = span(start, end, zone, now)
        known = instant(as_of, zone, now) if as_of else None
        statement = queries.prices(market, since, until, location or (), run, known, strict)
        return _answer(rooms, statement, format, zone, limit)

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
        zone = _zone(rooms, tz, None)
        since, until = span(start, end, zone, rooms.clock.now())
        most = limit or (JSON_ROWS if format is Format.json else _MOST)
        statement = queries.ticks(since, until, instrument, tenant, most + 1)
        return rows_answer(pl.DataFrame(rooms.hot.fetch(statement)), format, zone, most)

    @routes.get("/bars", summary="Open, high, low, close of a place or instrument")
    def bars(
        location: Annotated[str, Query(description="Name or id of the place, or the instrument")],
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
        zone = _zone(rooms, tz, market)
        since, until = span(start, end, zone, rooms.clock.now())
        return _answer(rooms, queries.bars(location, width, since, until, market, run), format, zone, limit)

    return routes


def _zone(rooms: Rooms, tz: str | None, market: str | None) -> str:
    return zone_named(tz, rooms.streams, market)


def _answer(rooms: Rooms, statement: str, form: Format, zone: str, limit: int | None) -> Response:
    most = limit or (JSON_ROWS if form is Format.json else _MOST)
    if form is Format.json and most > 100_000:
        raise HTTPException(400, "ask for at most 100,000 rows as JSON; take format=arrow or csv for more")
    table = rooms.hot.fetch(f"{statement} LIMIT {most + 1}")
    return rows_answer(pl.DataFrame(table), form, zone, most)
