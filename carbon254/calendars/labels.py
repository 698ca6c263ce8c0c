"""Labels as files print them ↔ intervals in UTC, over whole columns, by a convention of the catalogue.

A frame of labels has, for `form = "hour"`: `day` (Date), `hour` (number in that day), optional `interval` (1 and up
inside the hour); for `form = "stamp"`: `stamp` (naive Datetime). Where the convention marks the repeated hour it has
`mark`: Boolean for flags, else text (`X`, `*`, `d`, `EDT`, `-04:00`; null or empty for no sign). `ordinal` is the row's
place in its location's order; without it, rows count as they come.

(label, mark, ordinal) and the interval's start are one-to-one in every market on every day: `write` and `read` are
inverse.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from carbon254.errors import BadLabel

from .columns import WALL, micros, of_instants, of_walls, spans
from .columns import instants as as_instants
from .convention import Convention
from .hours import read_hours, write_hours
from .marks import printed, with_marks
from .order import passes_by_order
from .wall import NO_PASS, Sides, Status, Statuses, from_utc, to_utc
from .zones import DAY, Micros

_BY_THE_CLOCK = Sides()


def read(
    frame: pl.DataFrame,
    convention: Convention,
    resolution: timedelta,
    *,
    clock: str | None = None,
    place: str | None = None,
) -> pl.DataFrame:
    """`interval_start`, `interval_end` (UTC, µs) and `status` (see `wall.Status`) of each label, in the frame's order.

    `place` names the column of the location, for conventions that only the order of rows decides. A label with status
    TWICE gets its first pass; SKIPPED, MISMARKED and MALFORMED ones get null. Raises BadLabel for a missing column.
    """
    clock = clock or convention.clock
    step = resolution // timedelta(microseconds=1)
    _require(frame, convention)
    if convention.form == "hour":
        start, status = read_hours(frame, convention, step, clock)
        return spans(start, start + step, status)
    wall, empty = micros(of_walls(frame["stamp"]))
    if convention.repeat == "utc":
        edge, status = wall, np.zeros(len(wall), np.uint8)
    elif convention.repeat == "order":
        ordinal = frame["ordinal"] if "ordinal" in frame.columns else None
        edge, status = _ordered(wall, convention.sides, clock, frame[place] if place else None, ordinal)
    else:
        edge, status = with_marks(wall, frame["mark"] if "mark" in frame.columns else None, convention, clock)
    status[empty] = Status.MALFORMED
    if convention.edge == "start":
        return spans(edge, edge + step, status)
    # A run off the grid ends where it ended; its interval opens where the grid's does.
    return spans((edge - 1) // step * step, edge, status)


def write(starts: Any, convention: Convention, resolution: timedelta, *, clock: str | None = None) -> pl.DataFrame:
    """The labels of interval starts (UTC, of one location, in the order of time); columns as `read` takes them.

    Raises BadLabel for a start that is null.
    """
    clock = clock or convention.clock
    step = resolution // timedelta(microseconds=1)
    start, empty = micros(of_instants(starts))
    if empty.any():
        raise BadLabel(f"{convention.id}: an interval without a start has no label; leave the row out")
    own, passes = from_utc(start, clock)
    ordinal = pl.Series("ordinal", _ranks(own // DAY), dtype=pl.Int32)
    if convention.form == "hour":
        return pl.DataFrame([*write_hours(start, own, passes, convention, step, clock), ordinal])
    edge = start if convention.edge == "start" else start + step
    wall, passes = (edge, passes) if convention.repeat == "utc" else from_utc(edge, clock, convention.sides)
    stamp = pl.Series("stamp", wall).cast(WALL)
    return pl.DataFrame([stamp, *printed(convention, wall, passes, edge, clock), ordinal])


def wall_to_utc(
    label: pl.Series, clock: str, mark: pl.Series | None = None, place: pl.Series | None = None
) -> tuple[pl.Series, pl.Series]:
    """Instants of naive wall times, and a Status for each.

    `mark` (Int8) is the pass of a repeated time, null where it is not told; `place` (the location of each row) lets
    the order of rows tell it instead. Null where the label names no instant; the first pass where nothing tells.
    """
    wall, empty = micros(of_walls(label))
    if mark is None and place is not None:
        found, status = _ordered(wall, _BY_THE_CLOCK, clock, place)
    else:
        found, status = to_utc(wall, clock, None if mark is None else mark.cast(pl.Int8).fill_null(NO_PASS).to_numpy())
    status[empty] = Status.MALFORMED
    lost = (status == Status.SKIPPED) | (status == Status.MALFORMED)
    return as_instants(found, lost).alias(label.name), pl.Series("status", status)


def comes_twice(label: pl.Series, clock: str) -> pl.Series:
    """True where a naive wall time names two instants."""
    wall, empty = micros(of_walls(label))
    return pl.Series(label.name, (to_utc(wall, clock)[1] == Status.TWICE) & ~empty)


def _ordered(
    wall: Micros, sides: Sides, clock: str, place: pl.Series | None, ordinal: pl.Series | None = None
) -> tuple[Micros, Statuses]:
    found, status = to_utc(wall, clock, None, sides)
    twice = np.flatnonzero(status == Status.TWICE)
    if len(twice):
        passes = passes_by_order(wall, status, place, ordinal)[twice]
        found[twice], status[twice] = to_utc(wall[twice], clock, passes, sides)
    return found, status


def _ranks(day: Micros) -> Micros:
    """The place of each row among those of its day."""
    if not len(day):
        return day
    opens = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    return np.arange(len(day)) - np.repeat(opens, np.diff(opens, append=len(day)))


def _require(frame: pl.DataFrame, convention: Convention) -> None:
    needed = ["day", "hour"] if convention.form == "hour" else ["stamp"]
    needed += ["mark"] * (convention.repeat in ("offset", "zone", "suffix", "second_flag"))
    if missing := [name for name in needed if name not in frame.columns]:
        raise BadLabel(
            f"{convention.market}: labels of {convention.id} ({convention.title}) need the columns "
            f"{', '.join(needed)}; {', '.join(missing)} is missing"
        )
