"""Routes that read interval prices: the newest ones, and spans, current or as they were known."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from carbon254.names import Asked

from .answers import Format, json_bytes, rows_json
from .asked import AsOf, Basis, End, Limit, Locations, Market, OneMarket, Run, Rung, Start, Strict, Tz, known_then
from .board import Board
from .moments import MARKET, as_text, in_market_clocks, span, zone_named
from .noted import answered
from .receipts import WithReceipt
from .rooms import Rooms
from .vintages import Span, of_prices


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
        names = rooms.names.settle(Asked(market, run, tuple(location or ())))
        each_its_own = (tz or "").lower() == MARKET and not market
        zone = "" if each_its_own else zone_named(tz, rooms.streams, names.market)
        found = board.prices(names.market, names.run, list(names.locations))
        if found is None:
            return json_bytes(b'{"count":0,"total":0,"rows":[]}')
        cut = found.head(limit)
        rows = in_market_clocks(cut, rooms.streams) if each_its_own else as_text(cut, zone)
        facts: dict[str, object] = {"count": cut.height, "total": found.height}
        head = orjson.dumps(facts | ({"emulated": True} if rooms.emulated else {}))
        return json_bytes(head[:-1] + b',"rows":' + rows_json(rows) + b"}")

    @routes.get("/prices", summary="Interval prices of a span, current or as they were known")
    def prices(
        market: OneMarket,
        start: Start = None,
        end: End = None,
        location: Locations = None,
        run: Run = None,
        as_of: AsOf = None,
        strict: Strict = False,
        basis: Basis = None,
        rung: Rung = None,
        tz: Tz = None,
        format: Format = Format.json,
        limit: Limit = None,
        receipt: WithReceipt = False,
    ) -> Response:
        """One row an interval, `[start, end)`; naive times are read in `tz`. LMP and components are in USD/MWh.

        `as_of` gives what was known then, `rung` what was known at a step of the market's settlement ladder; `note`
        (`X-Note` for CSV and Arrow) says why an answer is empty and which days have not reached the rung. Name the run
        where several answer: a `Warning` lists them, and a node with C254_STRICT=1 answers 422.
        """
        names, now = rooms.names.settle(Asked(market, run, tuple(location or ()))), rooms.clock.now()
        zone = zone_named(tz, rooms.streams, names.market)
        since, until = span(start, end, zone, now)
        asked = known_then(as_of, zone, now, strict, basis, rung, names.market)
        question = of_prices(Span(names.market or market, since, until, names.locations, names.run), asked, now)
        return answered(rooms, question, format, zone, limit, receipt)

    return routes
