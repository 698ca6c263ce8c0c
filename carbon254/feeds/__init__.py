"""Feeds: one folder a provider, found by its card. Nothing here knows a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .card import load_card
from .catalogue import Feed, candidates, explained, feed, feeds

if TYPE_CHECKING:
    from .contract import Payload, Request, Rows

__all__ = ["Feed", "Payload", "Request", "Rows", "candidates", "explained", "feed", "feeds", "load_card"]


def __getattr__(name: str) -> Any:
    """What payloads and rows are, loaded with the frames they hold when first asked for: cards need neither."""
    if name in __all__:
        from . import contract

        return getattr(contract, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
