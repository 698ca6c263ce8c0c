"""The emulator as a local HTTP server: one prefix a provider, then the provider's real path.

`http://127.0.0.1:PORT/spp/file-browser-api/...` answers what `https://portal.spp.org/file-browser-api/...` would.
Prices follow from the seed alone and `Date` headers from the payload, so that two runs over the same span see the same.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import blake2b
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from .control import revision_from, routes
from .desks import PROVIDERS, desk
from .faults import Fault, error, spoiled, throttled
from .state import State
from .world import Answer, Ask, Revision

CAISO_PAUSE_S = 5.0
# Plain file servers, which answer conditional requests.
_CONDITIONAL = ("nyiso", "miso")


@dataclass(frozen=True)
class Emulator:
    """A running emulator; what its control endpoints do can be done here directly."""

    url: str
    state: State

    def base_url(self, provider: str) -> str:
        """What a provider's base URL is to be replaced by."""
        return f"{self.url}/{provider}"

    @property
    def base_urls(self) -> Mapping[str, str]:
        return {provider: self.base_url(provider) for provider in PROVIDERS}

    def clock(self, now: datetime | None) -> None:
        """Freeze the emulator's clock at an aware instant; None lets it run."""
        self.state.set_clock(now)

    def revise(self, topic: str, market_day: date, **options: Any) -> Revision:
        """Publish a market day again, some prices changed; options as in `control`. Raises UnknownFeed."""
        entry = {"feed": topic, "market_day": market_day.isoformat(), **options}
        return self.state.revise(revision_from(entry))

    def fault(self, kind: str, provider: str = "*", **options: Any) -> None:
        """Put a fault in force. Raises ValueError for an unknown kind."""
        self.state.add_fault(Fault(kind, provider, **options))

    def clear_faults(self) -> None:
        self.state.clear_faults()


def application(state: State) -> Starlette:
    """The ASGI application over `state`."""

    async def provider(request: Request) -> Response:
        return await _answer(state, request)

    pages = [*routes(state), Route("/{provider}/{path:path}", provider, methods=["GET"])]
    return Starlette(routes=pages)


@contextmanager
def running(
    seed: int = 254,
    port: int = 0,
    *,
    nodes: int = 0,
    now: datetime | None = None,
    strict_rates: bool = False,
    host: str = "127.0.0.1",
) -> Iterator[Emulator]:
    """An emulator in a thread of its own, on a free port by default. `now` freezes its clock."""
    state = State(seed, nodes, strict_rates)
    state.set_clock(now)
    listener = _listener(host, port)
    server = uvicorn.Server(_config(state))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="emulator", daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        yield Emulator(f"http://{host}:{listener.getsockname()[1]}", state)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def serve(listening: socket.socket, seed: int = 254, *, nodes: int = 0, strict: bool = False) -> None:
    """Serve on a bound socket until interrupted (for the command line)."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    uvicorn.Server(_config(State(seed, nodes, strict))).run(sockets=[listening])


def _listener(host: str, port: int) -> socket.socket:
    """A listening socket; without TCP_NODELAY every answer would wait some 40 ms for an acknowledgement."""
    listener = socket.create_server((host, port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _config(state: State) -> uvicorn.Config:
    return uvicorn.Config(
        application(state),
        date_header=False,
        server_header=False,
        access_log=False,
        # Cut connections are on purpose here; uvicorn would print a traceback for each.
        log_config=None,
        log_level="critical",
        timeout_graceful_shutdown=1,
    )


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    # A busy machine may take long; as long as the thread lives, it is on its way.
    deadline = time.monotonic() + 300
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the emulator did not start: its thread ended, or never came to serve")
        time.sleep(0.005)


async def _answer(state: State, request: Request) -> Response:
    provider = request.path_params["provider"]
    ask = Ask(
        provider,
        "/" + request.path_params["path"],
        tuple(request.query_params.multi_items()),
        request.headers.get("accept", ""),
    )
    if provider not in PROVIDERS:
        return _send(Answer(f"there is no {provider} here".encode(), "text/plain", 404), state, None)
    fault = state.strike(provider, ask.address)
    if fault and fault.wait_s:
        await asyncio.sleep(fault.wait_s)
    answer = await run_in_threadpool(_compose, state, ask, fault)
    state.note(provider, ask.address, answer.status, fault.kind if fault else "")
    if provider in _CONDITIONAL and answer.status == 200:
        answer = _tagged(answer, request.headers.get("if-none-match", ""))
    return _send(answer, state, fault)


def _compose(state: State, ask: Ask, fault: Fault | None) -> Answer:
    if state.strict_rates and ask.provider == "caiso" and state.too_soon("caiso", CAISO_PAUSE_S):
        return throttled("caiso", int(CAISO_PAUSE_S))
    refused = error(fault, ask.provider) if fault else None
    if refused:
        return refused
    try:
        answer = desk(ask.provider)(ask, state.world())
    except (ValueError, OverflowError) as problem:
        return Answer(f"Bad request: {problem}".encode(), "text/plain", 400)
    return spoiled(fault, answer, state.seed) if fault else answer


def _tagged(answer: Answer, known: str) -> Answer:
    """The answer with its ETag; without body where the caller has it already."""
    tag = f'"{blake2b(answer.body, digest_size=12).hexdigest()}"'
    headers = {**answer.headers, "ETag": tag}
    same = known.strip() == tag
    return replace(answer, headers=headers, status=304, body=b"") if same else replace(answer, headers=headers)


def _send(answer: Answer, state: State, fault: Fault | None) -> Response:
    headers = {**answer.headers, "Date": answer.date(int(state.now().timestamp()))}
    if fault is None or fault.kept is None:
        return Response(answer.body, answer.status, headers, answer.media)
    headers["Content-Length"] = str(len(answer.body) + 1)
    part = answer.body[: int(len(answer.body) * fault.kept)]

    async def cut() -> AsyncIterator[bytes]:
        yield part

    return StreamingResponse(cut(), answer.status, headers, answer.media)
