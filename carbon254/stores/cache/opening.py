"""The cache that a URL names."""

from __future__ import annotations

from datetime import timedelta

from .latest import LatestPrices
from .port import Cache
from .redis import open_redis


def open_cache(url: str = "", keep: timedelta | None = None) -> Cache:
    """In process where `url` is empty, else Redis. On Redis, what nothing came for during `keep` goes.

    Raises SettingsError naming the setting and the fix.
    """
    return open_redis(url, keep) if url else LatestPrices()
