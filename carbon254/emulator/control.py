"""`/_emulator`: the emulator's own clock, revisions, faults and record of requests.

GET /_emulator                    state
POST /_emulator/clock             {"now": ISO 8601 with offset | null}
POST, DELETE /_emulator/faults    {"kind", "provider", "count", "every", "match", "seconds", "retry_after_s", "rows"}
POST, DELETE /_emulator/revisions {"feed", "market_day", "share", "bump", "after_s", "location", "interval"}
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carbon254.errors import UnknownFeed
from carbon254.feeds.catalogue import feed

from .faults import Fault
from .state import State
from .world import Revision

_REVISION_KEYS = ("share", "bump", "after_s", "location")


def routes(state: State) -> list[Route]:
    """The control endpoints over `state`."""

    async def show(request: Request) -> Response:
        return _json(describe(state))

    async def clock(request: Request) -> Response:
        now = (await _body(request)).get("now")
        state.set_clock(datetime.fromisoformat(now) if now else None)
        return _json(describe(state))

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            state.clear_faults()
        else:
            state.add_fault(Fault(**await _body(request)))
        return _json(describe(state))

    async def revisions(request: Request) -> Response:
        if request.method == "DELETE":
            state.revisions.clear()
        else:
            state.revise(revision_from(await _body(request)))
        return _json(describe(state))

    return [
        Route("/_emulator", _kind(show), methods=["GET"]),
        Route("/_emulator/clock", _kind(clock), methods=["POST"]),
        Route("/_emulator/faults", _kind(faults), methods=["POST", "DELETE"]),
        Route("/_emulator/revisions", _kind(revisions), methods=["POST", "DELETE"]),
    ]


def revision_from(entry: dict[str, Any]) -> Revision:
    """The revision a message describes. Raises KeyError, ValueError, TypeError or UnknownFeed."""
    unknown = sorted(set(entry) - {"feed", "market_day", "interval", *_REVISION_KEYS})
    if unknown:
        raise TypeError(f"unknown entry {', '.join(unknown)}")
    interval = datetime.fromisoformat(entry["interval"]) if entry.get("interval") else None
    if interval is not None and interval.tzinfo is None:
        raise ValueError("interval has no offset; write it like 2000-01-31T12:00:00Z")
    chosen = {name: entry[name] for name in _REVISION_KEYS if name in entry}
    if (entry.get("location") or interval) and "share" not in entry:
        chosen["share"] = 1.0
    topic = feed(entry["feed"]).topic
    return Revision(topic, date.fromisoformat(entry["market_day"]), interval=interval, **chosen)


def describe(state: State) -> dict[str, Any]:
    """The whole state as JSON values."""
    with state.lock:
        return {
            "now": state.now().astimezone(UTC).isoformat(),
            "frozen": state.frozen is not None,
            "seed": state.seed,
            "nodes": state.nodes,
            "strict_rates": state.strict_rates,
            "faults": [{**asdict(entry.fault), "seen": entry.seen, "struck": entry.struck} for entry in state.faults],
            "revisions": [asdict(revision) for revision in state.revisions],
            "counts": dict(state.counts),
            "requests": list(state.requests),
        }


async def _body(request: Request) -> dict[str, Any]:
    body = orjson.loads(await request.body() or b"{}")
    if not isinstance(body, dict):
        raise ValueError("send a JSON object")
    return body


def _kind(handler: Any) -> Any:
    """The handler, with what was wrong in the message answered as 400."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except (ValueError, TypeError, KeyError, UnknownFeed) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)

    return guarded


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
