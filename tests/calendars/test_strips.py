"""Delivery periods by the names desks use; nested ones add up to the hour."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon254.calendars.blocks import block_hours, blocks_of, in_block
from carbon254.calendars.contracts import parse_contract
from carbon254.calendars.strips import Strip, contract_quantity, month_strip, strip, strip_of
from carbon254.errors import BadLabel, UnknownProduct


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("Jan-26", "2026-01-01", "2026-01-31"),
        ("F26", "2026-01-01", "2026-01-31"),
        ("January 2026", "2026-01-01", "2026-01-31"),
        ("2026-01", "2026-01-01", "2026-01-31"),
        ("Feb-28", "2028-02-01", "2028-02-29"),
        ("Q1-26", "2026-01-01", "2026-03-31"),
        ("4Q25", "2025-10-01", "2025-12-31"),
        ("2026Q2", "2026-04-01", "2026-06-30"),
        ("H2-26", "2026-07-01", "2026-12-31"),
        ("Cal-27", "2027-01-01", "2027-12-31"),
        ("CAL 2027", "2027-01-01", "2027-12-31"),
        ("2027", "2027-01-01", "2027-12-31"),
        ("Jul-Aug 26", "2026-07-01", "2026-08-31"),
        ("Nov25-Mar26", "2025-11-01", "2026-03-31"),
        ("Summer-26", "2026-04-01", "2026-10-31"),
        ("Winter 26-27", "2026-11-01", "2027-03-31"),
        ("Win-26", "2026-11-01", "2027-03-31"),
        ("2026-01-05", "2026-01-05", "2026-01-05"),
    ],
)
def test_periods_by_name(text: str, first: str, last: str) -> None:
    found = strip(text)
    assert (str(found.first), str(found.last)) == (first, last)


@pytest.mark.parametrize(
    ("text", "reference", "first", "last"),
    [
        ("BalMo", "2025-11-21", "2025-11-22", "2025-11-30"),
        ("weekend", "2025-11-21", "2025-11-22", "2025-11-23"),
        ("weekend", "2025-11-22", "2025-11-29", "2025-11-30"),
        ("weekend", "2025-11-23", "2025-11-29", "2025-11-30"),
        ("next day", date(2025, 12, 31), "2026-01-01", "2026-01-01"),
        ("day-ahead", "2025-11-21", "2025-11-22", "2025-11-22"),
    ],
)
def test_periods_that_count_from_a_trading_day(text: str, reference, first: str, last: str) -> None:
    found = strip(text, reference)
    assert (str(found.first), str(found.last)) == (first, last)
    with pytest.raises(BadLabel, match="reference"):
        strip(text)


def test_european_seasons() -> None:
    assert strip("Summer-26", seasons="EU").last == date(2026, 9, 30)
    assert strip("Winter 26-27", seasons="EU").first == date(2026, 10, 1)


@settings(max_examples=20, deadline=None)
@given(st.integers(2007, 2037), st.sampled_from(["PJM", "ERCOT", "CAISO", "MISO", "AESO", "AEMO"]))
def test_a_year_is_its_quarters_and_a_quarter_its_months(year: int, where: str) -> None:
    whole = strip(f"Cal-{year}")
    quarters = whole.quarters()
    assert [one.name for one in quarters] == [f"Q{n}-{year % 100:02}" for n in (1, 2, 3, 4)]
    assert [strip(f"Q{n}-{year}") for n in (1, 2, 3, 4)] == quarters
    for one in blocks_of(where):
        by_quarter = [quarter.hours(where, one.id) for quarter in quarters]
        by_month = [sum(month.hours(where, one.id) for month in quarter.months()) for quarter in quarters]
        assert by_quarter == by_month and sum(by_quarter) == whole.hours(where, one.id)
    seasons = [strip(f"Summer-{year}"), strip(f"Winter-{year}")]
    assert sum(one.hours(where, "peak") for one in seasons) == block_hours(
        where, "peak", date(year, 4, 1), date(year + 1, 3, 31)
    )


def test_the_hours_are_the_starts() -> None:
    for name in ("5x16", "offpeak", "ATC"):
        starts = strip("Q4-25").starts("PJM", name)
        assert len(starts) == strip("Q4-25").hours("PJM", name) and in_block(starts, "PJM", name).all()
    march = strip("Mar-26").starts("PJM", "ATC", timedelta(minutes=5))
    assert len(march) == 743 * 12 and march[0] == np.datetime64("2026-03-01T05:00")


def test_a_part_of_a_month_is_cut_at_the_month_s_end() -> None:
    parts = Strip("own", date(2025, 11, 22), date(2026, 1, 3)).months()
    assert [(part.name, len(part.days)) for part in parts] == [("Nov-25", 9), ("Dec-25", 31), ("Jan-26", 3)]
    assert [part.name for part in Strip("own", date(2025, 11, 22), date(2026, 1, 3)).quarters()] == ["Q4-25", "Q1-26"]


def test_what_a_contract_delivers() -> None:
    assert strip_of(parse_contract("NGF26")) == month_strip(2026, 1)
    assert contract_quantity(parse_contract("CLZ25")) == 1000
    assert contract_quantity(parse_contract("PMJF26")) == 50 * strip("Jan-26").hours("PJM", "5x16") == 50 * 336
    with pytest.raises(UnknownProduct, match="megawatts"):
        contract_quantity(parse_contract("POWER Jan-26"))


@pytest.mark.parametrize("text", ["Q5-26", "Foo-26", "", "Cal", "Jan", "2026-13", "26", None, "Q1"])
def test_what_is_no_period_is_told_with_the_shapes(text) -> None:
    with pytest.raises(UnknownProduct, match="Q1-26"):
        strip(text)


@pytest.mark.parametrize("text", ["Mar-Jan 26", "Winter 26-28", "Summer 26-27"])
def test_periods_that_contradict_themselves(text: str) -> None:
    with pytest.raises(BadLabel):
        strip(text)


def test_nothing_is_left_of_a_month_on_its_last_day() -> None:
    with pytest.raises(BadLabel, match="last day"):
        strip("BalMo", "2025-11-30")
    with pytest.raises(BadLabel):
        strip("Q1-26").hours("PJM", "5x16") and Strip("x", date(2026, 1, 2), date(2026, 1, 1)).hours("PJM", "ATC")
