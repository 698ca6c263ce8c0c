"""Feeds: one folder a provider, found by its card. Nothing here knows a store."""

from .card import load_card
from .catalogue import Feed, candidates, explained, feed, feeds
from .contract import Payload, Request, Rows

__all__ = ["Feed", "Payload", "Request", "Rows", "candidates", "explained", "feed", "feeds", "load_card"]
