"""Names in requests as they are kept, and the route that tells them; parameters that a route does not have."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.routing import APIRoute

from carbon254.errors import UnknownName
from carbon254.names import Asked
from carbon254.nearest import unknown

from .asked import Locations, Market, Run, TickSource
from .rooms import Rooms

Series = Annotated[list[str] | None, Query(description="Places or instruments, as bars have them; repeat for more")]


def router(rooms: Rooms) -> APIRouter:
    """The route, over these rooms."""
    routes = APIRouter(prefix="/v1", tags=["node"])

    @routes.get("/names", summary="Names as they are kept")
    def names(
        market: Market = None,
        run: Run = None,
        location: Locations = None,
        series: Series = None,
        instrument: str | None = None,
        tenant: str | None = None,
        commodity: str | None = None,
        area: Annotated[str | None, Query(description="What a forecast is for")] = None,
        source: TickSource = None,
    ) -> dict[str, Any]:
        """Each name in the spelling it is kept in, places with every spelling and id that mean them (retired ones too).

        A name that is none answers 422 with the nearest ones.
        """
        asked = Asked(
            market=market, run=run, locations=tuple(location or ()), series=tuple(series or ()), instrument=instrument,
            tenant=tenant, source=source, commodity=commodity, area=area,
        )  # fmt: skip
        found = rooms.names.settle(asked)
        return {
            "market": found.market, "run": found.run, "locations": found.locations, "series": found.series,
            "instrument": found.instrument, "tenant": found.tenant, "commodity": found.commodity, "area": found.area,
            "source": found.source,
        }  # fmt: skip

    return routes


def only_known_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not have: `?runn=DAM` must not answer for every run."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = [field.alias for field in route.dependant.query_params]
    for name in request.query_params:
        if name not in known:
            raise UnknownName(f"{unknown('parameter', name, known)} (what each route takes is at /docs)")
