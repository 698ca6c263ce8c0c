"""Business days against pandas_market_calendars and against counting by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pandas_market_calendars as judge
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon254.calendars.business import (
    add_business_days,
    business_day_on_or_after,
    business_day_on_or_before,
    business_days,
    count_business_days,
    is_business_day,
    next_business_day,
    previous_business_day,
)
from carbon254.calendars.holidays import holiday_calendar
from carbon254.errors import BadLabel

DAYS = np.arange("2007-01-01", "2038-01-01", dtype="M8[D]")


def weekday_holidays(rules, first: str, last: str) -> set[date]:
    found = [day for rule in rules for day in rule.dates(first, last)]
    return {day.date() for day in found if day.weekday() < 5}


def test_nymex_keeps_the_holidays_of_the_new_york_stock_exchange() -> None:
    # NYSE closes where NYMEX does not settle; mourning days apart, which its calendar lists as ad hoc. CME's own
    # calendar there has sessions on the other holidays (Globex is open), so it cannot judge settlement days.
    theirs = weekday_holidays(judge.get_calendar("NYSE").regular_holidays.rules, "2022-01-01", "2037-12-31")
    ours = {day for day in holiday_calendar("NYMEX").days(2022, 2037).tolist() if day.weekday() < 5}
    assert ours == theirs


def test_where_globex_is_shut_nymex_has_no_settlement() -> None:
    shut = weekday_holidays(judge.get_calendar("CMEGlobex_CL").regular_holidays.rules, "2007-01-01", "2037-12-31")
    assert len(shut) > 70
    assert not is_business_day(sorted(shut)).any()


@pytest.mark.parametrize(
    ("day", "open_"),
    [
        ("2025-11-27", False),
        ("2025-11-28", True),  # the day after Thanksgiving settles
        ("2025-04-18", False),  # Good Friday
        ("2021-12-24", False),  # Christmas on Saturday
        ("2021-12-31", True),  # New Year on Saturday is not moved
        ("2020-07-03", False),
        ("2021-06-18", True),  # Juneteenth began a year later
        ("2022-06-20", False),
        ("2027-06-18", False),
    ],
)
def test_the_days_that_are_often_wrong(day: str, open_: bool) -> None:
    assert is_business_day(day) is open_


@given(
    st.dates(date(2007, 1, 1), date(2036, 1, 1)),
    st.integers(-60, 60),
    st.sampled_from(["NYMEX", "NERC", "US_BANK", "AU_NSW", "NONE"]),
)
def test_adding_is_stepping_by_hand(day: date, n: int, calendar: str) -> None:
    step = pd.Timedelta(days=1 if n > 0 else -1).to_pytimedelta()
    by_hand, left = day, abs(n)
    while left:
        by_hand += step
        left -= is_business_day(by_hand, calendar)
    if n == 0:
        by_hand = business_day_on_or_after(day, calendar)
    assert add_business_days(day, n, calendar) == by_hand


@given(st.dates(date(2007, 1, 1), date(2036, 1, 1)), st.integers(0, 400))
def test_counting_is_the_length_of_the_list(day: date, length: int) -> None:
    last = day + pd.Timedelta(days=length).to_pytimedelta()
    listed = business_days(day, last)
    assert count_business_days(day, last) == len(listed)
    assert len(listed) == sum(
        is_business_day(np.arange(day, last + pd.Timedelta(days=1).to_pytimedelta(), dtype="M8[D]"))
    )


def test_next_and_previous_hold_over_thirty_years() -> None:
    open_days = DAYS[is_business_day(DAYS)]
    assert (next_business_day(open_days[:-1]) == open_days[1:]).all()
    assert (previous_business_day(open_days[1:]) == open_days[:-1]).all()
    shut = DAYS[~is_business_day(DAYS)][3:-3]
    assert (business_day_on_or_after(shut) == next_business_day(shut)).all()
    assert (business_day_on_or_before(shut) == previous_business_day(shut)).all()
    assert (business_day_on_or_before(open_days) == open_days).all()


def test_n_may_differ_by_day_and_a_day_may_take_many() -> None:
    assert add_business_days(["2025-11-26", "2025-11-29"], [1, -1]).astype(str).tolist() == ["2025-11-28", "2025-11-28"]
    assert add_business_days("2025-11-26", [0, 1, 2]).astype(str).tolist() == ["2025-11-26", "2025-11-28", "2025-12-01"]
    far = add_business_days(date(2025, 11, 26), 5000)
    assert count_business_days("2025-11-27", far) == 5000 and add_business_days(far, -5000) == date(2025, 11, 26)


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(BadLabel, match="whole"):
        add_business_days("2025-11-26", 1.5)
    with pytest.raises(BadLabel, match="before"):
        count_business_days("2025-11-26", "2025-11-25")
    with pytest.raises(BadLabel, match="before"):
        business_days("2025-11-26", "2025-11-25")
