"""Peak blocks of power markets: which instants lie in 5x16, and how many real hours a block has on a day.

Hours are elapsed hours: the short day has 23 and the long one 25, and since clocks change at night the difference falls
into the hours outside the peak window (`rest`). The facts are in `blocks.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from carbon254.errors import BadLabel, UnknownProduct

from .catalogue import facts, find
from .holidays import HolidayCalendar, Holidays, holiday_calendar
from .moments import Days, Instants, ManyDays, OneDay, by_instant, day_range, days_array
from .wall import from_utc, to_utc
from .zones import DAY

HOUR = 3_600_000_000
_SATURDAY = 5
Hours = NDArray[np.float64]
Edges = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Region:
    """A region's peak: its clock (IANA), the window [from, to) of peak hours on it, and its calendar of holidays."""

    id: str
    title: str
    clock: str
    window: tuple[int, int]
    peak: str
    holidays: str
    basis: str
    source: str


@dataclass(frozen=True, slots=True)
class Block:
    """Which days and which hours; the words are explained at the top of `blocks.toml`."""

    id: str
    title: str
    days: str
    hours: str
    length: int = 0
    complement: bool = False  # all that days and hours leave of the day


@cache
def regions() -> dict[str, Region]:
    """Every region by id."""
    return {raw["id"]: Region(**{**raw, "window": tuple(raw["window"])}) for raw in facts("blocks.toml")["region"]}


def region_named(name: str) -> Region:
    """A region by id or alias, in any spelling of case and hyphens. Raises UnknownProduct listing the known ones."""
    return find("region", name, regions(), facts("blocks.toml")["region_aliases"])


def blocks_of(region: str) -> list[Block]:
    """The blocks of a region; its peak and off-peak first."""
    return list(_blocks(region_named(region)).values())


def block_named(region: str, name: str) -> Block:
    """A block of a region (`5x16`, `peak`, `ATC`, ...). Raises UnknownProduct listing the region's blocks."""
    where = region_named(region)
    try:
        return find("block", name, _blocks(where), facts("blocks.toml")["aliases"])
    except UnknownProduct as error:
        raise UnknownProduct(f"{where.id}: {error}") from None


@by_instant(bool)
def in_block(starts_utc: Instants, region: str, block: str, holidays: Holidays | None = None) -> NDArray[np.bool_]:
    """True for each interval start (UTC) that lies in the block.

    An interval belongs to a block with its start; blocks open and close on full hours. `holidays` takes the place of
    the region's calendar. Raises UnknownProduct, and BadLabel for a time without a zone or a missing one.
    """
    where, which = region_named(region), block_named(region, block)
    if not starts_utc.size:
        return np.zeros(0, np.bool_)
    wall, _ = from_utc(starts_utc.view(np.int64), where.clock)
    day = wall // DAY
    first, last = int(day.min()), int(day.max())
    chosen = _chosen(which, np.arange(first, last + 1).view("M8[D]"), _calendar(where, holidays))[day - first]
    if which.hours == "all":
        return chosen
    time = wall - day * DAY
    window = (time >= where.window[0] * HOUR) & (time < where.window[1] * HOUR)
    return (chosen & (window ^ (which.hours == "rest"))) ^ which.complement


def interval_hours(
    starts_utc: ManyDays, length: timedelta, region: str, block: str, holidays: Holidays | None = None
) -> Hours:
    """How many hours of each interval (UTC start, one length) lie in the block: its length, or 0.

    Raises BadLabel for a length that does not divide the hour, since such an interval may straddle a block's edge.
    """
    if length <= timedelta(0) or timedelta(hours=1) % length:
        raise BadLabel(f"intervals of {length} may straddle a block's edge; give a length that divides the hour")
    inside = np.atleast_1d(in_block(starts_utc, region, block, holidays))
    return np.where(inside, length / timedelta(hours=1), 0.0)


def hours_by_day(region: str, block: str, days: ManyDays, holidays: Holidays | None = None) -> Hours:
    """Elapsed hours of the block on each day (of the region's clock), in the shape of `days`."""
    where, which = region_named(region), block_named(region, block)
    given = days_array(days)
    spans = _spans(where, which, given.ravel(), _calendar(where, holidays))
    micros = np.sum([close - opens for opens, close in spans], axis=0)
    return (micros / HOUR).astype(np.float64).reshape(given.shape)


def block_hours(
    region: str, block: str, first_day: OneDay, last_day: OneDay, holidays: Holidays | None = None
) -> float:
    """Elapsed hours of the block in first_day..last_day, both included."""
    return float(hours_by_day(region, block, day_range(first_day, last_day), holidays).sum())


def block_starts(
    region: str,
    block: str,
    first_day: OneDay,
    last_day: OneDay,
    step: timedelta = timedelta(hours=1),
    holidays: Holidays | None = None,
) -> Instants:
    """The interval starts (UTC, µs) of the block in first_day..last_day of the region's clock, oldest first.

    Raises BadLabel for a step that does not divide the hour.
    """
    if step <= timedelta(0) or timedelta(hours=1) % step:
        raise BadLabel(f"steps of {step} may straddle a block's edge; give a step that divides the hour")
    days = day_range(first_day, last_day)
    edges = np.array([days[0], days[-1] + 1]).astype("M8[us]").view(np.int64)
    low, high = to_utc(edges, region_named(region).clock)[0]
    starts = np.arange(low, high, step // timedelta(microseconds=1)).view("M8[us]")
    return starts[in_block(starts, region, block, holidays)]


def block_spans(
    region: str, block: str, days: ManyDays, holidays: Holidays | None = None
) -> list[tuple[Instants, Instants]]:
    """The block on each day as spans [start, end) in UTC, in the order of time: a pair of arrays for each span that a
    day of the block can have (one to three). On days without it a span has no length.
    """
    where, which = region_named(region), block_named(region, block)
    spans = _spans(where, which, days_array(days).ravel(), _calendar(where, holidays))
    return [(opens.view("M8[us]"), close.view("M8[us]")) for opens, close in spans]


def _spans(where: Region, which: Block, days: Days, holidays: HolidayCalendar) -> list[tuple[Edges, Edges]]:
    chosen = _chosen(which, days, holidays)
    always = np.ones(len(days), np.bool_)
    if which.complement:
        parts = [(0, where.window[0], always), (*where.window, ~chosen), (where.window[1], 24, always)]
    elif which.hours == "rest":
        parts = [(0, where.window[0], chosen), (where.window[1], 24, chosen)]
    else:
        parts = [(*(where.window if which.hours == "window" else (0, 24)), chosen)]
    midnight = days.astype("M8[us]").view(np.int64)
    edges = {hour: to_utc(midnight + hour * HOUR, where.clock)[0] for part in parts for hour in part[:2]}
    return [(edges[opens], np.where(held, edges[closes], edges[opens])) for opens, closes, held in parts]


def _chosen(which: Block, days: Days, holidays: HolidayCalendar) -> NDArray[np.bool_]:
    if which.days == "all":
        return np.ones(len(days), np.bool_)
    weekday = (days.view(np.int64) + _EPOCH_WEEKDAY) % 7
    kept = holidays.contains(days)
    match which.days:
        case "mon-fri":
            return (weekday < _SATURDAY) & ~kept
        case "mon-sat":
            return (weekday <= _SATURDAY) & ~kept
        case "weekend":
            return (weekday >= _SATURDAY) | kept
        case "sunday":
            return (weekday > _SATURDAY) | kept
    raise UnknownProduct(f"blocks.toml: {which.id}: days = {which.days!r} is not known")


_EPOCH_WEEKDAY = int(np.datetime64(0, "D").item().weekday())


def _calendar(where: Region, holidays: Holidays | None) -> HolidayCalendar:
    return holiday_calendar(where.holidays if holidays is None else holidays)


@cache
def _all_blocks() -> Mapping[str, Block]:
    return {raw["id"]: Block(**raw) for raw in facts("blocks.toml")["block"]}


@cache
def _blocks_by_region(name: str) -> dict[str, Block]:
    where = regions()[name]
    length = where.window[1] - where.window[0]
    own = {one.id: one for one in _all_blocks().values() if one.length in (0, length)}
    peak = own[where.peak]
    on = replace(peak, id="peak", title=f"on-peak: {peak.id}")
    off = replace(peak, id="offpeak", title=f"off-peak: all hours outside {peak.id}", complement=True)
    return {"peak": on, "offpeak": off, **own}


def _blocks(where: Region) -> dict[str, Block]:
    return _blocks_by_region(where.id)
