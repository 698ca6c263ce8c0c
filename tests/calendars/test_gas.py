"""Gas days on the days clocks change, nomination timetables in UTC, storage weeks, weights of a power day."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon254.calendars.blocks import hours_by_day
from carbon254.calendars.gas import (
    gas_day_hours,
    gas_day_of,
    gas_day_span,
    gas_day_start,
    gas_month_of,
    gas_weights,
    gas_year_of,
    gas_year_span,
    next_day_strip,
    season_of,
)
from carbon254.calendars.nominations import (
    nomination_deadlines,
    nominations,
    open_cycles,
    storage_report,
    storage_week_of,
    storage_week_span,
)
from carbon254.calendars.zones import zone
from carbon254.errors import BadLabel, UnknownProduct

DAYS = np.arange("2007-01-01", "2038-01-01", dtype="M8[D]")


def test_the_hour_of_a_clock_change_lies_in_saturday_s_gas_day() -> None:
    hours = gas_day_hours(DAYS)
    for length in (23, 25):
        odd = DAYS[hours == length]
        assert len(odd) == 31 and {day.weekday() for day in odd.tolist()} == {5}
    assert set(np.unique(hours)) == {23, 24, 25}
    assert gas_day_hours(["2025-03-08", "2025-03-09", "2025-11-01", "2025-11-02"]).tolist() == [23, 24, 25, 24]


@given(st.datetimes(datetime(2007, 1, 1), datetime(2037, 12, 1)), st.sampled_from(["US", "EU"]))
def test_an_instant_lies_in_its_gas_day(moment: datetime, kind: str) -> None:
    instant = moment.replace(tzinfo=UTC)
    clock, opens = {"US": ("America/Chicago", 9), "EU": ("Europe/Berlin", 6)}[kind]
    wall = instant.astimezone(zone(clock))
    by_hand = wall.date() if wall.hour >= opens else wall.date() - timedelta(days=1)
    day = gas_day_of(instant, kind)
    assert day == by_hand
    start, end = gas_day_span(day, kind)
    assert start <= instant < end and start == gas_day_start(day, kind)


def test_gas_days_follow_each_other_without_a_gap() -> None:
    start, end = gas_day_span(DAYS)
    assert (start[1:] == end[:-1]).all()
    assert (gas_day_of(start) == DAYS).all() and (gas_day_of(end - np.timedelta64(1, "us")) == DAYS).all()


def test_the_european_gas_day_is_five_and_four_o_clock_utc() -> None:
    assert gas_day_start("2025-01-15", "EU").hour == 5 and gas_day_start("2025-07-15", "TTF").hour == 4


def test_years_months_and_seasons() -> None:
    assert gas_year_of(["2025-10-31", "2025-11-01", "1969-12-31"]).tolist() == [2024, 2025, 1969]
    assert gas_year_of("2025-10-01", "EU") == 2025 and gas_year_of("2025-10-01") == 2024
    assert gas_year_span(2025) == (date(2025, 11, 1), date(2026, 10, 31))
    assert gas_month_of("2025-10-31") == date(2025, 10, 1)
    assert season_of(["2025-03-31", "2025-04-01", "2025-10-31", "2025-11-01"]).tolist() == [
        "winter",
        "summer",
        "summer",
        "winter",
    ]
    assert season_of("2025-10-01", "EU") == "winter"


@pytest.mark.parametrize(
    ("traded", "first", "last"),
    [
        ("2025-11-20", "2025-11-21", "2025-11-21"),
        ("2025-11-21", "2025-11-22", "2025-11-24"),  # Friday: Saturday to Monday
        ("2026-02-13", "2026-02-14", "2026-02-17"),  # Presidents Day follows
        ("2025-11-26", "2025-11-27", "2025-11-28"),  # Thanksgiving
        ("2025-04-17", "2025-04-18", "2025-04-21"),  # Good Friday
    ],
)
def test_next_day_gas_flows_until_one_can_trade_again(traded: str, first: str, last: str) -> None:
    assert next_day_strip(traded) == (date.fromisoformat(first), date.fromisoformat(last))


def test_strips_of_trading_days_cover_every_gas_day_once() -> None:
    from carbon254.calendars.business import business_days

    first, last = next_day_strip(business_days("2025-01-01", "2026-12-31", "ICE"))
    assert (first[1:] == last[:-1] + 1).all()


def test_a_power_day_lies_in_two_gas_days() -> None:
    plain = gas_weights("2025-11-05", "PJM")
    assert (plain.hours_before[0], plain.hours_after[0]) == (10, 14)
    assert (plain.before[0].item(), plain.after[0].item()) == (date(2025, 11, 4), date(2025, 11, 5))
    peak = gas_weights("2025-11-05", "PJM", "5x16")
    assert (peak.hours_before[0], peak.hours_after[0]) == (3, 13)
    west = gas_weights("2025-11-05", "CAISO", "peak")
    assert (west.hours_before[0], west.hours_after[0]) == (1, 15)
    change = gas_weights(["2025-03-09", "2025-11-02"], "PJM")
    assert change.hours_before.tolist() == [9, 11] and change.hours_after.tolist() == [14, 14]


@pytest.mark.parametrize("where", ["PJM", "ERCOT", "CAISO", "AESO", "MISO", "AEMO"])
@pytest.mark.parametrize("name", ["peak", "offpeak", "ATC"])
def test_weights_add_to_the_block_and_agree_with_each_hour(where: str, name: str) -> None:
    days = np.arange("2025-01-01", "2026-01-01", dtype="M8[D]")
    weights = gas_weights(days, where, name)
    assert np.array_equal(weights.hours_before + weights.hours_after, hours_by_day(where, name, days))
    from carbon254.calendars.blocks import block_starts

    starts = block_starts(where, name, "2025-01-01", "2025-12-31")
    counted = pl.Series(gas_day_of(starts)).value_counts().sort("").rows()
    told: dict[date, float] = {}
    for day, hours in zip(
        [*weights.before.tolist(), *weights.after.tolist()],
        [*weights.hours_before.tolist(), *weights.hours_after.tolist()],
        strict=True,
    ):
        told[day] = told.get(day, 0) + hours
    assert {day: hours for day, hours in told.items() if hours} == dict(counted)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_cycles_of_a_winter_day() -> None:
    told = [(one.cycle, one.deadline, one.flows, one.bumps) for one in nominations("2025-01-15")]
    assert told == [
        ("Timely", at("2025-01-14T13:00-06:00"), at("2025-01-15T09:00-06:00"), True),
        ("Evening", at("2025-01-14T18:00-06:00"), at("2025-01-15T09:00-06:00"), True),
        ("ID1", at("2025-01-15T10:00-06:00"), at("2025-01-15T14:00-06:00"), True),
        ("ID2", at("2025-01-15T14:30-06:00"), at("2025-01-15T18:00-06:00"), True),
        ("ID3", at("2025-01-15T19:00-06:00"), at("2025-01-15T22:00-06:00"), False),
    ]
    assert nominations("2025-01-15")[0].scheduled == at("2025-01-14T17:00-06:00")


def test_deadlines_move_with_the_clock() -> None:
    days = np.arange("2025-03-08", "2025-03-12", dtype="M8[D]")
    told = nomination_deadlines(days, "Timely")
    assert [one.astype("M8[h]").item().hour for one in told] == [19, 19, 18, 18]
    for day in days.tolist():
        assert nomination_deadlines(day, "intraday 2") == nominations(day)[3].deadline


def test_what_is_still_open_at_an_instant() -> None:
    found = [(str(one.gas_day), one.cycle) for one in open_cycles("2025-01-15T14:30-06:00")]
    assert found[:3] == [("2025-01-15", "ID2"), ("2025-01-16", "Evening"), ("2025-01-15", "ID3")]
    assert [one.cycle for one in open_cycles("2025-01-15T14:30:01-06:00", "2025-01-15")] == ["ID3"]
    assert open_cycles("2025-01-15T20:00-06:00", "2025-01-15") == []


def test_a_day_before_the_timetable_is_refused() -> None:
    assert len(nominations("2016-04-01")) == 5
    with pytest.raises(UnknownProduct, match="2016-04-01"):
        nominations("2016-03-31")
    with pytest.raises(UnknownProduct, match=r"ID4.*Timely"):
        nomination_deadlines("2025-01-15", "ID4")
    with pytest.raises(UnknownProduct, match="EU"):
        nominations("2025-01-15", "EU")


def test_storage_weeks_open_on_friday_morning() -> None:
    assert storage_week_of(["2025-11-06", "2025-11-07", "2025-11-13"]).astype(str).tolist() == [
        "2025-11-07",
        "2025-11-14",
        "2025-11-14",
    ]
    start, end = storage_week_span("2025-11-07")
    assert (start, end) == (at("2025-10-31T09:00-05:00"), at("2025-11-07T09:00-06:00"))
    week = [day for day in DAYS[6000:6900] if storage_week_of(day) == date(2025, 11, 7)]
    assert (gas_day_start(week[0].item()), gas_day_span(week[-1].item())[1], len(week)) == (start, end, 7)
    with pytest.raises(BadLabel, match="2025-11-07"):
        storage_week_span("2025-11-06")


def test_storage_is_told_on_thursday_and_a_holiday_is_marked() -> None:
    assert (storage_report("2025-11-14").at, storage_report("2025-11-14").basis) == (
        at("2025-11-20T10:30-05:00"),
        "rule",
    )
    assert storage_report("2025-07-11").at == at("2025-07-17T10:30-04:00")
    assert storage_report("2025-11-21").basis == "check"
    assert storage_report("2015-11-06").at.date() == date(2015, 11, 13)
    given_ = storage_report("2025-11-21", {date(2025, 11, 21): at("2025-11-26T12:00-05:00")})
    assert (given_.at, given_.basis) == (at("2025-11-26T12:00-05:00"), "given")


def test_columns_of_pandas_and_polars() -> None:
    times = pd.date_range("2025-11-02T14:59", periods=2, freq="min", tz="UTC")
    for column in (times, pd.Series(times), pl.Series(times), list(times), times.tz_localize(None).to_numpy()):
        assert gas_day_of(column).astype(str).tolist() == ["2025-11-01", "2025-11-02"]
    for naive in (
        times.tz_localize(None),
        pl.Series(times.tz_localize(None)),
        "2025-11-02T14:59",
        datetime(2025, 11, 2),
    ):
        with pytest.raises(BadLabel, match="time zone"):
            gas_day_of(naive)
    for missing in (None, pd.NaT, np.datetime64("NaT"), [times[0], None], pd.Series([times[0], pd.NaT])):
        with pytest.raises(BadLabel):
            gas_day_of(missing)
