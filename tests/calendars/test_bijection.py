"""Every market, every day of thirty-one years, every resolution: labels and instants are one-to-one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product

import numpy as np
import polars as pl
import pytest

from carbon254.calendars import Convention, Status, conventions, interval_starts, read, transitions, write, zone

FIRST, LAST = date(2007, 1, 1), date(2037, 12, 31)
STEPS = [timedelta(minutes=minutes) for minutes in (5, 15, 30, 60)]
REQUIRED = {"CAISO", "ERCOT", "PJM", "MISO", "NYISO", "ISONE", "SPP", "IESO", "AESO", "EIA-930", "AEMO"}
CASES = [(how, clock) for how in conventions().values() for clock in how.clocks or (how.clock,)]
NAMES = [f"{how.id}-{clock}" for how, clock in CASES]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_every_market_has_a_convention() -> None:
    assert {how.market for how in conventions().values()} == REQUIRED


def midnights(clock: str) -> list[int]:
    """Local midnights by the zone database alone, one day at a time: the slow, obvious twin (seconds since 1970)."""
    days = (LAST - FIRST).days + 2
    local = (datetime(FIRST.year, 1, 1, tzinfo=zone(clock)) + timedelta(days=count) for count in range(days))
    return [int(moment.timestamp()) for moment in local]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("how", "clock"), CASES, ids=NAMES)
def test_labels_and_instants_are_one_to_one(how: Convention, clock: str) -> None:
    edges = np.array(midnights(clock))
    for step in STEPS:
        starts = interval_starts(FIRST, LAST, clock, step)
        seconds = starts.to_physical().to_numpy() // 1_000_000
        counted = np.diff(np.searchsorted(seconds, edges))
        assert (counted == np.diff(edges) // int(step.total_seconds())).all()
        assert set(counted * step / timedelta(hours=1)) <= {23.0, 24.0, 25.0}
        labels = write(starts, how, step, clock=clock)
        back = read(labels, how, step, clock=clock)
        assert (back["status"] == Status.OK).all()
        assert (back["interval_start"] == starts).all()
        assert (back["interval_end"] == starts + step).all()


def moments(how: Convention, clock: str) -> list[tuple[str, date]]:
    """Days on which the clock changes, with an ordinary one."""
    start, end = datetime(2007, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
    changed = [("changed", change.wall[0].date()) for change in transitions(clock, start, end)]
    return [*changed, ("ordinary", date(2025, 7, 1))]


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("how", "clock"), [case for case in CASES if case[0].form == "hour"])
def test_no_other_label_names_an_instant(how: Convention, clock: str) -> None:
    """Whatever day, hour, interval and mark a file could hold: what is read as sound is what we would print."""
    marks: list[object] = {"suffix": [None, how.sign], "second_flag": [True, False]}.get(how.repeat, [None])
    step = timedelta(minutes=15)
    for _, day in moments(how, clock):
        rows = [(day, hour, part, mark) for hour, part, mark in product(range(-1, 28), range(6), marks)]
        kind = pl.Boolean if "flag" in how.repeat else pl.String
        told = pl.DataFrame(
            rows, schema={"day": pl.Date, "hour": pl.Int64, "interval": pl.Int64, "mark": kind}, orient="row"
        )
        found = read(told, how, step, clock=clock)
        sound = found["status"] == Status.OK
        starts = found.filter(sound)["interval_start"]
        assert starts.n_unique() == len(starts), "two labels name one instant"
        assert sorted(starts) == interval_starts(day, day, clock, step).to_list(), "an instant has no label"
        again = write(starts, how, step, clock=clock)
        given = told.filter(sound)
        columns = ["day", "hour", "interval", *(["mark"] if "mark" in again.columns else [])]
        assert (
            again.select(pl.col(columns).cast(pl.String)).fill_null("").rows()
            == given.select(pl.col(columns).cast(pl.String)).fill_null("").rows()
        )
        assert found.filter(~sound)["status"].is_in([Status.TWICE.value]).not_().all(), "every mark is told here"


MARKS = {
    "suffix": lambda how: [None, how.sign],
    "second_flag": lambda how: [True, False],
    "offset": lambda how: ["-04:00", "-05:00", "-06:00", "-07:00", "-08:00", "+00:00", None],
    "zone": lambda how: ["EDT", "EST", "CST", "CDT", "", None],
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("how", "clock"), [case for case in CASES if case[0].form == "stamp" and case[0].repeat in MARKS]
)
def test_no_other_stamp_names_an_instant(how: Convention, clock: str) -> None:
    step = timedelta(minutes=15)
    for _, day in moments(how, clock):
        opens = datetime(day.year, day.month, day.day)
        stamps = [opens + step * count for count in range(-4, 104)]
        rows = list(product(stamps, MARKS[how.repeat](how)))
        kind = pl.Boolean if "flag" in how.repeat else pl.String
        told = pl.DataFrame(rows, schema={"stamp": pl.Datetime("us"), "mark": kind}, orient="row")
        found = read(told, how, step, clock=clock)
        sound = found["status"] == Status.OK
        starts = found.filter(sound)["interval_start"].sort()
        assert starts.n_unique() == len(starts), "two labels name one instant"
        assert set(interval_starts(day, day, clock, step)) <= set(starts), "an instant has no label"
        printed = write(starts, how, step, clock=clock).select("stamp", pl.col("mark").cast(pl.String).fill_null(""))
        given = told.filter(sound).select("stamp", pl.col("mark").cast(pl.String).fill_null(""))
        assert set(printed.rows()) == set(given.rows())


@pytest.mark.parametrize("clock", ["America/New_York", "America/Chicago", "America/Los_Angeles", "America/Edmonton"])
@pytest.mark.parametrize("minutes", [5, 60])
def test_wall_times_agree_with_the_zone_database(clock: str, minutes: int) -> None:
    """Around every change, each wall time by Python's own arithmetic with `fold`."""
    from carbon254.calendars import from_utc, to_utc

    where = zone(clock)
    for change in transitions(clock, datetime(2007, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)):
        whole = [
            change.at + timedelta(minutes=minutes * count) for count in range(-3 * 60 // minutes, 3 * 60 // minutes)
        ]
        utc = np.array([(moment - EPOCH) // timedelta(microseconds=1) for moment in whole])
        wall, passes = from_utc(utc, clock)
        for moment, told, pass_ in zip(whole, wall, passes, strict=True):
            local = moment.astimezone(where)
            assert EPOCH.replace(tzinfo=None) + timedelta(microseconds=int(told)) == local.replace(tzinfo=None)
            assert pass_ in (-1, local.fold) and (pass_ != -1 or not local.fold)
        back, status = to_utc(wall, clock, passes)
        assert (back == utc).all() and not status.any()


def test_pandas_agrees_on_every_five_minutes_of_a_year() -> None:
    import pandas as pd

    from carbon254.calendars import to_utc

    wall = np.arange("2025-01-01", "2026-01-01", 300, dtype="datetime64[s]").astype("datetime64[us]")
    for first in (True, False):
        theirs = pd.Series(wall).dt.tz_localize(
            "America/Chicago", ambiguous=np.full(len(wall), first), nonexistent="NaT"
        )
        ours, status = to_utc(wall.astype(np.int64), "America/Chicago", np.full(len(wall), not first, np.int8))
        gap = theirs.isna().to_numpy()
        assert (gap == (status == Status.SKIPPED)).all()
        utc = theirs.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
        assert (utc[~gap] == ours[~gap]).all()
