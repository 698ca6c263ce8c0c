"""What goes wrong at providers, on demand: errors, throttling, cut connections, bodies that are not what they seem.

Kinds: 404, 429, 500, 503 (an error answer), slow (waits, then answers), timeout (waits, then cuts the connection),
reset (cuts at once), truncated (half the body, then a cut), truncated_zip (a whole answer whose archive is cut),
html_200 (an error page with status 200), empty_200 (no bytes), wrong_columns (a renamed header), bad_rows (some rows
unreadable).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .spoil import bad_rows, wrong_columns
from .world import Answer

KINDS = (
    "404", "429", "500", "503", "slow", "timeout", "reset", "truncated",
    "truncated_zip", "html_200", "empty_200", "wrong_columns", "bad_rows",
)  # fmt: skip
MAX_WAIT_S = 60.0
CAISO_THROTTLED = (
    b"<html><body><p>CAISO Acceptable Use Policy Violation. "
    b"Please retry your request after 5 seconds.</p></body></html>"
)
_PAGE = (
    b"<!DOCTYPE html><html><head><title>Service unavailable</title></head>"
    b"<body><h1>We are sorry</h1><p>The site is under maintenance.</p></body></html>"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `count` bounds how often it strikes, `every` makes it strike each n-th request; without either it
    strikes always. `match` is a part of the address it is limited to; `rows` is for bad_rows."""

    kind: str
    provider: str = "*"
    count: int = 0
    every: int = 0
    match: str = ""
    seconds: float = 2.0
    retry_after_s: int = 1
    rows: int = 3

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are: {', '.join(KINDS)}")
        if not 0 <= self.seconds <= MAX_WAIT_S:
            raise ValueError(f"seconds must be between 0 and {MAX_WAIT_S:g}")
        if min(self.count, self.every, self.rows, self.retry_after_s) < 0:
            raise ValueError("count, every, rows and retry_after_s cannot be negative")

    def concerns(self, provider: str, address: str) -> bool:
        return self.provider in ("*", provider) and self.match in address

    @property
    def wait_s(self) -> float:
        """Seconds to wait before answering."""
        return self.seconds if self.kind in ("slow", "timeout") else 0.0

    @property
    def kept(self) -> float | None:
        """The share of the body that is sent before the connection is cut; None where it is not cut."""
        return {"timeout": 0.0, "reset": 0.0, "truncated": 0.5}.get(self.kind)


def error(fault: Fault, provider: str) -> Answer | None:
    """The error answer of a fault that needs no payload; None for the others."""
    if not fault.kind.isdigit():
        return None
    return throttled(provider, fault.retry_after_s) if fault.kind == "429" else _plain(int(fault.kind))


def throttled(provider: str, retry_after_s: int) -> Answer:
    """HTTP 429 as the provider words it."""
    headers = {"Retry-After": str(retry_after_s)}
    if provider == "caiso":
        return Answer(CAISO_THROTTLED, "text/html", 429, headers=headers)
    body = b'{"statusCode":429,"message":"Rate limit is exceeded. Try again in %d seconds."}' % retry_after_s
    return Answer(body, "application/json", 429, headers=headers)


def spoiled(fault: Fault, answer: Answer, seed: int) -> Answer:
    """The answer with the fault worked into its body; errors are left as they are."""
    if answer.status != 200:
        return answer
    if fault.kind == "html_200":
        return replace(answer, body=_PAGE, media="text/html")
    changed = {
        "empty_200": lambda body: b"",
        "truncated_zip": lambda body: body[: len(body) // 2],
        "wrong_columns": wrong_columns,
        "bad_rows": lambda body: bad_rows(body, fault.rows, seed),
    }.get(fault.kind)
    return replace(answer, body=changed(answer.body)) if changed else answer


def _plain(status: int) -> Answer:
    words = {404: b"Not Found", 500: b"Internal Server Error", 503: b"Service Unavailable"}
    return Answer(words[status], "text/plain", status)
