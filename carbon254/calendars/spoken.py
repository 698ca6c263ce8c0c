"""One label as a person writes it (`HE25`, `02X`, `01:00 EST`) ↔ one interval, with the reasons when it is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from carbon254.errors import BadLabel

from .convention import Convention, Market, conventions_of, market
from .days import hours_in, market_day_span
from .labels import read, write
from .wall import Status
from .zones import transitions, zone

HOURLY = timedelta(hours=1)
_LABEL = re.compile(
    r"(?P<edge>HE|HB)?\s*(?P<hour>\d{1,2})(?::?(?P<minute>\d\d))?(?::(?P<second>\d\d))?"
    r"\s*(?P<mark>X|\*|d|[A-Z]{3,4}|Z|[+-]\d\d:?\d\d)?$",
    re.I,
)
_DAYS = ("%Y-%m-%d", "%m/%d/%Y", "%Y%m%d")
_SIGNS = ("X", "*", "D")
_NUMBERED = {
    "late25": "hour 25: the second pass of the repeated hour, as the market numbers it",
    "he25": "hour 25: the 25th hour that passes",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One label and its interval: [start, end) in UTC, and in words how the label was read."""

    market: str
    clock: str
    day: date
    label: str
    start: datetime
    end: datetime
    how: str


def interval_of(
    market_name: str, day: str | date, label: str, resolution: timedelta = HOURLY, *, clock: str | None = None
) -> Reading:
    """The interval that `label` names on a market day.

    `HE2`, `2` and `HB1` are hours by their end or beginning; `HE25` is the hour that the market (or, where it never
    prints one, an elapsed count) numbers 25; `02X`, `02*` and `02d` are a second pass; `01:05`, `01:05 EST` and
    `01:05-05:00` are the wall time at which an interval starts. Raises BadLabel naming market, label and what to write.
    """
    known = market(market_name)
    told = clock or known.clock
    on = _day(day)
    found = _LABEL.match(label.strip())
    if not found:
        raise BadLabel(
            f"{known.id}: {label!r} is not a label; write an hour (HE2, HE25, 02X) or a wall time (01:05, 01:05 EST)"
        )
    how, frame, words = (_stamped if _is_stamp(found) else _numbered)(known, told, on, found)
    start, end, status = read(frame, how, resolution).row(0)
    if status != Status.OK:
        raise BadLabel(_why(how, on, label.strip(), Status(status), start))
    return Reading(known.id, told, on, label.strip(), start, end, words)


def labels_of(
    market_name: str, start: datetime, resolution: timedelta = HOURLY, *, clock: str | None = None
) -> list[tuple[Convention, str]]:
    """How every convention of a market prints the interval that starts at an instant (UTC).

    Raises BadLabel for an unknown market and for a time without a zone.
    """
    if start.tzinfo is None:
        raise BadLabel(f"{start} has no time zone; write {start.isoformat()}Z")
    starts = pl.Series([start.astimezone(UTC)], dtype=pl.Datetime("us", "UTC"))
    return [
        (how, _printed(write(starts, how, resolution, clock=clock or how.clock).row(0, named=True), how, resolution))
        for how in conventions_of(market_name)
    ]


def _is_stamp(found: re.Match[str]) -> bool:
    return found["minute"] is not None and not found["edge"] and (found["mark"] or "").upper() not in _SIGNS


def _stamped(known: Market, clock: str, on: date, found: re.Match[str]) -> tuple[Convention, pl.DataFrame, str]:
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 59:
        raise BadLabel(
            f"{known.id}: {found[0]!r} is not the wall time at which an interval starts; write HE24 for an end"
        )
    stamp = datetime(on.year, on.month, on.day) + timedelta(hours=hour, minutes=minute, seconds=second)
    mark = (found["mark"] or "").upper()
    if mark == "Z":
        clock, mark = "UTC", "+00:00"
    repeat = "none" if not mark else "offset" if mark[0] in "+-" else "zone"
    how = Convention("wall", known.id, "wall time", clock, "stamp", "start", repeat)
    frame = pl.DataFrame({"stamp": [stamp], "mark": [mark]})
    return how, frame, f"the interval that starts at {stamp:%H:%M}{' ' + mark if mark else ''} on the clock {clock}"


def _numbered(known: Market, clock: str, on: date, found: re.Match[str]) -> tuple[Convention, pl.DataFrame, str]:
    if int(found["minute"] or 0):
        raise BadLabel(f"{known.id}: {found[0]!r} is an hour with minutes; write HE2, or 01:05 for a wall time")
    edge = "start" if (found["edge"] or "HE").upper() == "HB" else "end"
    hour, mark = int(found["hour"]), (found["mark"] or "").upper()
    own = next((how.repeat for how in conventions_of(known.id) if how.repeat in _NUMBERED), "he25")
    extra = hour == (25 if edge == "end" else 24)
    repeat = "suffix" if mark else own if extra else "second_flag"
    words = _NUMBERED.get(repeat, "hour beginning" if edge == "start" else "hour ending")
    frame = pl.DataFrame({"day": [on], "hour": [hour], "mark": [mark or None]}, schema_overrides={"mark": pl.String})
    how = Convention("spoken", known.id, "hour", clock, "hour", edge, repeat, sign=mark)
    return how, frame, words + (", second pass" if mark else "")


def _why(how: Convention, on: date, label: str, status: Status, start: datetime | None) -> str:
    opens = datetime(on.year, on.month, on.day, tzinfo=UTC)
    near = transitions(how.clock, opens - timedelta(days=1), opens + timedelta(days=2))
    change = next((found for found in near if found.wall[0].date() == on), None)
    where = f"{how.market}: {label} on {on}"
    if status is Status.SKIPPED and change:
        low, high = change.wall
        return (
            f"{where} does not exist: the clock ({how.clock}) goes from {low:%H:%M} to {high:%H:%M} that day; "
            f"write HE{low.hour} for the hour before, HE{high.hour + 1} for the hour after"
        )
    if status is Status.TWICE and change and start:
        again = start + (change.before - change.after)
        wall = start + change.before
        return (
            f"{where} comes twice: from {start:%H:%M}Z ({change.name_before}) and from {again:%H:%M}Z "
            f"({change.name_after}); write {wall:%H:%M} {change.name_before} for the first and {wall:%H:%M} "
            f"{change.name_after} (or {wall.hour + 1:02}X, the whole hour) for the second"
        )
    hours = f"{hours_in(pl.Series([on]), how.clock)[0]:.0f}"
    return (
        f"{where} is no label of that day, which has {hours} hours on the clock {how.clock} "
        f"(told as {_names(how.clock, on)}); write HE1 to HE24{', HE25' if hours == '25' else ''}, "
        "or a wall time such as 13:05"
    )


def _names(clock: str, on: date) -> str:
    opens, closes = market_day_span(on, clock)
    return " and ".join(dict.fromkeys(f"{moment.astimezone(zone(clock)):%Z}" for moment in (opens, closes)))


def _printed(row: dict[str, object], how: Convention, resolution: timedelta) -> str:
    mark = row.get("mark")
    told = {True: "true", False: "false", None: ""}.get(mark, mark) if isinstance(mark, bool | None) else mark  # type: ignore[call-overload]
    if how.form == "hour":
        part = f" interval {row['interval']}" if resolution < HOURLY else ""
        hour = f"{'HE' if how.edge == 'end' else 'HB'}{row['hour']:02}"
        return f"{row['day']} {hour}{told if how.repeat == 'suffix' else ''}{part}" + _flag(how, told)
    return f"{row['stamp']:%Y-%m-%d %H:%M}{'Z' if how.repeat == 'utc' else ''}{_beside(how, told)}" + _flag(how, told)


def _beside(how: Convention, told: object) -> str:
    return f"{' ' if how.repeat == 'zone' else ''}{told}" if how.repeat in ("offset", "zone", "suffix") else ""


def _flag(how: Convention, told: object) -> str:
    return f" flag {told}" if how.repeat == "second_flag" else ""


def _day(day: str | date) -> date:
    if not isinstance(day, str):
        return day
    for form in _DAYS:
        try:
            return datetime.strptime(day.strip(), form).date()
        except ValueError:
            continue
    raise BadLabel(f"{day!r} is not a day; write it as YYYY-MM-DD or MM/DD/YYYY")
