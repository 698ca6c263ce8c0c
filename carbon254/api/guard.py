"""Keeping other sites out of a node that needs no key on loopback.

A page elsewhere must not read or write here through a visitor's browser: the `Host` must be loopback (no DNS
rebinding), an `Origin` must be this very node (no cross-site request), and a body must be declared as JSON (no plain
form post). Written as plain ASGI, so that live streams are not buffered.
"""

from __future__ import annotations

import re

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = re.compile(r"^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$", re.IGNORECASE)
_WRITING = ("POST", "PUT", "PATCH", "DELETE")
_JSON = ("application/json",)
_LINES = (*_JSON, "application/x-ndjson")
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """ASGI middleware: refuses what does not come from this machine's own pages and tools, and marks every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _marked(scope["path"], send)
        refused = refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refused is None:
            await self._app(scope, receive, answer)
        else:
            await _refuse(*refused, answer)


def refusal(method: str, path: str, headers: Headers) -> tuple[int, str] | None:
    """(status, sentence) where the request must not be served, else None."""
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _LOOPBACK.match(hosts[0]):
        return 421, "this node answers on its own machine only; open it as http://127.0.0.1 with its port"
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()):
        return 403, f"a page at {origin[:100]} may not use this node; call it from its own page or without an Origin"
    if method in _WRITING:
        allowed = _LINES if path.startswith("/v1/ingest/") else _JSON
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in allowed:
            return 415, f"send the body with the header Content-Type: {' or '.join(allowed)}"
    return None


async def _refuse(status: int, detail: str, send: Send) -> None:
    body = orjson.dumps({"detail": detail})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _marked(path: str, send: Send) -> Send:
    # Data is never kept by a browser; pages and scripts are kept and asked about again.
    caching = "no-cache" if path == "/" or path.startswith("/static/") else "no-store"

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers["Cache-Control"] = caching
        await send(message)

    return marked
