"""A moment as a person writes it → an instant: with an offset, or in the time of a zone, where it must name one.

A clock that goes forward skips times, and one that goes back shows times twice. Neither names an instant, so both are
refused, with what to write instead. A date alone is the start of that day, which every day has once; so are `today`,
`yesterday`, `tomorrow` and `3 days ago`, in the zone that is asked for.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from carbon254.errors import BadLabel

from .days import market_day_span
from .zones import Transition, transitions, zone

NOW = "now"
_FROM_TODAY = {"yesterday": -1, "today": 0, "tomorrow": 1}
_AGO = re.compile(r"(\d{1,6}) days? ago")
_LONGEST = 60
_LIKE = "YYYY-MM-DDTHH:MMZ or YYYY-MM-DD"


def moment_of(
    written: str | date | datetime, zone_name: str = "UTC", now: datetime | None = None, like: str = _LIKE
) -> datetime:
    """The instant (UTC) of ISO 8601 text, a datetime or a date; without an offset it is told in `zone_name`.

    A naive datetime with `fold=1` is the second pass of a repeated time. `now` is given where the word, and those
    for days near it, may be used, `like` are examples for the message.
    Raises BadLabel for what is no moment, for one that the zone's clock skips, shows twice or never had, and for one
    out of range.
    """
    if written == NOW and now is not None:
        return now
    found = (_named(written, zone_name, now) or _read(written, like)) if isinstance(written, str) else written
    if not isinstance(found, date) or found != found:  # pandas' NaT is a datetime that equals nothing
        raise BadLabel(f"{written!r} is no moment; write a date, a datetime, or ISO text")
    shown = written.strip() if isinstance(written, str) else found.isoformat()
    try:
        if not isinstance(found, datetime):
            return _start(found, zone_name, shown)
        plain = _plain(found)
        return _in_zone(plain, zone_name, shown) if plain.tzinfo is None else _of_clock(plain, shown)
    except OverflowError:
        raise BadLabel(f"{shown[:_LONGEST]!r} is out of range: the years 1 to 9999 can be told") from None


def _named(text: str, zone_name: str, now: datetime | None) -> date | None:
    """The day that a word names in the zone at this moment; None for another text."""
    word = text.strip().lower()
    ago = _AGO.fullmatch(word)
    days = -int(ago[1]) if ago else _FROM_TODAY.get(word)
    if now is None or days is None:
        return None
    try:
        return now.astimezone(zone(zone_name)).date() + timedelta(days=days)
    except OverflowError:
        raise BadLabel(f"{word!r} is out of range: the years 1 to 9999 can be told") from None


def _read(text: str, like: str) -> date | datetime:
    stripped = text.strip()
    try:
        return date.fromisoformat(stripped)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(stripped)
    except ValueError:
        raise BadLabel(f"{text[:_LONGEST]!r} is not a time; write it like {like}") from None


def _plain(moment: datetime) -> datetime:
    """A datetime of the standard library; pandas' own has other ideas of zones."""
    parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond)
    return datetime(*parts, moment.tzinfo, fold=moment.fold)


def _start(day: date, zone_name: str, shown: str) -> datetime:
    start, end = market_day_span(day, zone_name)
    if start >= end:
        raise BadLabel(f"{shown} does not exist in {zone_name}: its clock skipped that day; write the day after")
    return start


def _of_clock(moment: datetime, shown: str) -> datetime:
    """A datetime that has its zone: only a time that this zone skips names no instant."""
    instant = moment.astimezone(UTC)
    name = getattr(moment.tzinfo, "key", None) or getattr(moment.tzinfo, "zone", None)
    if name and instant.astimezone(moment.tzinfo).replace(tzinfo=None) != moment.replace(tzinfo=None):
        raise BadLabel(_skipped(moment.replace(tzinfo=None), str(name), shown))
    return instant


def _in_zone(wall: datetime, zone_name: str, shown: str) -> datetime:
    where = zone(zone_name)
    first, second = (wall.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    if first.astimezone(where).replace(tzinfo=None, fold=0) != wall.replace(fold=0):
        raise BadLabel(_skipped(wall, zone_name, shown))
    if wall.fold:
        return second
    told = [instant.astimezone(where) for instant in (first, second)]
    names = [f"{_stamp(instant)} ({one:%Z})" for instant, one in zip((first, second), told, strict=True)]
    write = [one.isoformat() for one in told]
    raise BadLabel(
        f"{shown} comes twice in {zone_name}: it is {names[0]} and {names[1]}; "
        f"write {write[0]} for the first or {write[1]} for the second"
    )


def _skipped(wall: datetime, zone_name: str, shown: str) -> str:
    change = _change(wall, zone_name)
    if change is None:
        return f"{shown} does not exist in {zone_name}; write it with an offset"
    low, high = change.wall
    form = "%H:%M" if low.date() == high.date() else "%Y-%m-%dT%H:%M"
    return (
        f"{shown} does not exist in {zone_name}: the clock goes from {low:{form}} to {high:{form}} "
        f"({_stamp(change.at)}); write {high.isoformat(timespec='minutes')}, or the time you mean with its offset"
    )


def _change(wall: datetime, zone_name: str) -> Transition | None:
    around = wall.replace(tzinfo=UTC)
    near = transitions(zone_name, around - timedelta(days=2), around + timedelta(days=2))
    plain = wall.replace(tzinfo=None, fold=0)
    return next((one for one in near if one.skips and one.wall[0] <= plain < one.wall[1]), None)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")
