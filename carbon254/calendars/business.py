"""Business-day arithmetic over whole columns, by a calendar of `holidays.toml`; numpy's `busday_*` does the counting.

Weekends are Saturday and Sunday in every calendar here. `first` and `last` are both included, everywhere.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carbon254.errors import BadLabel

from .holidays import HolidayCalendar, Holidays, holiday_calendar
from .moments import Days, OneDay, as_date, by_day, day_range, days_array

DEFAULT = "NYMEX"
_YEARS = 16  # spans are rounded out to this many years, so that few of them reach the cache
_SLACK = 32  # calendar days beyond the reach of an offset: no closure is longer


@by_day(bool)
def is_business_day(days: Days, calendar: Holidays = DEFAULT) -> NDArray[np.bool_]:
    """True on Monday to Friday that the calendar does not keep. Raises UnknownProduct, BadLabel."""
    return np.is_busday(days, busdaycal=_busdays(days, calendar))


@by_day(as_date)
def next_business_day(days: Days, calendar: Holidays = DEFAULT) -> Days:
    """The first business day after each day."""
    return _offset(days, 1, calendar)


@by_day(as_date)
def previous_business_day(days: Days, calendar: Holidays = DEFAULT) -> Days:
    """The last business day before each day."""
    return _offset(days, -1, calendar)


@by_day(as_date)
def business_day_on_or_after(days: Days, calendar: Holidays = DEFAULT) -> Days:
    """Each day itself where it is a business day, else the next one ("following")."""
    return _offset(days, 0, calendar)


@by_day(as_date)
def business_day_on_or_before(days: Days, calendar: Holidays = DEFAULT) -> Days:
    """Each day itself where it is a business day, else the one before ("preceding")."""
    return np.busday_offset(days, 0, roll="backward", busdaycal=_busdays(days, calendar))


def add_business_days(days: Any, n: ArrayLike, calendar: Holidays = DEFAULT) -> Any:
    """The nth business day after each day (before it where n < 0); n = 0 is the day itself, or the next business day.

    A day that is no business day is not counted: Saturday + 1 is Monday, and so is Sunday + 1. `n` is one whole number,
    or one for each day. A `date` for one day and one n, else an array. Raises BadLabel for an n that is not whole.
    """
    steps = np.asarray(n)
    if steps.dtype.kind not in "iu":
        raise BadLabel(f"business days are counted in whole numbers, not {steps.dtype}")
    wide, steps = np.broadcast_arrays(days_array(days), steps.astype(np.int64))
    found = _offset(wide, steps, calendar)
    return found if found.ndim else as_date(found[()])


def count_business_days(first: Any, last: Any, calendar: Holidays = DEFAULT) -> Any:
    """How many business days lie in first..last, both included; arrays count pair by pair.

    An `int` for two days, else an array. Raises BadLabel where a last comes before its first.
    """
    low, high = np.broadcast_arrays(days_array(first), days_array(last))
    if (high < low).any():
        raise BadLabel("a last day comes before its first; both are included, so exchange them")
    both = np.concatenate([low.ravel(), high.ravel()])
    counts = np.busday_count(low, high + np.timedelta64(1, "D"), busdaycal=_busdays(both, calendar))
    return counts if low.ndim else int(counts)


def business_days(first: OneDay, last: OneDay, calendar: Holidays = DEFAULT) -> Days:
    """The business days of first..last, both included, oldest first."""
    days = day_range(first, last)
    return days[np.is_busday(days, busdaycal=_busdays(days, calendar))]


def _offset(days: Days, n: int | NDArray[np.int64], calendar: Holidays) -> Days:
    if not days.size:
        return days
    steps = np.asarray(n)
    reach = int(np.abs(steps).max(initial=0))
    busdays = _busdays(days, calendar, reach * 3 // 2 + _SLACK)
    # numpy moves to a business day before it counts: backward for n > 0, so that the next one is the first.
    later = np.busday_offset(days, np.maximum(steps, 0), roll="backward", busdaycal=busdays)
    earlier = np.busday_offset(days, np.minimum(steps, 0), roll="forward", busdaycal=busdays)
    return np.where(steps > 0, later, earlier)


def _busdays(days: Days, calendar: Holidays, reach: int = _SLACK) -> np.busdaycalendar:
    if not days.size:
        return np.busdaycalendar()
    edges = np.array([days.min(), days.max()]) + np.array([-reach, reach], "m8[D]")
    first, last = (edges.astype("M8[Y]").astype(np.int64) // _YEARS).tolist()
    return _calendar(holiday_calendar(calendar), first, last)


@cache
def _calendar(calendar: HolidayCalendar, first: int, last: int) -> np.busdaycalendar:
    # The blocks count from the epoch's year, which the days of the epoch tell.
    low, high = np.array([first * _YEARS, (last + 1) * _YEARS - 1], "M8[Y]").astype("M8[D]").astype(object)
    return np.busdaycalendar(holidays=calendar.days(low.year, high.year))
