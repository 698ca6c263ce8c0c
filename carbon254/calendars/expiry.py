"""Last trading days, delivery days, the front contract and the rolls of futures: over arrays of delivery months.

The rules are data in `futures.toml`, each with its source. Months are `datetime64[M]`; anything that names a day of
the month, or text as YYYY-MM, is taken too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carbon254.errors import BadLabel, UnknownProduct

from .business import add_business_days, is_business_day
from .moments import Days, OneDay, as_date, by_day, days_array, one_day
from .products import Product, product

Months = NDArray[np.datetime64]
_MONTH = np.timedelta64(1, "M")
_BACK = np.timedelta64(-1, "D")


@dataclass(frozen=True, slots=True)
class Roll:
    """The front contract changes: `day` is the last on which `out` is in front; delivery months by their first day."""

    day: date
    out: date
    into: date


def months_array(months: Any) -> Months:
    """Delivery months as `datetime64[M]`, in the shape given. Raises BadLabel."""
    if isinstance(months, str):
        months = _whole(months)
    elif isinstance(months, list | tuple):
        months = [_whole(month) if isinstance(month, str) else month for month in months]
    return days_array(months).astype("M8[M]")


def last_trade_days(root: str | Product, months: Any) -> Any:
    """The last trading day of each delivery month's contract: a `date` for one month, else an array.

    Raises UnknownProduct for a root that is not known, BadLabel for a month that is none.
    """
    future, given = product(root), months_array(months)
    found = _last_trade(future, given.ravel()).reshape(given.shape)
    return found if given.ndim else as_date(found[()])


def delivery_days(root: str | Product, months: Any) -> tuple[Any, Any]:
    """(first, last) delivery day of each month's contract: two dates for one month, else two arrays."""
    future, given = product(root), months_array(months)
    first, last = _delivery(future, given.ravel())
    if given.ndim:
        return first.reshape(given.shape), last.reshape(given.shape)
    return as_date(first[0]), as_date(last[0])


@by_day(as_date)
def front_months(days: Days, root: str | Product, rolled_before: int = 0) -> Days:
    """The delivery month (its first day) of the contract in front on each day.

    That is the first whose last trading day has not passed; `rolled_before` business days earlier for a desk that
    rolls before expiry (0: the contract is in front on its last trading day). Raises UnknownProduct, BadLabel.
    """
    if not days.size:
        return days
    months, ends = _chain(product(root), days.min(), days.max(), rolled_before)
    return months[np.searchsorted(ends, days)].astype("M8[D]")


def rolls(root: str | Product, first: OneDay, last: OneDay, rolled_before: int = 0) -> list[Roll]:
    """The rolls whose day lies in first..last, both included, oldest first."""
    low, high = (np.datetime64(one_day(edge), "D") for edge in (first, last))
    if high < low:
        raise BadLabel(f"the last day {high} comes before the first, {low}; exchange them")
    months, ends = _chain(product(root), low, high, rolled_before)
    found = zip(ends[:-1], months[:-1], months[1:], strict=True)
    return [
        Roll(as_date(end), as_date(out.astype("M8[D]")), as_date(into.astype("M8[D]")))
        for end, out, into in found
        if low <= end <= high
    ]


def _chain(future: Product, first: np.datetime64, last: np.datetime64, rolled_before: int) -> tuple[Months, Days]:
    if rolled_before < 0:
        raise BadLabel(f"a roll lies {rolled_before} business days before expiry; write 0 or more")
    # Twenty business days are less than a month: so many months more hold the contract that is rolled into.
    ahead = 3 + int(future.expiry.get("months_before", 1)) + rolled_before // 20
    months = np.arange(first.astype("M8[M]") - _MONTH, last.astype("M8[M]") + ahead)
    ends = _last_trade(future, months)
    return months, add_business_days(ends, -rolled_before, future.calendar) if rolled_before else ends


def _last_trade(future: Product, months: Months) -> Days:
    rule = future.expiry
    match rule["kind"]:
        case "nth-last":
            after = (months - (rule["months_before"] - 1)).astype("M8[D]")
            return add_business_days(after, -rule["n"], future.calendar)
        case "before-month":
            return add_business_days(months.astype("M8[D]"), -rule["n"], future.calendar)
        case "before-day":
            day = (months - rule["months_before"]).astype("M8[D]") + (rule["day"] - 1)
            opened = is_business_day(day, future.calendar)
            return add_business_days(day, np.where(opened, -rule["n"], -rule["n_if_closed"]), future.calendar)
    raise UnknownProduct(f"futures.toml: {future.root}: expiry {rule['kind']!r} is not known")


def _delivery(future: Product, months: Months) -> tuple[Days, Days]:
    opens: Days = months.astype("M8[D]")
    after: Days = (months + _MONTH).astype("M8[D]")
    rule = future.delivery
    match rule["kind"]:
        case "month":
            return opens, after + _BACK
        case "business":
            first = add_business_days(opens + _BACK, rule["first"], future.calendar)
            return first, add_business_days(after, -rule["last"], future.calendar)
    raise UnknownProduct(f"futures.toml: {future.root}: delivery {rule['kind']!r} is not known")


def _whole(month: str) -> str:
    return f"{month.strip()}-01" if len(month.strip()) == len("YYYY-MM") else month
