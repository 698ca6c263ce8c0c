"""Holidays from rules and published lists: NERC's off-peak days, exchange, bank and public holidays.

The facts are in `holidays.toml`; a published list replaces what the rules say of its year. A desk that holds the
official list writes it in the same format and gives it to `load`, and the calendar that comes back to any function
here, in `blocks` or in `business`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from dateutil.easter import easter

from carbon254.errors import SettingsError, UnknownProduct

from .catalogue import facts, find
from .moments import Days, as_date, by_day

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Holiday:
    """A holiday on the day it is kept; `observed` tells that this is not its own date, which is `nominal`."""

    day: date
    name: str
    observed: bool = False
    nominal: date | None = None
    basis: str = "rule"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a holiday is found in a year; the words are explained at the top of `holidays.toml`."""

    name: str
    month: int = 1
    day: int = 0
    weekday: str = ""
    nth: int = 0
    easter: int | None = None
    shift: Mapping[str, int] = field(default_factory=dict)
    first_year: int | None = None
    last_year: int | None = None

    def of(self, year: int) -> Holiday | None:
        """The holiday whose own date lies in `year`, or None where the rule does not hold then."""
        if year < (self.first_year or year) or year > (self.last_year or year):
            return None
        nominal = self._nominal(year)
        kept = nominal + self.shift.get(WEEKDAYS[nominal.weekday()], 0) * _ONE_DAY
        return Holiday(kept, self.name, kept != nominal, nominal)

    def _nominal(self, year: int) -> date:
        if self.easter is not None:
            return easter(year) + self.easter * _ONE_DAY
        if not self.weekday:
            return date(year, self.month, self.day)
        wanted = WEEKDAYS.index(self.weekday)
        if self.nth > 0:
            first = date(year, self.month, 1)
            return first + ((wanted - first.weekday()) % 7 + 7 * (self.nth - 1)) * _ONE_DAY
        last = date(year + self.month // 12, self.month % 12 + 1, 1) - _ONE_DAY
        return last - ((last.weekday() - wanted) % 7 + 7 * (-self.nth - 1)) * _ONE_DAY


@dataclass(frozen=True, slots=True, eq=False)
class HolidayCalendar:
    """A calendar of holidays: rules, extra days, and published lists by year."""

    id: str
    title: str
    basis: str
    source: str
    rules: tuple[Rule, ...]
    extra: tuple[Holiday, ...] = ()
    published: Mapping[int, tuple[Holiday, ...]] = field(default_factory=dict)

    def holidays(self, year: int) -> list[Holiday]:
        """The holidays kept in a year, oldest first; from the published list where there is one."""
        if year in self.published:
            return list(self.published[year])
        # A holiday on the first or last day of a year may be kept in the year beside it.
        made = [rule.of(near) for near in (year - 1, year, year + 1) for rule in self.rules]
        kept = [day for day in (*made, *self.extra) if day and day.day.year == year]
        return sorted(kept, key=lambda holiday: holiday.day)

    def days(self, first_year: int, last_year: int) -> Days:
        """The days kept in these years, both included, each once and in order."""
        return _days(self, first_year, last_year)

    def contains(self, days: Days) -> np.ndarray:
        """True where a day (`datetime64[D]`) is kept."""
        if not days.size:
            return np.zeros(days.shape, np.bool_)
        kept = self.days(as_date(days.min()).year, as_date(days.max()).year)
        return np.isin(days.astype("M8[D]").view(np.int64), kept.view(np.int64))


Holidays: TypeAlias = str | HolidayCalendar


@cache
def holiday_calendars() -> dict[str, HolidayCalendar]:
    """Every calendar of `holidays.toml`, by id."""
    return _calendars(facts("holidays.toml"), {})


def holiday_calendar(name: Holidays) -> HolidayCalendar:
    """A calendar by id; one that `load` made is given back. Raises UnknownProduct listing the known ones."""
    if isinstance(name, HolidayCalendar):
        return name
    return find("holiday calendar", name, holiday_calendars(), {"FEDERAL": "US_FEDERAL", "FED": "US_BANK"})


def load(path: str | Path) -> dict[str, HolidayCalendar]:
    """Calendars with the lists and rules of your own file laid over the built-in ones, by id.

    A `[[published]]` list replaces its year, an `[[extra]]` day is added, a `[[calendar]]` is new or replaces one.
    Raises SettingsError where the file is not written as `holidays.toml` is.
    """
    text = Path(path).read_text("utf-8")
    try:
        return _calendars(tomllib.loads(text), holiday_calendars())
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"{path}: {error}; write it as carbon254/calendars/holidays.toml is") from error


def nerc_holidays(year: int) -> list[Holiday]:
    """NERC's additional off-peak days of a year: from its list where it is at hand, else by its rule."""
    return holidays_of(year, "NERC")


def holidays_of(year: int, calendar: Holidays = "NERC") -> list[Holiday]:
    """The holidays a calendar keeps in a year, oldest first. Raises UnknownProduct."""
    if not isinstance(year, int | np.integer) or len(str(year)) != len("YYYY"):
        raise UnknownProduct(f"{year!r} is no year; write its four figures as a number")
    return holiday_calendar(calendar).holidays(int(year))


@by_day(bool)
def is_holiday(days: Days, calendar: Holidays = "NERC") -> np.ndarray:
    """True where the calendar keeps the day. Raises UnknownProduct, BadLabel."""
    return holiday_calendar(calendar).contains(days)


@cache
def _days(calendar: HolidayCalendar, first_year: int, last_year: int) -> Days:
    years = range(max(first_year, date.min.year + 1), min(last_year, date.max.year - 1) + 1)
    kept = sorted({holiday.day for year in years for holiday in calendar.holidays(year)})
    return np.array(kept, "datetime64[D]")


def _calendars(tables: dict[str, Any], known: Mapping[str, HolidayCalendar]) -> dict[str, HolidayCalendar]:
    made = dict(known)
    for raw in tables.get("calendar", ()):
        made[raw["id"]] = _calendar(raw, made)
    for raw in tables.get("extra", ()):
        calendar = find("holiday calendar", raw["calendar"], made)
        extra = Holiday(_plain_day(raw["day"]), raw["name"], basis=raw.get("basis", "extra"))
        made[calendar.id] = replace(calendar, extra=(*calendar.extra, extra))
    for raw in tables.get("published", ()):
        calendar = find("holiday calendar", raw["calendar"], made)
        listed = {**calendar.published, raw["year"]: _listed(raw)}
        made[calendar.id] = replace(calendar, published=listed)
    return made


def _calendar(raw: dict[str, Any], known: Mapping[str, HolidayCalendar]) -> HolidayCalendar:
    rules: Sequence[Rule] = [Rule(**rule) for rule in raw.get("rule", ())]
    if "like" in raw:
        taken = [rule for rule in known[raw["like"]].rules if rule.name not in raw.get("without", ())]
        if "shift" in raw:
            taken = [replace(rule, shift=raw["shift"]) if rule.day else rule for rule in taken]
        rules = [*taken, *rules]
    for rule in rules:
        _check(raw["id"], rule)
    return HolidayCalendar(raw["id"], raw["title"], raw.get("basis", "K"), raw.get("source", ""), tuple(rules))


def _check(calendar: str, rule: Rule) -> None:
    told = (rule.day > 0) + bool(rule.weekday and rule.nth) + (rule.easter is not None)
    strange = [day for day in (*rule.shift, *filter(None, [rule.weekday])) if day not in WEEKDAYS]
    if told != 1 or strange:
        raise ValueError(f"{calendar}: {rule.name!r} needs month and day, or weekday and nth, or easter")


def _listed(raw: dict[str, Any]) -> tuple[Holiday, ...]:
    basis = f"published: {raw.get('source', 'own list')}"
    made = [Holiday(_plain_day(day["day"]), day["name"], basis=basis) for day in _named(raw["days"])]
    if strays := [str(holiday.day) for holiday in made if holiday.day.year != raw["year"]]:
        raise ValueError(f"the list of {raw['year']} holds {', '.join(strays)}")
    return tuple(sorted(made, key=lambda holiday: holiday.day))


def _named(days: Iterable[Any]) -> list[dict[str, Any]]:
    return [day if isinstance(day, dict) else {"name": "holiday", "day": day} for day in days]


def _plain_day(day: Any) -> date:
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ValueError(f"{day!r} is no day; write it bare, as YYYY-MM-DD")
    return day
