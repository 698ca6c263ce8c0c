"""Market clocks: local labels to instants, market days, the repeated and the missing hour."""

from .labels import market_day_of, market_day_span, market_days, to_utc

__all__ = ["market_day_of", "market_day_span", "market_days", "to_utc"]
