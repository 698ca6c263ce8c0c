"""Holidays against independent judges, published lists over rules, and what is refused."""

from datetime import UTC, date, datetime

import holidays as judge
import numpy as np
import pandas as pd
import polars as pl
import pytest

from carbon254.calendars.holidays import holiday_calendar, holidays_of, is_holiday, load, nerc_holidays
from carbon254.errors import BadLabel, SettingsError, UnknownProduct

YEARS = range(2007, 2038)
ALL_DAYS = np.arange("2007-01-01", "2038-01-01", dtype="M8[D]")


def days_of(calendar: str, years: range = YEARS) -> set[date]:
    return {holiday.day for year in years for holiday in holidays_of(year, calendar)}


def test_federal_holidays_are_those_of_the_holidays_package() -> None:
    theirs = judge.country_holidays("US", years=YEARS, observed=True)
    own_dates = judge.country_holidays("US", years=YEARS, observed=False)
    # They list a moved holiday on both days; offices keep the moved one alone.
    kept = {day for day in theirs if not (day in own_dates and day.weekday() > 4)}
    assert days_of("US_FEDERAL") == {day for day in kept if day.year in YEARS}


def test_banks_move_sunday_and_leave_saturday() -> None:
    moved = days_of("US_FEDERAL") - days_of("US_BANK")
    assert moved and {day.weekday() for day in moved} == {4}
    assert {day.weekday() for day in days_of("US_BANK") - days_of("US_FEDERAL")} == {5}


def test_nerc_days_are_six_of_the_federal_ones_but_on_saturday() -> None:
    names = {"New Year's Day", "Memorial Day", "Independence Day", "Labor Day", "Thanksgiving Day", "Christmas Day"}
    theirs = judge.country_holidays("US", years=range(2006, 2039), observed=False, language="en_US")
    own = [day for day, name in theirs.items() if set(name.split("; ")) & names or name == "Thanksgiving"]
    kept = {day + pd.Timedelta(days=1).to_pytimedelta() if day.weekday() == 6 else day for day in own}
    assert days_of("NERC") == {day for day in kept if day.year in YEARS}
    assert all(len(nerc_holidays(year)) == 6 for year in YEARS)


@pytest.mark.parametrize(
    ("year", "name", "day", "observed"),
    [
        (2021, "Independence Day", date(2021, 7, 5), True),
        (2022, "Christmas Day", date(2022, 12, 26), True),
        (2023, "New Year's Day", date(2023, 1, 2), True),
        (2026, "Independence Day", date(2026, 7, 4), False),
        (2027, "Christmas Day", date(2027, 12, 25), False),
    ],
)
def test_nerc_sunday_goes_to_monday_and_saturday_stays(year: int, name: str, day: date, observed: bool) -> None:
    assert [(one.day, one.observed) for one in nerc_holidays(year) if one.name == name] == [(day, observed)]


def test_the_other_saturday_rule_can_be_chosen() -> None:
    assert is_holiday("2026-07-03", "NAESB") and not is_holiday("2026-07-03", "NERC")
    assert is_holiday("2021-12-31", "NAESB") and not is_holiday("2022-01-01", "NAESB")


def test_new_south_wales_is_as_the_holidays_package_has_it() -> None:
    years = range(2013, 2032)
    theirs = {day for day in judge.country_holidays("AU", subdiv="NSW", years=years) if day.weekday() < 5}
    ours = {day for day in days_of("AU_NSW", years) if day.weekday() < 5}
    # From 2026 the state added a Monday for Anzac Day on a weekend, for two years; our list waits for its gazette.
    assert {day for day in theirs ^ ours if (day.month, day.day) not in {(4, 26), (4, 27)}} == set()


def test_a_published_list_replaces_its_year_and_no_other(tmp_path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        """
        [[published]]
        calendar = "NERC"
        year = 2026
        source = "our broker's list"
        days = [2026-01-01, 2026-05-25, { name = "Independence Day", day = 2026-07-03 }]
        [[extra]]
        calendar = "NYMEX"
        day = 2025-01-09
        name = "closed"
        [[calendar]]
        id = "DESK"
        title = "ours"
        like = "NERC"
        without = ["Labor Day"]
        """
    )
    calendars = load(own)
    assert [one.day for one in holidays_of(2026, calendars["NERC"])] == [
        date(2026, 1, 1),
        date(2026, 5, 25),
        date(2026, 7, 3),
    ]
    assert not is_holiday("2026-07-04", calendars["NERC"]) and is_holiday("2026-07-04", "NERC")
    assert is_holiday("2025-07-04", calendars["NERC"])
    assert is_holiday("2025-01-09", calendars["NYMEX"]) and not is_holiday("2025-01-09", "NYMEX")
    assert not is_holiday("2025-09-01", calendars["DESK"]) and is_holiday("2025-05-26", calendars["DESK"])


def test_the_shipped_list_says_what_the_rule_says() -> None:
    from dataclasses import replace

    ruled = replace(holiday_calendar("NERC"), published={})
    assert [one.day for one in ruled.holidays(2010)] == [one.day for one in nerc_holidays(2010)]
    assert {one.basis.split(":")[0] for one in nerc_holidays(2010)} == {"published"}


@pytest.mark.parametrize(
    "text",
    [
        "[[published]]\ncalendar = 'NERC'\nyear = 2026\ndays = [2025-01-01]",
        "[[published]]\ncalendar = 'NERC'\ndays = []",
        "[[extra]]\ncalendar = 'NERC'\nname = 'x'\nday = '2025-01-01'",
        "[[calendar]]\nid = 'X'\ntitle = 'x'\nrule = [{ name = 'x', month = 5, weekday = 'Mo', nth = 1 }]",
        "[[calendar]]\nid = 'X'\ntitle = 'x'\nrule = [{ name = 'x', month = 5 }]",
        "not toml",
    ],
)
def test_a_list_written_otherwise_is_refused(tmp_path, text: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"own\.toml"):
        load(tmp_path / "own.toml")


def test_one_day_gives_a_bool_and_columns_give_arrays() -> None:
    assert is_holiday(date(2025, 7, 4)) is True and is_holiday(np.datetime64("2025-07-05")) is False
    days = pd.date_range("2025-07-03", periods=3)
    for column in (days, pd.Series(days), pl.Series(days), days.to_numpy(), list(days.date), list(days.astype(str))):
        assert is_holiday(column).tolist() == [False, True, False]
    assert is_holiday(days.to_numpy().reshape(3, 1)).shape == (3, 1)
    assert is_holiday(pl.Series([], dtype=pl.Date)).tolist() == []


def test_over_thirty_years_membership_is_the_list() -> None:
    assert set(ALL_DAYS[is_holiday(ALL_DAYS, "NERC")].tolist()) == days_of("NERC")


@pytest.mark.parametrize(
    "given",
    [
        None,
        pd.NaT,
        "2025-13-01",
        20250704,
        [None],
        pl.Series([None, date(2025, 1, 1)]),
        pl.Series([1]),
        pd.Series([1.5]),
        datetime(2025, 7, 4, tzinfo=UTC),
        pd.date_range("2025-07-04", periods=2, tz="America/New_York"),
        np.array(["NaT"], "M8[D]"),
    ],
)
def test_what_is_no_day_is_refused(given) -> None:
    with pytest.raises(BadLabel):
        is_holiday(given)


def test_an_unknown_calendar_lists_the_known_ones() -> None:
    with pytest.raises(UnknownProduct, match=r"NERK.*NERC.*NYMEX"):
        is_holiday("2025-07-04", "NERK")
    with pytest.raises(UnknownProduct, match="four figures"):
        nerc_holidays(25)
