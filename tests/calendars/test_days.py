"""Market days of 23, 24 and 25 hours, their periods, changes of clock, and clocks that are off."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from carbon254 import calendars
from carbon254.calendars import (
    align,
    hour_beginning,
    hour_ending,
    hours_in,
    interval_starts,
    is_daylight,
    late,
    market_day_of,
    market_day_span,
    market_days,
    period_starts,
    periods,
    transitions,
    zone,
)
from carbon254.errors import BadLabel

CHICAGO, MISO = "America/Chicago", "Etc/GMT+5"
SPRING, AUTUMN = date(2026, 3, 8), date(2025, 11, 2)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("clock", "day", "hours"), [(CHICAGO, SPRING, 23), (CHICAGO, AUTUMN, 25), (MISO, AUTUMN, 24)])
def test_spans_and_counts(clock: str, day: date, hours: int) -> None:
    start, end = market_day_span(day, clock)
    assert end - start == timedelta(hours=hours)
    assert hours_in(pl.Series([day, None], dtype=pl.Date), clock).to_list() == [hours, None]
    for minutes in (5, 15, 30, 60):
        assert len(interval_starts(day, day, clock, timedelta(minutes=minutes))) == hours * 60 // minutes


def test_periods_count_what_passes() -> None:
    starts = interval_starts(AUTUMN, AUTUMN, CHICAGO, timedelta(hours=1))
    found = periods(starts, CHICAGO, timedelta(hours=1))
    assert found["period"].to_list() == list(range(1, 26)) and set(found["day"]) == {AUTUMN}
    back = period_starts(found["day"], found["period"], CHICAGO, timedelta(hours=1))
    assert back.to_list() == starts.to_list()
    days = pl.Series([SPRING, SPRING, AUTUMN, AUTUMN, None], dtype=pl.Date)
    numbers = pl.Series([23, 24, 25, 26, 1])
    assert period_starts(days, numbers, CHICAGO, timedelta(hours=1)).is_null().to_list() == [
        False,
        True,
        False,
        True,
        True,
    ]
    assert periods(pl.Series([None], dtype=pl.Datetime("us", "UTC")), CHICAGO, timedelta(hours=1)).row(0) == (
        None,
        None,
    )


def test_a_step_that_does_not_divide_an_hour_is_refused() -> None:
    with pytest.raises(BadLabel, match="write 5, 15, 30 or 60 minutes"):
        periods(pl.Series([at("2025-07-01")]), CHICAGO, timedelta(minutes=7))


def test_hour_ending_and_beginning() -> None:
    ending = pl.Series([1, 24, 25, 0, 26, None])
    assert hour_beginning(ending).to_list() == [0, 23, 24, None, None, None]
    assert hour_ending(hour_beginning(ending)).to_list() == [1, 24, 25, None, None, None]


def test_transitions_are_found_by_search_not_by_rule() -> None:
    found = transitions(CHICAGO, at("2025-01-01"), at("2027-01-01"))
    assert [(change.at, change.skips) for change in found] == [
        (at("2025-03-09T08:00"), True),
        (at("2025-11-02T07:00"), False),
        (at("2026-03-08T08:00"), True),
        (at("2026-11-01T07:00"), False),
    ]
    assert (found[0].name_before, found[0].name_after) == ("CST", "CDT")
    assert found[1].wall == (datetime(2025, 11, 2, 1), datetime(2025, 11, 2, 2))
    assert transitions(MISO, at("2007-01-01"), at("2037-01-01")) == []


def test_a_clock_that_stopped_changing_is_known_from_the_pinned_database() -> None:
    ends = [change.at.year for change in transitions("America/Edmonton", at("2007-01-01"), at("2037-01-01"))]
    zoned = datetime(2030, 1, 15, 12, tzinfo=UTC).astimezone(zone("America/Edmonton"))
    assert zoned.utcoffset() == timedelta(hours=-6)
    assert max(ends) < 2030


def test_daylight() -> None:
    moments = pl.Series([at("2025-07-01"), at("2025-12-01"), None])
    assert is_daylight(moments, CHICAGO).to_list() == [True, False, None]
    assert is_daylight(moments.head(2), MISO).to_list() == [False, False]


def test_days_agree_with_the_zone_database_from_a_scalar() -> None:
    for hour in range(0, 24 * 400, 7):
        moment = at("2025-01-01") + timedelta(hours=hour)
        local = moment.astimezone(ZoneInfo("America/New_York")).date()
        assert market_day_of(moment, "America/New_York") == local
    frame = pl.DataFrame({"t": interval_starts(SPRING, SPRING, CHICAGO, timedelta(hours=1))})
    edges = frame.select(
        calendars.day_start(pl.col("t"), CHICAGO).alias("a"), calendars.day_end(pl.col("t"), CHICAGO).alias("b")
    )
    assert set(edges.rows()) == {market_day_span(SPRING, CHICAGO)}
    assert list(market_days(at("2026-03-08T05:59"), at("2026-03-08T06:01"), CHICAGO)) == [date(2026, 3, 7), SPRING]


def test_naive_moments_and_unknown_zones_are_refused() -> None:
    with pytest.raises(BadLabel, match="no time zone"):
        market_day_of(datetime(2025, 7, 1), CHICAGO)
    with pytest.raises(BadLabel, match="IANA"):
        market_day_of(at("2025-07-01"), "Central")


def skewed(ahead_s: float, delays_s: list[float]) -> pl.DataFrame:
    sent = [at("2025-07-01T12:00") + timedelta(seconds=10 * number) for number in range(len(delays_s))]
    return pl.DataFrame(
        {
            "source": ["a"] * len(sent),
            "truth": sent,
            "event_time": [moment + timedelta(seconds=ahead_s) for moment in sent],
            "received_at": [moment + timedelta(seconds=delay) for moment, delay in zip(sent, delays_s, strict=True)],
        }
    )


@pytest.mark.parametrize("ahead_s", [-300.0, -4.0, 0.0, 4.0, 300.0])
def test_an_aligned_clock_is_right_within_the_stated_bound(ahead_s: float) -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        frame = skewed(ahead_s, [*rng.uniform(0, 30, 5).tolist(), float(rng.uniform(0, 2))])
        found = align(frame, source="source", fastest=timedelta(seconds=2))
        off = (found["aligned_time"] - found["truth"]).dt.total_milliseconds().abs().max()
        bound = 1000 if found["skew_status"][0] == "aligned" else 2000
        assert off <= bound + 1
        assert abs(ahead_s) < 2 or found["skew_status"][0] == "aligned"


def test_a_clock_beyond_the_limit_is_flagged_and_not_moved() -> None:
    found = align(skewed(3600, [1.0, 1.0]), fastest=timedelta(seconds=2))
    assert found["skew_status"].to_list() == ["beyond"] * 2
    assert found["aligned_time"].to_list() == found["event_time"].to_list()
    missing = skewed(0, [1.0, 1.0]).with_columns(pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("received_at"))
    assert align(missing)["skew_status"].to_list() == ["unknown"] * 2
    with pytest.raises(BadLabel, match="received_at is missing"):
        align(pl.DataFrame({"event_time": [at("2025-07-01")]}))


def test_late_rows_are_behind_the_watermark() -> None:
    minutes = [0, 20, 9, 11, 10, 30]
    event = pl.Series([at("2025-07-01") + timedelta(minutes=minute) for minute in minutes])
    assert late(event).to_list() == [False, False, True, False, False, False]


def test_columns_of_any_library_are_taken_and_naive_ones_refused() -> None:
    import pandas as pd

    stamps = ["2025-11-02T06:00", "2025-11-02T07:00"]
    frame = pd.Series(pd.to_datetime(stamps, utc=True))
    array = np.array(stamps, "M8[us]")
    wanted = [AUTUMN, AUTUMN]
    assert calendars.day_of(frame, CHICAGO).to_list() == calendars.day_of(array, CHICAGO).to_list() == wanted
    assert calendars.day_of([at(stamp) for stamp in stamps], CHICAGO).to_list() == wanted
    assert hours_in(["2025-11-02", "2026-03-08"], CHICAGO).to_list() == [25.0, 23.0]
    assert hours_in([AUTUMN], CHICAGO).to_list() == [25.0]
    for naive in (pd.Series(pd.to_datetime(stamps)), pl.Series([datetime(2025, 7, 1)]), pl.Series([AUTUMN])):
        with pytest.raises(BadLabel, match="zone"):
            calendars.day_of(naive, CHICAGO)
    with pytest.raises(BadLabel, match="no days"):
        hours_in(["November"], CHICAGO)
