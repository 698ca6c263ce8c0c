"""Ladders as data: every rung's moment found again by plain dates, unknown names answered with the known ones."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon254.calendars import is_business_day, market
from carbon254.errors import UnknownRung
from carbon254.model.ladders import Rung, gate, horizon, ladder, ladders, rung
from carbon254.stores.hot.cutoffs import GATE, cutoffs, reached

RUNGS = [found for each in ladders().values() for found in each.rungs]


def midnight(day: date, clock: str, at: time = time()) -> datetime:
    return datetime.combine(day, at, ZoneInfo(clock)).astimezone(UTC)


def later_month(day: date, months: int) -> date:
    """The same day months on, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError


def by_hand(found: Rung, day: date) -> datetime:
    """The end of the day that is so many days, months or business days after `day`: counted one by one."""
    target = day
    if found.unit == "days":
        target = day + timedelta(days=found.count)
    elif found.unit == "months":
        target = later_month(day, found.count)
    elif found.unit == "business_days":
        left = found.count
        while left:
            target += timedelta(days=1)
            left -= bool(is_business_day(target, ladder(found.market).calendar))
    return midnight(target + timedelta(days=1), market(found.market).clock)


DAYS = st.dates(date(2010, 1, 1), date(2035, 12, 31))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([found for found in RUNGS if found.unit != "minutes"]), DAYS)
def test_a_rung_ends_with_its_day_on_the_markets_clock(found: Rung, day: date) -> None:
    assert reached(found, day)[0] == by_hand(found, day)


def test_the_table_says_what_the_rule_says() -> None:
    table = pl.DataFrame(cutoffs())
    first, last = horizon()
    assert table.height == (len(RUNGS) + len(ladders())) * ((last - first).days + 1)
    rows = table.filter(pl.col("rung") != GATE).sample(300, seed=254).to_dicts()
    for row in rows:
        found, clock = rung(row["market"], row["rung"]), market(row["market"]).clock
        day = row["starts"].astimezone(ZoneInfo(clock)).date()
        assert (row["starts"], row["ends"]) == (midnight(day, clock), midnight(day + timedelta(days=1), clock))
        minutes = found.count if found.unit == "minutes" else 0
        assert row["after_s"] == minutes * 60
        assert minutes or row["reached_at"] == by_hand(found, day)
    assert (table["ends"] > table["starts"]).all()
    hours = ((table["ends"] - table["starts"]).dt.total_hours()).unique().sort().to_list()
    assert hours == [23, 24, 25]


def test_gates_close_on_the_markets_clock_the_day_before() -> None:
    table = pl.DataFrame(cutoffs()).filter(pl.col("rung") == GATE)
    for name in ladders():
        clock, closes = market(name).clock, gate(name)
        for row in table.filter(pl.col("market") == name).sample(40, seed=1).to_dicts():
            day = row["starts"].astimezone(ZoneInfo(clock)).date() - timedelta(days=closes.days_before)
            assert row["reached_at"] == midnight(day, clock, closes.at)


def test_rungs_that_are_stated() -> None:
    """Dates worked out by hand: a holiday, a leap day, and the 25-hour day of 2 November 2025."""
    assert reached(rung("SPP", "S7"), date(2025, 10, 26))[0] == datetime(2025, 11, 3, 6, tzinfo=UTC)
    assert reached(rung("MISO", "s14"), date(2025, 10, 26))[0] == datetime(2025, 11, 10, 5, tzinfo=UTC)
    # 1 July 2025 was a Tuesday and 4 July is a holiday: +3 business days is Monday 7 July.
    assert reached(rung("CAISO", "T+3B"), date(2025, 7, 1))[0] == datetime(2025, 7, 8, 7, tzinfo=UTC)
    assert reached(rung("CAISO", "T+36M"), date(2024, 2, 29))[0] == datetime(2027, 3, 1, 8, tzinfo=UTC)
    assert reached(rung("ERCOT", "TRUEUP"), date(2025, 1, 1))[0] == datetime(2025, 7, 1, 5, tzinfo=UTC)


def test_every_fact_says_how_sure_it_is() -> None:
    assert {found.basis for found in RUNGS} <= {"P", "S", "K"} and all(found.source for found in RUNGS)
    assert {found.set for found in RUNGS} == {"present", "older"}
    assert [found.name for found in ladder("miso").rungs] == ["S7", "S14", "S55", "S105"]
    assert [found.name for found in ladder("SPP").rungs] == ["S7", "S53", "S120"]
    for each in ladders().values():
        names = [name.upper() for found in each.rungs for name in (found.name, *found.also)]
        assert len(names) == len(set(names)) and GATE.upper() not in names


def test_present_rungs_are_climbed_in_order() -> None:
    days = [date(2020, 1, 1) + timedelta(days=30 * n) for n in range(12)]
    for each in ladders().values():
        present = [found for found in each.rungs if found.set == "present" and found.unit != "minutes"]
        for day in days:
            moments = [reached(found, day)[0] for found in present]
            assert moments == sorted(set(moments)), (each.market, day)


@pytest.mark.parametrize(
    ("name", "asked", "says"),
    [
        ("MISO", "S99", r"MISO has no rung 'S99'; its rungs are: S7, S14, S55, S105"),
        ("NYISO", "S7", r"NYISO has no rung 'S7'; its rungs are: none"),
        ("EPEX", "S7", r"no market 'EPEX'.*there are: MISO, SPP, CAISO"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(name: str, asked: str, says: str) -> None:
    with pytest.raises(UnknownRung, match=says):
        rung(name, asked)
