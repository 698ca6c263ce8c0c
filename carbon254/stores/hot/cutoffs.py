"""When each market day reaches each rung, and when its day-ahead gate closes: a table that the as-of views join.

Market days and their ends come from the pinned zone database, business days from the market's calendar: the engine's
own idea of a zone decides nothing. Laid out once a workspace, again when the facts change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from carbon254.calendars import Sides, add_business_days, market, to_utc
from carbon254.model.ladders import Gate, Ladder, Rung, digest, horizon, ladders

from .ddl import TABLES

NAME = f"{TABLES}.cutoffs"
GATE = "gate"
_COLUMNS = """
  market LowCardinality(String), rung LowCardinality(String), starts DateTime64(6, 'UTC') CODEC(Delta(8), LZ4),
  ends DateTime64(6, 'UTC') CODEC(Delta(8), LZ4), reached_at DateTime64(6, 'UTC') CODEC(Delta(8), LZ4),
  after_s UInt32
"""

_MICROS = 1_000_000
_DAY = 86_400 * _MICROS
_MINUTE = 60


def lay_out(
    command: Callable[[str], Any], fetch: Callable[[str], pa.Table], insert: Callable[[str, pa.Table, str], None]
) -> None:
    """Make the table and fill it, if it is not there or holds other facts. Safe to repeat, also after a crash."""
    database, table = NAME.split(".")
    found = fetch(f"SELECT comment, total_rows FROM system.tables WHERE database = '{database}' AND name = '{table}'")
    # The rows go in whole: a table without any is one whose making was cut off.
    if any(row["comment"] == mark() and row["total_rows"] for row in found.to_pylist()):
        return
    command(f"DROP TABLE IF EXISTS {NAME} SYNC")
    command(f"CREATE TABLE {NAME} ({_COLUMNS}) ENGINE = MergeTree ORDER BY (rung, market, starts) COMMENT '{mark()}'")
    insert(NAME, cutoffs(), mark())


@cache
def mark() -> str:
    """Names what the table is made of: ladders, holidays, and the release of the zone database."""
    holidays = files("carbon254.calendars").joinpath("holidays.toml").read_bytes()
    return hashlib.sha256(f"{digest()} {version('tzdata')} ".encode() + holidays).hexdigest()[:16]


@cache
def cutoffs() -> pa.Table:
    """One row a market, rung and market day [starts, ends): what was known before `reached_at` counts.

    For rungs in minutes `after_s` is not 0, and what was known before the interval's end + after_s counts. The rung
    called `gate` is the closing of the day-ahead gate.
    """
    first, last = horizon()
    days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)
    return pl.concat(list(_all(days))).to_arrow()


def _all(days: NDArray[np.datetime64]) -> Iterator[pl.DataFrame]:
    for ladder in ladders().values():
        clock = market(ladder.market).clock
        for rung in ladder.rungs:
            yield _frame(ladder.market, rung.name, days, _ends(_target(days, rung, ladder), clock), clock, rung)
        yield _frame(ladder.market, GATE, days, _closes(days, ladder.gate, clock), clock, None)


def _frame(
    name: str, rung: str, days: NDArray[np.datetime64], reached: NDArray[np.int64], clock: str, facts: Rung | None
) -> pl.DataFrame:
    after = facts.count * _MINUTE if facts and facts.unit == "minutes" else 0
    return pl.DataFrame(
        {"market": name, "rung": rung, "starts": _ends(days - 1, clock), "ends": _ends(days, clock),
         "reached_at": reached, "after_s": after},
    ).with_columns(
        pl.col("starts", "ends", "reached_at").cast(pl.Datetime("us", "UTC")), pl.col("after_s").cast(pl.UInt32)
    )  # fmt: skip


def _target(days: NDArray[np.datetime64], rung: Rung, ladder: Ladder) -> NDArray[np.datetime64]:
    """The day at whose end the rung is reached."""
    if rung.unit == "business_days":
        return np.asarray(add_business_days(days, rung.count, ladder.calendar), "datetime64[D]")
    if rung.unit == "months":
        shifted = pl.Series(days).cast(pl.Date).dt.offset_by(f"{rung.count}mo")
        return shifted.to_numpy().astype("datetime64[D]")
    return days + (rung.count if rung.unit == "days" else 0)


def _ends(days: NDArray[np.datetime64], clock: str) -> NDArray[np.int64]:
    """End (µs UTC) of market days."""
    return to_utc((days.astype(np.int64) + 1) * _DAY, clock, None, Sides())[0]


def _closes(days: NDArray[np.datetime64], gate: Gate, clock: str) -> NDArray[np.int64]:
    at = (gate.at.hour * 60 + gate.at.minute) * 60 * _MICROS
    return to_utc((days.astype(np.int64) - gate.days_before) * _DAY + at, clock, None, Sides())[0]


def reached(rung: Rung, day: date) -> pl.Series:
    """When `rung` of one market day is reached; for minutes the moment of its last interval (Datetime µs UTC)."""
    found = ladders()[rung.market]
    target = _target(np.array([day], "datetime64[D]"), rung, found)
    seconds = rung.count * _MINUTE if rung.unit == "minutes" else 0
    moment = _ends(target, market(rung.market).clock) + seconds * _MICROS
    return pl.Series(moment).cast(pl.Datetime("us", "UTC"))
