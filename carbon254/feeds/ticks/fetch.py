"""Ticks are pushed to us; there is nothing to ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from carbon254.model import Stream

from ..contract import Request


def requests(stream: Stream, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Iterator[Request]:
    """No requests."""
    return iter(())
