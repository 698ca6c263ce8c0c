"""Pushed data: the body is archived and noted as it came, and answered once it is on disk. Nothing is parsed here."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from carbon254.errors import WorkspaceError
from carbon254.ingest import Arrived

from .rooms import Rooms

MAX_BODY = 64 << 20
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"description": "One tick, or an array of ticks"},
                "example": [
                    {
                        "instrument": "BRN-1M",
                        "time": "2025-11-02T06:00:00.250Z",
                        "price": 71.35,
                        "quantity": 10,
                        "source": "desk",
                        "sequence": 1,
                    }
                ],
            },
            "application/x-ndjson": {"schema": {"type": "string", "description": "One tick a line"}},
        },
    }
}


def router(rooms: Rooms, max_body: int = MAX_BODY) -> APIRouter:
    """The route, over these rooms."""
    routes = APIRouter(prefix="/v1/ingest", tags=["ingest"])

    @routes.post("/{topic}", status_code=202, summary="Push ticks", openapi_extra=_BODY)
    async def push(topic: str, request: Request) -> dict[str, object]:
        """For `market.ticks`: one JSON tick, an array, or one a line. Answers 202 with the payload's SHA-256 and
        whether it is new, once it is on disk. What cannot be read becomes a dead letter with its reason.
        """
        _must_be_pushed(rooms, topic)
        data = await _body(request, max_body)
        if not data.strip():
            raise HTTPException(400, "the body is empty; send one tick, an array of ticks, or one a line")
        kind = request.headers.get("content-type", "")
        arrived = Arrived(topic, data, "", rooms.clock.now(), headers={"content-type": kind})
        payload, new = await run_in_threadpool(_accept, rooms, arrived)
        return {"payload": payload, "new": new}

    return routes


def _must_be_pushed(rooms: Rooms, topic: str) -> None:
    pushed = sorted(stream.topic for stream in rooms.streams.values() if stream.dataset == "market_ticks")
    if topic not in pushed:
        raise HTTPException(404, f"nothing can be pushed to {topic[:80]!r}; there is: {', '.join(pushed)}")


def _accept(rooms: Rooms, arrived: Arrived) -> tuple[str, bool]:
    try:
        return rooms.inbox.accept(arrived)
    except (OSError, WorkspaceError) as error:
        raise HTTPException(507, f"the payload was not stored, send it again later: {error}") from error


async def _body(request: Request, most: int) -> bytes:
    """The body, refused as soon as it grows beyond `most` bytes."""
    too_large = HTTPException(413, f"the body is larger than {most >> 20} MiB; send it in parts")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large
        parts.append(part)
    return b"".join(parts)
