"""Connections of the HTTP server that nobody can hold: a time for the head, for silence in a body, and for reading.

uvicorn bounds how long a connection rests between requests, and nothing before the first head is whole; a reader that
takes nothing would keep its answer in memory for ever.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

_HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a connection may take for each part, and how many connections there are at most."""

    head_s: float = 10.0
    silence_s: float = 20.0
    body_s: float = 300.0
    reading_s: float = 30.0
    connections: int = 512


def server_config(app: ASGIApp, patience: Patience | None = None, **more: Any) -> uvicorn.Config:
    """How our server is run."""
    protocol = type("Bounded", (_Bounded,), {"patience": patience or Patience()})
    return uvicorn.Config(
        app, http=protocol, ws="none", log_level="warning", access_log=False, timeout_graceful_shutdown=3, **more
    )


class _Bounded(H11Protocol):
    patience: ClassVar[Patience]
    _refused = False
    _phase = ""
    _timer: asyncio.TimerHandle | None = None
    _whole: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.patience.connections:
            self._refused = True
            self._end(
                b"503 Service Unavailable", b"too many connections are open: try again later", b"Retry-After: 1\r\n"
            )
            return
        self._expect()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        self._cancel_stuck()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._cancel_stuck()
        self._stuck = self.loop.call_later(self.patience.reading_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._cancel_stuck()
        super().resume_writing()

    def _expect(self) -> None:
        """Count the time for what the other side has to send next."""
        state = self.conn.their_state
        if state is h11.IDLE:
            if self._phase != "head":
                self._start("head", self.patience.head_s)
        elif state is h11.SEND_BODY:
            whole = self._whole or self.loop.call_later(self.patience.body_s, self._late)
            self._start("body", self.patience.silence_s)
            self._whole = whole
        else:
            self._expect_nothing()

    def _start(self, phase: str, seconds: float) -> None:
        whole, self._whole = self._whole, None
        self._expect_nothing()
        self._phase, self._timer, self._whole = phase, self.loop.call_later(seconds, self._late), whole

    def _expect_nothing(self) -> None:
        for timer in (self._timer, self._whole):
            if timer is not None:
                timer.cancel()
        self._phase, self._timer, self._whole = "", None, None

    def _cancel_stuck(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _late(self) -> None:
        # After an answer the rest between requests is uvicorn's to bound.
        if self.transport.is_closing() or (self._phase == "head" and self.timeout_keep_alive_task is not None):
            return
        if self._phase == "head":
            self._end(b"408 Request Timeout", b"the head of the request did not come in time")
        else:
            self.transport.abort()

    def _end(self, status: bytes, detail: bytes, header: bytes = b"") -> None:
        body = b'{"detail":"' + detail + b'"}'
        self.transport.write(_HEAD % (status, len(body), header, body))
        self.transport.close()
