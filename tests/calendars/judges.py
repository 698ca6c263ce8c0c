"""What others say of our calendars, counted: the table in docs/reference/calendars.

python tests/calendars/judges.py     writes it
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import holidays
import numpy as np
import pandas as pd
import pandas_market_calendars as exchanges
import polars as pl

from carbon254.calendars import from_utc, hours_in, markets, to_utc, transitions, zone
from carbon254.calendars.blocks import block_hours
from carbon254.calendars.expiry import last_trade_days
from carbon254.calendars.holidays import holiday_calendar, holidays_of

FIRST, LAST = date(2007, 1, 1), date(2037, 12, 31)
YEARS = range(FIRST.year, LAST.year + 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "calendars" / "README.md"
OPENS, CLOSES = "<!-- judges -->\n", "<!-- /judges -->"

# Last trade days the exchange published: delivery month → CL, NG, HO and RB.
EXPIRIES = {
    "2025-12": ("2025-11-20", "2025-11-25", "2025-11-28"),
    "2026-01": ("2025-12-19", "2025-12-29", "2025-12-31"),
    "2026-02": ("2026-01-20", "2026-01-28", "2026-01-30"),
    "2026-03": ("2026-02-20", "2026-02-25", "2026-02-27"),
    "2026-06": ("2026-05-19", "2026-05-27", "2026-05-29"),
    "2026-07": ("2026-06-22", "2026-06-26", "2026-06-30"),
    "2027-01": ("2026-12-21", "2026-12-29", "2026-12-31"),
}
# Hours of a year counted by hand: 5x16, 6x16, 2x16 with holidays.
HOURS = {
    2021: (4096, 4912, 1744),
    2022: (4080, 4912, 1760),
    2023: (4064, 4896, 1776),
    2024: (4096, 4928, 1760),
    2025: (4080, 4912, 1760),
    2026: (4096, 4912, 1744),
    2027: (4096, 4912, 1744),
}
Finding = tuple[str, str, int, int]


def findings() -> Iterator[Finding]:
    """(what, judge, how many compared, how many differ)."""
    yield day_lengths()
    yield wall_times()
    yield five_minutes()
    yield federal_days()
    yield nerc_days()
    yield settlement_days()
    yield expiries()
    yield yearly_hours()


def day_lengths() -> Finding:
    compared = differ = 0
    days = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    for clock in {market.clock for market in markets().values()}:
        where = zone(clock)
        edges = [
            datetime(day.year, day.month, day.day, tzinfo=where).timestamp()
            for day in [*days, LAST + timedelta(days=1)]
        ]
        ours = hours_in(days, clock).to_numpy()
        compared += len(days)
        differ += int((np.diff(edges) / 3600 != ours).sum())
    return (
        "length of every market day, each clock, 2007–2037",
        "Python's zoneinfo on the same zone database",
        compared,
        differ,
    )


def wall_times() -> Finding:
    compared = differ = 0
    for clock in {market.clock for market in markets().values()}:
        where = zone(clock)
        for change in transitions(clock, datetime(2007, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)):
            moments = [change.at + timedelta(minutes=5 * count) for count in range(-36, 36)]
            utc = np.array([(moment - EPOCH) // timedelta(microseconds=1) for moment in moments])
            wall, passes = from_utc(utc, clock)
            for moment, told, pass_ in zip(moments, wall, passes, strict=True):
                local = moment.astimezone(where)
                same = EPOCH.replace(tzinfo=None) + timedelta(microseconds=int(told)) == local.replace(tzinfo=None)
                compared += 1
                differ += not (same and max(pass_, 0) == local.fold)
    return "wall time and pass, three hours either side of each change", "Python's zoneinfo, `fold`", compared, differ


def five_minutes() -> Finding:
    wall = np.arange(FIRST, LAST + timedelta(days=1), timedelta(minutes=5), dtype="datetime64[us]")
    compared = differ = 0
    for first in (True, False):
        told = pd.Series(wall).dt.tz_localize(
            "America/New_York", ambiguous=np.full(len(wall), first), nonexistent="NaT"
        )
        theirs = told.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[us]")
        ours, status = to_utc(wall.astype(np.int64), "America/New_York", np.full(len(wall), not first, np.int8))
        same = np.where(np.isnat(theirs), status == 1, (ours == theirs.astype(np.int64)) & (status == 0))
        compared, differ = compared + len(wall), differ + int((~same).sum())
    return "every five-minute label of 31 years, both passes", "pandas `tz_localize`", compared, differ


def federal_days() -> Finding:
    theirs = holidays.country_holidays("US", years=YEARS, observed=True)
    own = holidays.country_holidays("US", years=YEARS, observed=False)
    kept = {day for day in theirs if day.year in YEARS and not (day in own and day.weekday() > 4)}
    ours = {one.day for year in YEARS for one in holidays_of(year, "US_FEDERAL")}
    return "federal holidays", "`holidays`", len(kept), len(kept ^ ours)


def nerc_days() -> Finding:
    names = {"New Year's Day", "Memorial Day", "Independence Day", "Labor Day", "Thanksgiving Day", "Christmas Day"}
    theirs = holidays.country_holidays("US", years=range(FIRST.year - 1, LAST.year + 2), observed=False)
    own = [day for day, name in theirs.items() if set(name.split("; ")) & names]
    kept = {day + timedelta(days=day.weekday() == 6) for day in own}
    kept = {day for day in kept if day.year in YEARS}
    ours = {one.day for year in YEARS for one in holidays_of(year, "NERC")}
    return "NERC days: six of the federal ones, Sunday to Monday", "`holidays`", len(kept), len(kept ^ ours)


def settlement_days() -> Finding:
    rules = exchanges.get_calendar("NYSE").regular_holidays.rules
    shut = {day.date() for rule in rules for day in rule.dates("2022-01-01", "2037-12-31")}
    weekdays = set(pl.date_range(date(2022, 1, 1), LAST, eager=True).to_list())
    weekdays = {day for day in weekdays if day.weekday() < 5}
    ours = set(holiday_calendar("NYMEX").days(2022, LAST.year).tolist())
    return (
        "weekdays on which NYMEX settles, 2022–2037",
        "`pandas_market_calendars`, NYSE",
        len(weekdays),
        len((shut ^ ours) & weekdays),
    )


def expiries() -> Finding:
    pairs = [
        (str(last_trade_days(root, month)), day)
        for month, days in EXPIRIES.items()
        for root, day in zip(("CL", "NG", "HO", "RB"), (*days, days[-1]), strict=True)
    ]
    return (
        "last trade days of CL, NG, HO, RB",
        "the exchange's dates",
        len(pairs),
        sum(ours != theirs for ours, theirs in pairs),
    )


def yearly_hours() -> Finding:
    pairs = [
        (block_hours("PJM", name, date(year, 1, 1), date(year, 12, 31)), told)
        for year, hours in HOURS.items()
        for name, told in zip(("5x16", "6x16", "2x16"), hours, strict=True)
    ]
    return (
        "5x16, 6x16 and 2x16 hours of 2021–2027",
        "counted by hand",
        len(pairs),
        sum(ours != theirs for ours, theirs in pairs),
    )


def table() -> str:
    lines = ["| what | judge | compared | differ |", "|---|---|---:|---:|"]
    lines += [f"| {what} | {judge} | {compared:,} | {differ:,} |" for what, judge, compared, differ in findings()]
    return "\n".join(lines) + "\n"


def in_page(text: str) -> str:
    """The table that a page holds."""
    return text.split(OPENS)[1].split(CLOSES)[0]


if __name__ == "__main__":
    before, rest = PAGE.read_text("utf-8").split(OPENS)
    PAGE.write_text(before + OPENS + table() + CLOSES + rest.split(CLOSES)[1], "utf-8")
