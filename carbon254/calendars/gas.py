"""Gas days and what is counted in them: spans, gas years, seasons, the days a strip covers, weights in a power day.

A gas day is named by the date on which it opens. Clocks change on a Sunday before it opens, so the missing or the extra
hour lies in Saturday's gas day. The facts are in `gas.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import HOUR, block_spans
from .business import next_business_day
from .catalogue import facts, find
from .holidays import Holidays
from .moments import Days, Instants, ManyDays, OneDay, as_date, as_instant, by_day, by_instant, days_array
from .wall import from_utc, to_utc
from .zones import DAY

Hours = NDArray[np.float64]
_ONE = np.timedelta64(1, "D")


@dataclass(frozen=True, slots=True)
class GasDay:
    """A kind of gas day: it opens at `opens` o'clock of `clock`; its year opens with the month `year_opens`."""

    id: str
    title: str
    clock: str
    opens: int
    year_opens: int
    summer: tuple[int, int]
    basis: str
    source: str


@dataclass(frozen=True, slots=True)
class GasWeights:
    """A power block on each day, split over the two gas days it lies in (hours; arrays of one length).

    `before` is the gas day that is under way when the power day opens, `after` the one that opens in it.
    """

    before: Days
    hours_before: Hours
    after: Days
    hours_after: Hours


@cache
def gas_days() -> dict[str, GasDay]:
    """Every kind of gas day by id."""
    return {raw["id"]: GasDay(**{**raw, "summer": tuple(raw["summer"])}) for raw in facts("gas.toml")["gas_day"]}


def gas_day(kind: str) -> GasDay:
    """A kind of gas day by id or alias. Raises UnknownProduct listing the known ones."""
    return find("gas day", kind, gas_days(), facts("gas.toml")["aliases"])


@by_instant(as_date)
def gas_day_of(instants: Instants, kind: str = "US") -> Days:
    """The gas day that each instant (UTC) lies in. Raises UnknownProduct, BadLabel."""
    how = gas_day(kind)
    wall, _ = from_utc(instants.view(np.int64), how.clock)
    return ((wall - how.opens * HOUR) // DAY).view("M8[D]")


@by_day(as_instant)
def gas_day_start(days: Days, kind: str = "US") -> Instants:
    """When each gas day opens (UTC)."""
    how = gas_day(kind)
    return to_utc(days.astype("M8[us]").view(np.int64) + how.opens * HOUR, how.clock)[0].view("M8[us]")


def gas_day_span(days: Any, kind: str = "US") -> tuple[Any, Any]:
    """[start, end) of each gas day in UTC: two datetimes for one day, two arrays for many."""
    given = days_array(days)
    return gas_day_start(given, kind), gas_day_start(given + _ONE, kind)


@by_day(float)
def gas_day_hours(days: Days, kind: str = "US") -> Hours:
    """Elapsed hours of each gas day: 24, or 23 and 25 on the Saturdays before the clock changes."""
    start, end = (np.asarray(gas_day_start(edge, kind)).view(np.int64) for edge in (days, days + _ONE))
    return (end - start) / HOUR


@by_day(int)
def gas_year_of(days: Days, kind: str = "US") -> NDArray[np.int64]:
    """The calendar year in which the gas year of each gas day opens (in November in the US, in October in Europe)."""
    months = days.astype("M8[M]").view(np.int64)
    epoch = np.datetime64(0, "Y").item().year
    return (months - (gas_day(kind).year_opens - 1)) // 12 + epoch


def gas_year_span(year: int, kind: str = "US") -> tuple[date, date]:
    """First and last gas day of the gas year that opens in `year`."""
    opens = gas_day(kind).year_opens
    return date(year, opens, 1), as_date(np.datetime64(date(year + 1, opens, 1), "D") - _ONE)


@by_day(as_date)
def gas_month_of(days: Days) -> Days:
    """The first gas day of each gas day's month."""
    return days.astype("M8[M]").astype("M8[D]")


@by_day(str)
def season_of(days: Days, kind: str = "US") -> NDArray[np.str_]:
    """`summer` or `winter` of each gas day: April to October, and November to March, in the US."""
    first, last = gas_day(kind).summer
    month = days.astype("M8[M]").view(np.int64) % 12 + 1
    return np.where((month >= first) & (month <= last), "summer", "winter")


def next_day_strip(trade_days: Any, calendar: Holidays = "ICE") -> tuple[Any, Any]:
    """(first, last) gas day that next-day gas delivers when it is traded on each day.

    Tomorrow on most days; on Friday the strip Saturday to Monday, longer where a holiday follows. What is bought flows
    through the next day on which one can buy again. Basis K: strips are also cut at a month's end; look at the screen.
    """
    days = days_array(trade_days)
    first, last = days + _ONE, next_business_day(days.ravel(), calendar).reshape(days.shape)
    return (first, last) if days.ndim else (as_date(first[()]), as_date(last[()]))


def gas_weights(
    days: ManyDays | OneDay,
    region: str,
    block: str = "7x24",
    kind: str = "US",
    holidays: Holidays | None = None,
) -> GasWeights:
    """How many hours of a power block on each day fall into which gas day.

    A spark spread of a power day needs both gas prices: `(hours_before * p_before + hours_after * p_after)` over all
    hours. An Eastern day is 10 + 14 hours, an Eastern 5x16 day 3 + 13. Days without the block weigh nothing.
    """
    flat = days_array(days).ravel()
    spans = block_spans(region, block, flat, holidays)
    whole = block_spans(region, "7x24", flat)[0]
    before = np.asarray(gas_day_of(whole[0], kind))
    change = np.asarray(gas_day_start(before + _ONE, kind)).view(np.int64)
    edges = [(opens.view(np.int64), closes.view(np.int64)) for opens, closes in spans]
    early = np.sum([np.clip(change - opens, 0, closes - opens) for opens, closes in edges], axis=0)
    total = np.sum([closes - opens for opens, closes in edges], axis=0)
    return GasWeights(before, early / HOUR, before + _ONE, (total - early) / HOUR)
