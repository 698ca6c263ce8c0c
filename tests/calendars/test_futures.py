"""Expiries against the exchange's dates, contract codes both ways, and the contract in front."""

from datetime import date

import numpy as np
import pandas as pd
import pandas_market_calendars as judge
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon254.calendars.contracts import Contract, contract_codes, front_contract, parse_contract
from carbon254.calendars.expiry import delivery_days, front_months, last_trade_days, rolls
from carbon254.calendars.products import full_year, month_code, month_of_code, product, products, roots
from carbon254.errors import BadLabel, UnknownProduct

EXCHANGE = [
    ("2025-12", "2025-11-20", "2025-11-25", "2025-11-28"),
    ("2026-01", "2025-12-19", "2025-12-29", "2025-12-31"),
    ("2026-02", "2026-01-20", "2026-01-28", "2026-01-30"),
    ("2026-03", "2026-02-20", "2026-02-25", "2026-02-27"),
    ("2026-06", "2026-05-19", "2026-05-27", "2026-05-29"),
    ("2026-07", "2026-06-22", "2026-06-26", "2026-06-30"),
    ("2027-01", "2026-12-21", "2026-12-29", "2026-12-31"),
]
MONTHS = np.arange("2008-01", "2038-01", dtype="M8[M]")


@pytest.mark.parametrize(("month", "cl", "ng", "ho"), EXCHANGE)
def test_the_dates_of_the_exchange(month: str, cl: str, ng: str, ho: str) -> None:
    told = [str(last_trade_days(root, month)) for root in ("CL", "NG", "HO", "RB")]
    assert told == [cl, ng, ho, ho]


@pytest.mark.parametrize(
    ("code", "day"),
    [("CLK20", "2020-04-21"), ("CLF22", "2021-12-20"), ("NGH21", "2021-02-24"), ("CLZ19", "2019-11-20")],
)
def test_expiries_that_were_in_the_news(code: str, day: str) -> None:
    assert str(parse_contract(code).last_trade_day) == day


def test_thirty_years_of_expiries_counted_on_a_list_of_open_days() -> None:
    """Counted backwards on the NYSE's weekdays, whose regular holidays are NYMEX's since Juneteenth."""
    rules = judge.get_calendar("NYSE").regular_holidays.rules
    shut = {day.date() for rule in rules for day in rule.dates("2022-06-01", "2037-12-31")}
    open_days = [day.date() for day in pd.bdate_range("2022-06-01", "2037-12-31") if day.date() not in shut]
    for month in np.arange("2022-09", "2038-01", dtype="M8[M]"):
        before = (month - 1).astype("M8[D]").item()
        in_month = [day for day in open_days if (day.year, day.month) == (before.year, before.month)]
        expected_ng, expected_ho = in_month[-3], in_month[-1]
        the_25th = before.replace(day=25)
        earlier = [day for day in in_month if day < the_25th]
        expected_cl = earlier[-3] if the_25th in in_month else earlier[-4]
        told = [last_trade_days(root, month) for root in ("CL", "NG", "HO", "H", "GAS")]
        assert told == [expected_cl, expected_ng, expected_ho, expected_ng, expected_ng], month


def test_power_trades_until_the_last_business_day_of_delivery() -> None:
    assert str(last_trade_days("PMJ", "2025-11")) == "2025-11-28"
    assert str(last_trade_days("D7L", "2026-01")) == "2026-01-30"


def test_arrays_give_arrays() -> None:
    told = last_trade_days("CL", ["2025-12", "2026-01-15"])
    assert told.astype(str).tolist() == ["2025-11-20", "2025-12-19"]
    for months in (MONTHS, pl.Series(MONTHS.astype("M8[D]")), pd.Series(MONTHS.astype("M8[s]"))):
        assert (last_trade_days("NG", months) == last_trade_days("NG", MONTHS)).all()
    assert delivery_days("NG", "2026-02") == (date(2026, 2, 1), date(2026, 2, 28))
    first, last = delivery_days("CL", MONTHS)
    assert (first[1:] == last[:-1] + 1).all()


@given(st.integers(1, 12))
def test_month_letters_both_ways(month: int) -> None:
    assert month_of_code(month_code(month)) == month
    assert month_code(month) == "FGHJKMNQUVXZ"[month - 1]


@given(st.sampled_from(sorted(products())), st.integers(1990, 2078), st.integers(1, 12))
def test_every_code_is_read_back(root: str, year: int, month: int) -> None:
    contract = Contract(product(root), year, month)
    whole = f"{root}{month_code(month)}{year}"
    for text in (contract.code, str(contract), whole, contract.code.lower(), f"/{contract.code}", f" {contract} "):
        assert parse_contract(text) == contract
    assert parse_contract(f"{root} {year}-{month:02}") == contract
    assert parse_contract(f"{root}{month_code(month)}{year % 10}", contract.last_trade_day) == contract


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CLZ25", "CLZ25"),
        ("NGF2026", "NGF26"),
        ("NG Jan-26", "NGF26"),
        ("CL Dec-2025", "CLZ25"),
        ("HOM26", "HOM26"),
        ("HZ25", "HZ25"),
        ("HM26", "HM26"),
        ("CL December 2025", "CLZ25"),
        ("CLZ25.NYM", "CLZ25"),
        ("clz25 comdty", "CLZ25"),
        ("PMJ F26-IUS", "PMJF26"),
        ("D7LV25", "D7V25"),
        ("RB_JAN26", "RBF26"),
    ],
)
def test_the_ways_contracts_are_written(text: str, code: str) -> None:
    assert parse_contract(text).code == code


@pytest.mark.parametrize(
    ("text", "reference", "year"),
    [
        ("CLZ5", "2025-11-20", 2025),
        ("CLZ5", "2025-11-21", 2035),  # expired the day before
        ("CLF6", "2025-12-19", 2026),
        ("CLF0", "2019-12-01", 2020),
        ("NGF6", date(2025, 12, 30), 2036),
        ("PMJF6", "2026-01-30", 2026),  # power trades into its delivery month
    ],
)
def test_one_figure_needs_a_day_on_which_it_trades(text: str, reference, year: int) -> None:
    assert parse_contract(text, reference).year == year
    with pytest.raises(BadLabel, match="reference"):
        parse_contract(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("XXZ25", r"XXZ25.*no product.*CL .*NG "),
        ("CLI25", r"'I' is no month letter; known: F Jan.*Z Dec"),
        ("CL", "no delivery month"),
        ("CLZ", "no delivery month"),
        ("CLZ125", "no delivery month"),
        ("NG Foo-26", "no delivery month"),
        ("NG 2026-13", "no delivery month"),
        ("", "no product"),
        (25, "no contract"),
    ],
)
def test_what_is_no_contract_is_told_with_what_is_known(text, says: str) -> None:
    with pytest.raises(UnknownProduct, match=says):
        parse_contract(text)


def test_two_figures_lie_in_one_hundred_years() -> None:
    assert [full_year(text) for text in ("80", "99", "00", "79")] == [1980, 1999, 2000, 2079]


@pytest.mark.parametrize("root", products())
def test_the_front_contract_is_the_first_that_still_trades(root: str) -> None:
    days = np.arange("2024-01-01", "2026-01-01", dtype="M8[D]")
    front = front_months(days, root)
    ends = last_trade_days(root, front)
    before = last_trade_days(root, front.astype("M8[M]") - 1)
    assert (ends >= days).all() and (before < days).all()
    rolled = front_months(days, root, 25)
    assert (rolled.astype("M8[M]") - front.astype("M8[M]") >= np.timedelta64(1, "M")).all()


def test_rolls_are_the_days_on_which_the_front_changes() -> None:
    days = np.arange("2025-01-01", "2026-01-01", dtype="M8[D]")
    for early in (0, 3):
        front = front_months(days, "CL", early)
        changes = days[:-1][front[1:] != front[:-1]].tolist()
        found = rolls("CL", "2025-01-01", "2025-12-30", early)
        assert [roll.day for roll in found] == changes and len(found) == 12
        assert all(front_contract("CL", roll.day, early).delivery_month == roll.out for roll in found)
    assert front_contract("CL", "2025-11-20").code == "CLZ25" and front_contract("CL", "2025-11-21").code == "CLF26"
    with pytest.raises(BadLabel):
        front_months(days, "CL", -1)


def test_products_tell_their_facts_and_their_basis() -> None:
    assert [(product(root).size, product(root).tick) for root in ("CL", "NG", "HO", "RB")] == [
        (1000, 0.01),
        (10000, 0.001),
        (42000, 0.0001),
        (42000, 0.0001),
    ]
    assert all(one.basis in set("PSCK") and one.source for one in products().values())
    assert {product(code).root for code in roots()} == set(products())
    assert contract_codes("NG", "2025-11-15", "2026-02-01") == ["NGX25", "NGZ25", "NGF26", "NGG26"]
    assert parse_contract("NGX25").next(2).code == "NGF26"
    with pytest.raises(UnknownProduct, match=r"ZZ.*CL .*NG "):
        last_trade_days("ZZ", "2025-12")
