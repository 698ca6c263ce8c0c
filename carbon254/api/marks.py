"""Quality marks beside answers: what is held back from readers, and market days whose final verdict is held.

A reader gets the last good version; the mark says that there is a newer one that did not pass, and where the reason is.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import polars as pl

from carbon254.calendars import market as market_named
from carbon254.calendars import market_day_of
from carbon254.errors import Carbon254Error, QueryRefused, TransientError

from .known import Fetch
from .queries import literal
from .rooms import Rooms

_KEY = ("market", "market_run", "location_id")
_OLD_S = 2.0
_SHOWN = 3
_UTC = pl.Datetime("us", "UTC")


def mark(fetch: Fetch, market: str, run: str | None, start: datetime, end: datetime) -> str:
    """What readers of a market's current prices of [start, end) must know; empty where all is well."""
    first, last = market_day_text(start, market), market_day_text(end - timedelta(microseconds=1), market)
    mine = f"market = {literal(market)}" + (f" AND market_run = {literal(run)}" if run else "")
    held = fetch(
        "SELECT feed, market_day, status, count() AS n, any(told) AS why FROM ("
        "SELECT feed, market_day, status, why AS told FROM verdicts "
        f"WHERE {mine} AND status != 'published' AND market_day BETWEEN toDate32('{first}') AND toDate32('{last}') "
        "UNION ALL SELECT feed, assumeNotNull(market_day), 'rows', reason FROM quarantine "
        f"WHERE {mine} AND status = 'held' AND interval_start >= {literal(start)} AND interval_start < {literal(end)}"
        ") GROUP BY feed, market_day, status ORDER BY market_day DESC, feed, status"
    ).to_pylist()
    told = [_sentence(row["feed"], row["market_day"], row["status"], row["n"], row["why"]) for row in held[:_SHOWN]]
    more = [f"and {len(held) - _SHOWN} more marks"] if len(held) > _SHOWN else []
    return "; ".join([*told, *more])


def _sentence(feed: str, day: object, status: str, rows: int, why: str) -> str:
    if status == "rows":
        return f"{feed} {day}: {rows:,} newer rows are held ({why}); see the table quarantine"
    if status == "held":
        return f"{feed} {day}: the day's verdict is held ({why})"
    return f"{feed} {day}: accepted by a person ({why})"


def market_day_text(moment: datetime, market: str) -> str:
    """The market day an instant lies in; the UTC date where no calendar knows the market."""
    try:
        return market_day_of(moment, market_named(market).clock).isoformat()
    except (Carbon254Error, KeyError):
        return moment.date().isoformat()


class HeldPlaces:
    """The newest held interval of each place, read at most every two seconds."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms, self._lock = rooms, threading.Lock()
        self._read_s, self._held = float("-inf"), pl.DataFrame()

    def marked(self, prices: pl.DataFrame) -> pl.DataFrame:
        """`prices` with `quality`: `held` where a newer version of the price did not pass, else `ok`.

        Null where the hot store does not answer.
        """
        try:
            held = self._newest()
        except (QueryRefused, TransientError):
            return prices.with_columns(pl.lit(None, pl.String).alias("quality"))
        if not held.height:
            return prices.with_columns(pl.lit("ok").alias("quality"))
        beside = prices.join(held, on=_KEY, how="left", maintain_order="left")
        behind = (pl.col("_held_at") >= pl.col("interval_start")).fill_null(False)
        return beside.with_columns(pl.when(behind).then(pl.lit("held")).otherwise(pl.lit("ok")).alias("quality")).drop(
            "_held_at"
        )

    def _newest(self) -> pl.DataFrame:
        with self._lock:
            now_s = self._rooms.clock.monotonic()
            if now_s - self._read_s > _OLD_S:
                key = ", ".join(f"CAST(assumeNotNull(q.{name}), 'String') AS {name}" for name in _KEY)
                sql = (
                    f"SELECT {key}, "
                    "max(q.interval_start) AS _held_at FROM quarantine AS q "
                    "WHERE q.status = 'held' AND q.location_id IS NOT NULL GROUP BY ALL"
                )
                found = pl.DataFrame(self._rooms.hot.fetch(sql))
                self._held = found.with_columns(pl.col("_held_at").cast(_UTC)) if found.height else pl.DataFrame()
                self._read_s = now_s
            return self._held
