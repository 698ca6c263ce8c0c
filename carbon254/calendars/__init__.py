"""Market clocks: labels as files print them ↔ intervals in UTC, market days, the repeated and the missing hour."""

from .convention import Convention, Market, convention, conventions, conventions_of, market, markets
from .days import (
    day_end,
    day_of,
    day_start,
    hour_beginning,
    hour_ending,
    hours_in,
    interval_starts,
    is_daylight,
    market_day_of,
    market_day_span,
    market_days,
    period_starts,
    periods,
)
from .labels import comes_twice, read, wall_to_utc, write
from .skew import align, late
from .wall import Sides, Status, from_utc, to_utc
from .zones import Transition, transitions, zone

__all__ = [
    "Convention",
    "Market",
    "Sides",
    "Status",
    "Transition",
    "align",
    "comes_twice",
    "convention",
    "conventions",
    "conventions_of",
    "day_end",
    "day_of",
    "day_start",
    "from_utc",
    "hour_beginning",
    "hour_ending",
    "hours_in",
    "interval_starts",
    "is_daylight",
    "late",
    "market",
    "market_day_of",
    "market_day_span",
    "market_days",
    "markets",
    "period_starts",
    "periods",
    "read",
    "to_utc",
    "transitions",
    "wall_to_utc",
    "write",
    "zone",
]
