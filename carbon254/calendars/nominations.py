"""Nomination cycles of a gas day, and EIA's storage week: deadlines and reports as instants in UTC.

The facts are in `gas.toml`, with the day from which they hold; a day before that is refused, not answered with today's
timetable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import numpy as np

from carbon254.errors import BadLabel, UnknownProduct

from .catalogue import facts, find
from .gas import gas_day, gas_day_of, gas_day_start
from .holidays import WEEKDAYS, Holidays, holiday_calendar
from .moments import Days, Instants, OneDay, OneInstant, as_date, as_instant, by_day, one_day, one_instant
from .wall import to_utc
from .zones import zone

_ONE_DAY = timedelta(days=1)
_DAY = 24 * 60  # minutes


@dataclass(frozen=True, slots=True)
class Cycle:
    """A nomination cycle's timetable, on the clock of the gas day; `day` and `flow_day` count from the gas day."""

    name: str
    day: int
    deadline: time
    schedule: time
    flow_day: int
    flow: time
    bumps: bool


@dataclass(frozen=True, slots=True)
class Nomination:
    """A cycle of one gas day (instants in UTC): nominate by `deadline`, told by `scheduled`, flowing from `flows`."""

    gas_day: date
    cycle: str
    deadline: datetime
    scheduled: datetime
    flows: datetime
    bumps: bool


@dataclass(frozen=True, slots=True)
class StorageReport:
    """When a week's storage is published (UTC). `basis`: rule, published (looked up), given, or check (a holiday)."""

    week_ending: date
    at: datetime
    basis: str


def cycles_on(day: OneDay, kind: str = "US") -> tuple[Cycle, ...]:
    """The cycles in force on a gas day. Raises UnknownProduct for a day before the timetable that is known."""
    wanted, how = one_day(day), gas_day(kind)
    held = _timetables(how.id)
    if cycles := [made for since, made in held if since <= wanted]:
        return cycles[-1]
    known = f"known from {held[0][0]}" if held else "none is known"
    raise UnknownProduct(f"{how.id} gas day {wanted}: no nomination timetable ({known}); add yours to gas.toml")


def nominations(day: OneDay, kind: str = "US") -> list[Nomination]:
    """The cycles of a gas day in the order of their deadlines. Raises UnknownProduct, BadLabel."""
    wanted, clock = one_day(day), gas_day(kind).clock
    return [
        Nomination(
            wanted,
            cycle.name,
            _at(wanted, cycle.day, cycle.deadline, clock),
            _at(wanted, cycle.day, cycle.schedule, clock),
            _at(wanted, cycle.flow_day, cycle.flow, clock),
            cycle.bumps,
        )
        for cycle in cycles_on(wanted, kind)
    ]


@by_day(as_instant)
def nomination_deadlines(days: Days, cycle: str, kind: str = "US") -> Instants:
    """The deadline (UTC) of a cycle for each gas day. Raises UnknownProduct listing the cycles."""
    if not days.size:
        return days.astype("M8[us]")
    known = cycles_on(days.min(), kind)
    if known != cycles_on(days.max(), kind):
        raise UnknownProduct(f"the timetable changes within {days.min()} to {days.max()}; ask for the parts")
    found = find("nomination cycle", cycle, {one.name: one for one in known}, facts("gas.toml")["cycle_aliases"])
    minutes = found.day * _DAY + found.deadline.hour * 60 + found.deadline.minute
    wall = days.astype("M8[us]") + np.timedelta64(minutes, "m")
    return to_utc(wall.view(np.int64), gas_day(kind).clock)[0].view("M8[us]")


def open_cycles(instant: OneInstant, day: OneDay | None = None, kind: str = "US") -> list[Nomination]:
    """The cycles that still take nominations at an instant, the next deadline first; the deadline itself is in time.

    Those of one gas day, or of the gas day under way and the one after it. Raises UnknownProduct, BadLabel.
    """
    now = one_instant(instant)
    today = gas_day_of(now, kind)
    asked = [today, today + _ONE_DAY] if day is None else [one_day(day)]
    found = [one for wanted in asked for one in nominations(wanted, kind) if now <= one.deadline]
    return sorted(found, key=lambda one: one.deadline)


@by_day(as_date)
def storage_week_of(gas_days: Days) -> Days:
    """The Friday that ends the storage week of each gas day, at 09:00: so Friday's gas is of the next week."""
    weekday = (gas_days.view(np.int64) + np.datetime64(0, "D").item().weekday()) % 7
    return gas_days + 1 + (_week_end() - weekday - 1) % 7


def storage_week_span(week_ending: OneDay) -> tuple[datetime, datetime]:
    """[start, end) in UTC of the week whose stocks EIA tells as of a Friday. Raises BadLabel for another weekday."""
    end = _friday(week_ending)
    kind = facts("gas.toml")["storage"]["as_of_gas_day"]
    return gas_day_start(end - 7 * _ONE_DAY, kind), gas_day_start(end, kind)


def storage_report(week_ending: OneDay, moved: Mapping[date, datetime] | None = None) -> StorageReport:
    """When EIA publishes the week that ends on a Friday: the Thursday after, 10:30 Eastern.

    In a week with a federal holiday EIA may name another time, and the basis is `check`; `moved` (week → instant)
    gives the times of EIA's schedule. Raises BadLabel for a day that is no Friday.
    """
    held, week = facts("gas.toml")["storage"], _friday(week_ending)
    if moved and week in moved:
        return StorageReport(week, one_instant(moved[week]), "given")
    listed = {one["week_ending"]: one["at"] for one in held["moved"]}
    usual = datetime.combine(week + held["report_days_after"] * _ONE_DAY, held["report_time"])
    at = listed.get(week, usual).replace(tzinfo=zone(held["report_clock"])).astimezone(UTC)
    basis = "published" if week in listed else "check" if _holiday_by(usual.date(), held["holidays"]) else "rule"
    return StorageReport(week, at, basis)


def _holiday_by(report: date, calendar: Holidays) -> bool:
    """Whether a holiday lies in the report's week, by its end: the holiday after a Thursday moves nothing."""
    days = np.datetime64(report, "D") - np.arange(report.weekday() + 1)
    return bool(holiday_calendar(calendar).contains(days).any())


def _friday(week_ending: OneDay) -> date:
    end = one_day(week_ending)
    if end.weekday() != _week_end():
        near = end + (_week_end() - end.weekday()) % 7 * _ONE_DAY
        raise BadLabel(f"storage: {end} is no {WEEKDAYS[_week_end()]}; its week ends on {near}")
    return end


def _week_end() -> int:
    return WEEKDAYS.index(facts("gas.toml")["storage"]["week_ends"])


def _at(day: date, days_on: int, at: time, clock: str) -> datetime:
    return datetime.combine(day + days_on * _ONE_DAY, at, zone(clock)).astimezone(UTC)


@cache
def _timetables(kind: str) -> list[tuple[date, tuple[Cycle, ...]]]:
    """(first gas day, its cycles), oldest first."""
    held = [raw for raw in facts("gas.toml")["nominations"] if raw["gas_day"] == kind]
    made = [(raw["first_day"], tuple(Cycle(**one) for one in raw["cycle"])) for raw in held]
    return sorted(made, key=lambda one: one[0])
