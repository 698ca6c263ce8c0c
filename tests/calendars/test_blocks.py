"""Peak blocks: the yearly counts of the fixtures, hours as a sum of instants, and days on which clocks change."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest

from carbon254.calendars.blocks import (
    block_hours,
    block_named,
    block_spans,
    block_starts,
    blocks_of,
    hours_by_day,
    in_block,
    interval_hours,
    region_named,
    regions,
)
from carbon254.calendars.days import market_day_span
from carbon254.calendars.holidays import load, nerc_holidays
from carbon254.errors import BadLabel, UnknownProduct

DAYS = np.arange("2007-01-01", "2038-01-01", dtype="M8[D]")
YEARLY = [
    (2021, 4096, 4912, 1744),
    (2022, 4080, 4912, 1760),
    (2023, 4064, 4896, 1776),
    (2024, 4096, 4928, 1760),
    (2025, 4080, 4912, 1760),
    (2026, 4096, 4912, 1744),
    (2027, 4096, 4912, 1744),
]
NERC_REGIONS = [one.id for one in regions().values() if one.holidays == "NERC"]


@pytest.mark.parametrize(("year", "five", "six", "two"), YEARLY)
@pytest.mark.parametrize("where", NERC_REGIONS)
def test_a_year_has_the_hours_of_the_fixtures(where: str, year: int, five: int, six: int, two: int) -> None:
    span = (date(year, 1, 1), date(year, 12, 31))
    hours = {name: block_hours(where, name, *span) for name in ("5x16", "6x16", "2x16", "7x8", "ATC")}
    whole = 24.0 * (span[1] - span[0] + timedelta(days=1)).days
    assert hours == {"5x16": five, "6x16": six, "2x16": two, "7x8": whole / 3, "ATC": whole}
    assert hours["5x16"] + hours["2x16"] + hours["7x8"] == whole


@pytest.mark.parametrize("where", regions())
def test_blocks_fill_every_day_without_overlap(where: str) -> None:
    hours = {one.id: hours_by_day(where, one.id, DAYS) for one in blocks_of(where)}
    assert np.array_equal(hours["peak"] + hours["offpeak"], hours["7x24"])
    if "5x16" in hours:
        assert np.array_equal(hours["5x16"] + hours["2x16"] + hours["7x8"], hours["7x24"])
        assert np.array_equal(hours["6x16"] + hours["1x16"], hours["7x16"])
        assert np.array_equal(hours["5x16"] + hours["5x8"], hours["5x24"])
        assert np.array_equal(hours["6x8"] + hours["1x8"], hours["7x8"])
        assert set(np.unique(hours["7x16"])) == {16.0}


@pytest.mark.parametrize("where", regions())
def test_a_day_is_as_long_as_its_clock_says(where: str) -> None:
    days = np.arange("2025-01-01", "2027-01-01", dtype="M8[D]")
    spans = [market_day_span(day, region_named(where).clock) for day in days.tolist()]
    assert hours_by_day(where, "ATC", days).tolist() == [(end - start) / timedelta(hours=1) for start, end in spans]


@pytest.mark.parametrize("where", regions())
def test_hours_of_days_are_the_intervals_in_the_block(where: str) -> None:
    for one in blocks_of(where):
        starts = block_starts(where, one.id, "2024-12-28", "2026-01-03", timedelta(minutes=15))
        assert len(starts) / 4 == block_hours(where, one.id, "2024-12-28", "2026-01-03"), one.id
        spans = block_spans(where, one.id, np.arange("2024-12-28", "2026-01-04", dtype="M8[D]"))
        assert sum((end - start).sum() for start, end in spans) / np.timedelta64(1, "h") == len(starts) / 4


@pytest.mark.parametrize(
    ("where", "peak", "zone", "first", "last", "weekdays"),
    [
        ("PJM", "5x16", "America/New_York", 8, 23, 5),
        ("ERCOT", "5x16", "America/Chicago", 7, 22, 5),
        ("CAISO", "6x16", "America/Los_Angeles", 7, 22, 6),
        ("MISO", "5x16", "Etc/GMT+5", 7, 22, 5),
        ("MISO-EPT", "5x16", "America/New_York", 8, 23, 5),
    ],
)
def test_peak_hours_one_by_one(where: str, peak: str, zone: str, first: int, last: int, weekdays: int) -> None:
    """The definition, written out again with datetimes and the system's zones (the same for these clocks)."""
    starts = np.arange("2025-01-01T08", "2026-01-01T08", dtype="M8[h]").astype("M8[us]")
    holidays = {holiday.day for year in (2024, 2025, 2026) for holiday in nerc_holidays(year)}
    local = pl.Series(starts).dt.replace_time_zone("UTC").to_list()
    walls = [moment.astimezone(ZoneInfo(zone)) for moment in local]
    expected = [
        first <= wall.hour + 1 <= last and wall.weekday() < weekdays and wall.date() not in holidays for wall in walls
    ]
    assert in_block(starts, where, "peak").tolist() == expected == in_block(starts, where, peak).tolist()


def test_miso_tariff_and_market_agree_in_summer_and_differ_by_an_hour_in_winter() -> None:
    summer = np.arange("2025-04-01T05", "2025-10-01T05", dtype="M8[h]")
    assert np.array_equal(in_block(summer, "MISO", "5x16"), in_block(summer, "MISO-EPT", "5x16"))
    tariff, market = (block_starts(where, "5x16", "2025-01-06", "2025-01-06") for where in ("MISO", "MISO-EPT"))
    assert (market - tariff == np.timedelta64(1, "h")).all()


def test_aeso_peaks_every_day_and_keeps_no_holiday() -> None:
    assert (hours_by_day("AESO", "peak", DAYS) == 16).all()
    assert block_named("AESO", "peak").title.endswith("7x16")


def test_the_aemo_peak_is_asx_s_second_quarter() -> None:
    # ASX notice 0812.18.07: the NSW peak contract of Q2 2021 has 930 hours.
    assert block_hours("AEMO", "peak", "2021-04-01", "2021-06-30") == 930


def test_the_long_and_the_short_day_change_the_night_alone() -> None:
    days = ["2025-03-08", "2025-03-09", "2025-11-02"]
    assert hours_by_day("PJM", "7x8", days).tolist() == [8, 7, 9]
    assert hours_by_day("PJM", "2x16", days).tolist() == [16, 16, 16]
    assert len(block_starts("PJM", "offpeak", "2025-11-02", "2025-11-02")) == 25


def test_an_interval_counts_its_length() -> None:
    for minutes in (5, 15, 60):
        starts = np.arange("2025-11-02T04", "2025-11-03T05", np.timedelta64(minutes, "m"), dtype="M8[us]")
        assert interval_hours(starts, timedelta(minutes=minutes), "PJM", "7x8").sum() == pytest.approx(9)
    with pytest.raises(BadLabel, match="straddle"):
        interval_hours(starts, timedelta(minutes=25), "PJM", "7x8")


def test_own_holidays_take_the_place_of_the_region_s(tmp_path) -> None:
    (tmp_path / "own.toml").write_text("[[published]]\ncalendar='NERC'\nyear=2026\ndays=[2026-07-03]")
    own = load(tmp_path / "own.toml")["NERC"]
    assert hours_by_day("PJM", "5x16", ["2026-07-03", "2026-01-01"], own).tolist() == [0, 16]
    assert block_hours("PJM", "5x16", "2026-01-01", "2026-12-31", own) == 4096 + 16 * (5 - 1)
    assert in_block("2026-07-03T16:00Z", "PJM", "peak") and not in_block("2026-07-03T16:00Z", "PJM", "peak", own)
    assert block_hours("CAISO", "6x16", "2026-07-03", "2026-07-04", "NAESB") == 16


def test_one_instant_gives_a_bool_and_columns_give_arrays() -> None:
    assert in_block("2025-11-03T07:00-05:00", "PJM", "5x16") is True
    assert in_block("2025-11-03T06:59-05:00", "PJM", "5x16") is False
    times = pd.date_range("2025-11-03T11:00", periods=2, freq="h", tz="UTC")
    for column in (times, pd.Series(times), pl.Series(times), times.tz_convert("Asia/Tokyo"), list(times)):
        assert in_block(column, "PJM", "5x16").tolist() == [False, True]


@pytest.mark.parametrize("spelling", ["ATC", "atc", "7X24", "flat", "RTC", "on-peak", "Off Peak", "OFFPEAK", "wrap"])
def test_blocks_are_found_by_the_names_desks_use(spelling: str) -> None:
    assert block_named("iso-ne", spelling).id in {"7x24", "peak", "offpeak"}


def test_what_is_unknown_is_told_with_what_is_known() -> None:
    with pytest.raises(UnknownProduct, match=r"PJN.*PJM.*AEMO"):
        block_hours("PJN", "5x16", "2025-01-01", "2025-01-02")
    with pytest.raises(UnknownProduct, match=r"AEMO: no block.*5x16.*5x15"):
        in_block("2025-01-01T00:00Z", "AEMO", "5x16")
    with pytest.raises(BadLabel, match="no time zone"):
        in_block("2025-01-01T00:00", "PJM", "5x16")
    with pytest.raises(BadLabel, match="before the first"):
        block_hours("PJM", "5x16", "2025-01-02", "2025-01-01")
    with pytest.raises(BadLabel, match="missing"):
        in_block(pl.Series([None], dtype=pl.Datetime("us", "UTC")), "PJM", "5x16")
