"""Market time: labels as files print them ↔ intervals in UTC, market days; holidays, blocks, gas days, futures."""

from .blocks import block_hours, block_spans, block_starts, blocks_of, hours_by_day, in_block, interval_hours, regions
from .business import (
    add_business_days,
    business_days,
    count_business_days,
    is_business_day,
    next_business_day,
    previous_business_day,
)
from .contracts import contract_codes, front_contract, parse_contract
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
from .expiry import delivery_days, last_trade_days, rolls
from .gas import gas_day_hours, gas_day_of, gas_day_span, gas_weights, gas_year_of, season_of
from .holidays import holidays_of, is_holiday, nerc_holidays
from .labels import comes_twice, read, wall_to_utc, write
from .nominations import nominations, open_cycles, storage_report, storage_week_of
from .skew import align, late
from .spoken import interval_of, labels_of
from .strips import contract_quantity, strip, strip_of
from .wall import Sides, Status, from_utc, to_utc
from .written import moment_of
from .zones import Transition, transitions, zone

__all__ = [
    "Convention",
    "Market",
    "Sides",
    "Status",
    "Transition",
    "add_business_days",
    "align",
    "block_hours",
    "block_spans",
    "block_starts",
    "blocks_of",
    "business_days",
    "comes_twice",
    "contract_codes",
    "contract_quantity",
    "convention",
    "conventions",
    "conventions_of",
    "count_business_days",
    "day_end",
    "day_of",
    "day_start",
    "delivery_days",
    "from_utc",
    "front_contract",
    "gas_day_hours",
    "gas_day_of",
    "gas_day_span",
    "gas_weights",
    "gas_year_of",
    "holidays_of",
    "hour_beginning",
    "hour_ending",
    "hours_by_day",
    "hours_in",
    "in_block",
    "interval_hours",
    "interval_of",
    "interval_starts",
    "is_business_day",
    "is_daylight",
    "is_holiday",
    "labels_of",
    "last_trade_days",
    "late",
    "market",
    "market_day_of",
    "market_day_span",
    "market_days",
    "markets",
    "moment_of",
    "nerc_holidays",
    "next_business_day",
    "nominations",
    "open_cycles",
    "parse_contract",
    "period_starts",
    "periods",
    "previous_business_day",
    "read",
    "regions",
    "rolls",
    "season_of",
    "storage_report",
    "storage_week_of",
    "strip",
    "strip_of",
    "to_utc",
    "transitions",
    "wall_to_utc",
    "write",
    "zone",
]
