"""Delivery periods as desks name them (Q1-26, Cal-27, Winter 26-27, BalMo, weekend) and their hours in any power block.

Periods nest without a remainder: a year is its quarters and a quarter is its months, day by day, so their hours add up
exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from carbon254.errors import BadLabel, UnknownProduct

from .blocks import block_hours, block_starts
from .contracts import Contract
from .gas import gas_day
from .holidays import Holidays
from .moments import Days, Instants, OneDay, as_date, day_range, one_day
from .products import MONTHS, full_year, month_of_code, month_of_name

_HOUR = timedelta(hours=1)
_YEAR = r"'?(\d{4}|\d{2})"
_SHAPES = (
    "Jan-26, F26, Jan-Feb 26, Q1-26, H1-26, Cal-26, Summer-26, Winter 26-27, "
    "or BalMo, weekend, next day with reference="
)


@dataclass(frozen=True, slots=True)
class Strip:
    """A delivery period: `first` and `last` are both included, on whatever clock its hours are asked for."""

    name: str
    first: date
    last: date

    @property
    def days(self) -> Days:
        """Every delivery day."""
        return day_range(self.first, self.last)

    def hours(self, region: str, block: str, holidays: Holidays | None = None) -> float:
        """Elapsed hours of a block in the period. Raises UnknownProduct for a region or block that is not known."""
        return block_hours(region, block, self.first, self.last, holidays)

    def starts(self, region: str, block: str, step: timedelta = _HOUR, holidays: Holidays | None = None) -> Instants:
        """The interval starts (UTC) of a block in the period, oldest first."""
        return block_starts(region, block, self.first, self.last, step, holidays)

    def months(self) -> list[Strip]:
        """The period cut at the ends of months; the first and last may be parts of one."""
        return _cut(self, self._month_starts(), lambda day: f"{MONTHS[day.month - 1]}-{day.year % 100:02}")

    def quarters(self) -> list[Strip]:
        """The period cut at the ends of quarters."""
        opens = [day for day in self._month_starts() if day.month % 3 == 1 or day <= self.first]
        return _cut(self, opens, lambda day: f"Q{(day.month + 2) // 3}-{day.year % 100:02}")

    def _month_starts(self) -> list[date]:
        months = np.arange(np.datetime64(self.first, "M"), np.datetime64(self.last, "M") + 1)
        return [as_date(month) for month in months]


def strip(text: str, reference: OneDay | None = None, seasons: str = "US") -> Strip:
    """The delivery period that a text names; `reference` is the trading day of BalMo, weekend and next day.

    BalMo runs from the day after the reference to the end of its month; weekend is the next Saturday and Sunday after
    it; next day is the day after it. `seasons` names the gas day whose summer and winter are meant (US: April to
    October; winter is named by the year in which it opens). Raises UnknownProduct listing the shapes, BadLabel.
    """
    if not isinstance(text, str):
        raise UnknownProduct(f"{text!r} is no delivery period; write {_SHAPES}")
    wanted = re.sub(r"\s+", " ", text.strip().upper().replace("_", " "))
    if (made := _RELATIVE.get(wanted.replace(" ", "").replace("-", ""))) is not None:
        if reference is None:
            raise BadLabel(f"{text!r} counts from a trading day; give reference=")
        return made(one_day(reference))
    for pattern, make in _PATTERNS:
        if found := re.fullmatch(pattern, wanted):
            return make(found)
    if found := re.fullmatch(rf"(SUMMER|SUM|S|WINTER|WIN|W)[ -]?{_YEAR}(?:[-/]{_YEAR})?", wanted):
        return _season(found, seasons)
    raise UnknownProduct(f"{text!r} is no delivery period; write {_SHAPES}")


def month_strip(year: int, month: int) -> Strip:
    """A delivery month."""
    return _months(f"{MONTHS[month - 1]}-{year % 100:02}", year, month, 1)


def strip_of(contract: Contract) -> Strip:
    """The delivery month of a contract."""
    return month_strip(contract.year, contract.month)


def contract_quantity(contract: Contract) -> float:
    """How much one contract delivers, in its product's unit: for power, megawatts times the block's hours in the month.

    Raises UnknownProduct where `futures.toml` tells neither a size nor megawatts with a region and a block.
    """
    future = contract.product
    if future.size is not None:
        return float(future.size)
    if future.megawatts is None:
        raise UnknownProduct(
            f"{future.root} ({future.title}): no size is known: {future.size_note}; use strip_of(...).hours"
        )
    return future.megawatts * strip_of(contract).hours(future.region, future.block)


def _months(name: str, year: int, month: int, count: int) -> Strip:
    opens = np.datetime64(f"{year:04}-{month:02}", "M")
    return Strip(name, as_date(opens.astype("M8[D]")), as_date((opens + count).astype("M8[D]") - 1))


def _cut(whole: Strip, opens: list[date], name: Callable[[date], str]) -> list[Strip]:
    starts = [max(day, whole.first) for day in opens]
    ends = [day - timedelta(days=1) for day in starts[1:]] + [whole.last]
    return [Strip(name(first), first, last) for first, last in zip(starts, ends, strict=True)]


def _quarter(quarter: str, year: str) -> Strip:
    whole = full_year(year)
    return _months(f"Q{quarter}-{whole % 100:02}", whole, 3 * int(quarter) - 2, 3)


def _half(half: str, year: str) -> Strip:
    whole = full_year(year)
    return _months(f"H{half}-{whole % 100:02}", whole, 6 * int(half) - 5, 6)


def _calendar(year: str) -> Strip:
    return _months(f"Cal-{full_year(year) % 100:02}", full_year(year), 1, 12)


def _named_month(name: str, year: str) -> Strip:
    month = month_of_name(name)
    if month is None:
        raise UnknownProduct(f"{name!r} is no month; write {_SHAPES}")
    return month_strip(full_year(year), month)


def _run(first: str, first_year: str | None, last: str, last_year: str) -> Strip:
    low, high = _named_month(first, first_year or last_year), _named_month(last, last_year)
    if high.first < low.first:
        raise BadLabel(f"{first}-{last} {last_year} runs backwards; write both years, as in Nov25-Mar26")
    return Strip(f"{low.name}..{high.name}", low.first, high.last)


def _season(found: re.Match[str], kind: str) -> Strip:
    opens, closes = gas_day(kind).summer
    year = full_year(found[2])
    summer = found[1].startswith("S")
    if found[3] and (summer or full_year(found[3]) != year + 1):
        raise BadLabel(
            f"{found[0]}: a summer has one year, and a winter two that follow each other; write Winter 26-27"
        )
    if summer:
        return _months(f"Summer-{year % 100:02}", year, opens, closes - opens + 1)
    return _months(f"Winter {year % 100:02}-{(year + 1) % 100:02}", year, closes + 1, 11 - closes + opens)


def _balance_of_month(reference: date) -> Strip:
    whole = month_strip(reference.year, reference.month)
    if reference == whole.last:
        raise BadLabel(
            f"BalMo: {reference} is the last day of its month, and nothing is left of it; use the next month"
        )
    return Strip(f"BalMo {whole.name}", reference + timedelta(days=1), whole.last)


def _weekend(reference: date) -> Strip:
    saturday = reference + timedelta(days=(4 - reference.weekday()) % 7 + 1)
    return Strip(f"weekend {saturday}", saturday, saturday + timedelta(days=1))


def _next_day(reference: date) -> Strip:
    day = reference + timedelta(days=1)
    return Strip(f"day {day}", day, day)


def _one_day(text: str) -> Strip:
    day = one_day(text)
    return Strip(f"day {day}", day, day)


_RELATIVE: dict[str, Callable[[date], Strip]] = {
    "BALMO": _balance_of_month,
    "BOM": _balance_of_month,
    "BALANCEOFMONTH": _balance_of_month,
    "WEEKEND": _weekend,
    "WE": _weekend,
    "NEXTDAY": _next_day,
    "DAYAHEAD": _next_day,
    "ND": _next_day,
}

_PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], Strip]], ...] = (
    (rf"(?:CAL|CY|CALENDAR|YEAR)[ -]?{_YEAR}", lambda found: _calendar(found[1])),
    (r"(\d{4})", lambda found: _calendar(found[1])),
    (rf"Q([1-4])[ -]?{_YEAR}", lambda found: _quarter(found[1], found[2])),
    (rf"([1-4])Q[ -]?{_YEAR}", lambda found: _quarter(found[1], found[2])),
    (r"(\d{4})[ -]?Q([1-4])", lambda found: _quarter(found[2], found[1])),
    (rf"H([12])[ -]{_YEAR}", lambda found: _half(found[1], found[2])),
    (rf"([12])H[ -]?{_YEAR}", lambda found: _half(found[1], found[2])),
    (rf"([FGHJKMNQUVXZ]){_YEAR}", lambda found: month_strip(full_year(found[2]), month_of_code(found[1]))),
    (r"(\d{4})-(0[1-9]|1[0-2])", lambda found: month_strip(int(found[1]), int(found[2]))),
    (r"(\d{4}-\d{2}-\d{2})", lambda found: _one_day(found[1])),
    (rf"([A-Z]{{3,9}})[ -]?{_YEAR}?(?: ?[-/] ?)([A-Z]{{3,9}})[ -]?{_YEAR}", lambda found: _run(*found.groups())),
    (rf"(?!SUM|WIN)([A-Z]{{3,9}})[ -]?{_YEAR}", lambda found: _named_month(found[1], found[2])),
)
