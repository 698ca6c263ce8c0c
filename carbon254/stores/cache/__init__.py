"""The latest-price cache and its channel of changes: in process, or on Redis by URL."""

from .latest import LatestPrices
from .opening import open_cache
from .port import Cache
from .watch import Watch

__all__ = ["Cache", "LatestPrices", "Watch", "open_cache"]
