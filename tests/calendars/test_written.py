"""Moments as people write them: each names one instant, or is refused with what to write instead."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon254.calendars import market, market_day_span, markets, moment_of, transitions, zone
from carbon254.errors import BadLabel

EASTERN = "America/New_York"
ZONES = sorted({market(name).clock for name in markets()} | {
    "Africa/Cairo", "America/Havana", "America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe", "Europe/Berlin",
    "Pacific/Apia",
})  # fmt: skip
YEARS = datetime(1990, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("clock", ZONES)
def test_a_time_in_a_repeated_or_skipped_hour_is_refused_and_what_the_message_says_to_write_is_not(clock: str) -> None:
    for change in transitions(clock, *YEARS):
        low, high = change.wall
        for wall in (low, low + (high - low) / 3, high - timedelta(seconds=1)):
            with pytest.raises(BadLabel) as refused:
                moment_of(wall.isoformat(), clock)
            told = str(refused.value)
            if change.skips:
                assert "does not exist" in told and clock in told
                assert moment_of(high, clock) == change.at
                continue
            first, second = ((wall - offset).replace(tzinfo=UTC) for offset in (change.before, change.after))
            written = re.findall(r"write (\S+) for the first or (\S+) for the second", told)
            assert [moment_of(text, clock) for text in written[0]] == [first, second]
            assert all(f"{one:%Y-%m-%dT%H:%M:%S}" in told for one in (first, second))
            assert moment_of(wall.replace(fold=1), clock) == second
        beside = (low - timedelta(seconds=1), high)
        assert all(moment_of(wall.isoformat(), clock).astimezone(zone(clock)).replace(tzinfo=None) == wall
                   for wall in beside)  # fmt: skip


@given(instant=st.datetimes(datetime(1970, 1, 3), datetime(2037, 12, 30), timezones=st.just(UTC)),
       clock=st.sampled_from(ZONES))  # fmt: skip
def test_a_time_as_its_zone_shows_it_is_that_instant_or_is_refused(instant: datetime, clock: str) -> None:
    shown = instant.astimezone(zone(clock))
    assert moment_of(shown, clock) == moment_of(shown.isoformat(), "UTC") == instant
    naive = shown.replace(tzinfo=None, fold=0)
    both = {shown.replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
    if len(both) == 1:
        assert moment_of(naive.isoformat(), clock) == instant
    else:
        with pytest.raises(BadLabel, match="comes twice"):
            moment_of(naive.isoformat(), clock)


@pytest.mark.parametrize(("clock", "day"), [
    ("Africa/Cairo", date(2024, 4, 26)),  # midnight is skipped
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("America/Havana", date(2023, 11, 5)),  # midnight comes twice
    (EASTERN, date(2025, 11, 2)),
])  # fmt: skip
def test_a_date_alone_is_the_start_of_its_day_also_where_midnight_is_skipped_or_repeated(clock: str, day: date) -> None:
    start = moment_of(day.isoformat(), clock)
    assert start == moment_of(day, clock) == market_day_span(day, clock)[0]
    assert start.astimezone(zone(clock)).date() == day
    assert (start - timedelta(seconds=1)).astimezone(zone(clock)).date() == day - timedelta(days=1)


def test_messages_name_both_readings_or_where_the_clock_jumps_to() -> None:
    with pytest.raises(BadLabel) as twice:
        moment_of("2025-11-02T01:30", EASTERN)
    assert str(twice.value) == (
        "2025-11-02T01:30 comes twice in America/New_York: it is 2025-11-02T05:30:00Z (EDT) and 2025-11-02T06:30:00Z "
        "(EST); write 2025-11-02T01:30:00-04:00 for the first or 2025-11-02T01:30:00-05:00 for the second"
    )
    with pytest.raises(BadLabel) as skipped:
        moment_of(datetime(2025, 3, 9, 2, 30), EASTERN)
    assert str(skipped.value) == (
        "2025-03-09T02:30:00 does not exist in America/New_York: the clock goes from 02:00 to 03:00 "
        "(2025-03-09T07:00:00Z); write 2025-03-09T03:00, or the time you mean with its offset"
    )
    with pytest.raises(BadLabel, match="skipped that day"):
        moment_of("2011-12-30", "Pacific/Apia")
    with pytest.raises(BadLabel, match="from 02:00 to 03:00"):
        moment_of(datetime(2025, 3, 9, 2, 30, tzinfo=zone(EASTERN)), "UTC")


@pytest.mark.parametrize("text", [
    "", "soon", "2025-13-01", "2025-02-30T00:00Z", "now", "24:00", "0001-01-01T00:00+14:00", "9999-12-31T23:00-10:00",
])  # fmt: skip
def test_what_names_no_moment_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadLabel) as refused:
        moment_of(text, EASTERN)
    assert "\n" not in str(refused.value)


def test_the_edges_of_time_are_told_or_refused_and_never_a_traceback() -> None:
    for text in ("0001-01-01", "0001-01-01T00:00", "9999-12-31", "9999-12-31T23:59:59.999999"):
        for clock in ("UTC", EASTERN, "Asia/Tokyo"):
            try:
                assert moment_of(text, clock).tzinfo is UTC
            except BadLabel as refused:
                assert "out of range" in str(refused)


def test_now_is_what_the_caller_says() -> None:
    now = datetime(2025, 7, 1, tzinfo=timezone(timedelta(hours=2)))
    assert moment_of("now", EASTERN, now) is now


@pytest.mark.parametrize(("word", "day"), [
    ("today", "2025-11-02"), (" Yesterday", "2025-11-01"), ("tomorrow", "2025-11-03"), ("3 days ago", "2025-10-30"),
    ("1 day ago", "2025-11-01"),
])  # fmt: skip
def test_words_for_days_are_starts_of_days_of_the_zone(word: str, day: str) -> None:
    night = datetime(2025, 11, 3, 3, tzinfo=UTC)  # still the evening of 2 November in New York
    assert moment_of(word, EASTERN, night) == moment_of(day, EASTERN)
    with pytest.raises(BadLabel):
        moment_of(word, EASTERN)


def test_a_day_before_time_began_is_refused() -> None:
    with pytest.raises(BadLabel, match="out of range"):
        moment_of("999999 days ago", EASTERN, datetime(2025, 11, 3, tzinfo=UTC))
