"""The latest-price cache and its channel of changes."""

from .latest import LatestPrices, Watch

__all__ = ["LatestPrices", "Watch"]
