"""Routes about the node itself: health, readiness, metrics, feeds, datasets, dead letters."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from carbon254.model import catalogue
from carbon254.names import sender
from carbon254.stores.log import Letter

from .asked import AnyCase
from .feeds import overview
from .moments import day_text
from .rooms import Rooms


def standing(rooms: Rooms) -> APIRouter:
    """Health, readiness and metrics: what every service answers."""
    routes = APIRouter(tags=["node"])
    # Threads of their own: what tells how the node stands never waits behind those who ask it for rows.
    threads = ThreadPoolExecutor(4, "c254-standing")

    @routes.get("/health", summary="Whether the process lives")
    async def health() -> dict[str, str]:
        """200 for as long as it does."""
        return {"status": "ok", "version": version("carbon254")}

    @routes.get("/ready", summary="Whether readers can rely on it", responses={503: {"description": "Not ready"}})
    async def ready() -> JSONResponse:
        """200 when every consumer carries on, every room it needs answers and no store lacks anything; 503 with the
        reasons by name else. `notes` is what was healed when the workspace was opened, where anything was."""
        trouble = await asyncio.get_running_loop().run_in_executor(threads, rooms.trouble)
        status = "not ready" if trouble else "ready"
        notes = {"notes": dict(rooms.notes)} if rooms.notes else {}
        return JSONResponse({"status": status, "reasons": trouble} | notes, 503 if trouble else 200)

    @routes.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        """The text format. Lag gauges are read when asked."""
        text = await asyncio.get_running_loop().run_in_executor(threads, _measured, rooms)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return routes


def _measured(rooms: Rooms) -> bytes:
    for consumer, lag in rooms.lags().items():
        rooms.metrics.lag.labels(consumer).set(lag)
    return generate_latest(rooms.metrics.registry)


def router(rooms: Rooms) -> APIRouter:
    """The routes, over these rooms."""
    routes = APIRouter(tags=["node"])
    routes.include_router(standing(rooms))

    @routes.get("/v1/feeds", summary="Every feed: its card, how far it has come, and what is wrong")
    def feeds() -> dict[str, Any]:
        """`state` is fresh, stale, failed, quiet (a pushed feed) or none (no data yet); `watermark` is the end of the
        newest interval; `lag` counts records not yet normalised or stored.
        """
        return overview(rooms)

    @routes.get("/v1/datasets", summary="The tables and their columns")
    def datasets() -> dict[str, Any]:
        """Names, types, units and meanings; the key and the order of versions."""
        return {"emulated": rooms.emulated, "datasets": [asdict(dataset) for dataset in catalogue().values()]}

    @routes.get("/v1/dead-letters", summary="What could not be read, and why")
    def letters(
        topic: Annotated[str | None, Query(description="Feed, e.g. iso.rt.lmp.spp")] = None,
        status: Annotated[Literal["open", "resolved"] | None, AnyCase] = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    ) -> dict[str, Any]:
        """One letter a payload that could not be read, or one a row; oldest first. Take them in with `c254 dlq`."""
        name = f"dlq.{sender(topic, rooms.streams)}" if topic else None
        found = rooms.log.letters(name, status, limit)
        return {"total": rooms.log.count_letters(name, status), "letters": [_letter(letter) for letter in found]}

    return routes


def _letter(letter: Letter) -> dict[str, Any]:
    return asdict(letter) | {"received_at": day_text(letter.received_at)}
