"""The board: the newest price of every place and the newest tick of every instrument, judged for readers.

Prices come from the cache. A node that has just started has an empty one, so the first reader fills it from SQL, once:
the newest interval of each place within the last day that its market has prices for.
"""

from __future__ import annotations

import threading
from datetime import timedelta

import polars as pl
import structlog

from carbon254.errors import QueryRefused, TransientError

from . import queries
from .freshness import judged, with_flag_names
from .marks import HeldPlaces
from .rooms import Rooms

_RECENT = timedelta(days=1)
_ORDER = ("hub", "zone", "interface")
_SHOWN = (
    "market", "market_run", "location", "location_id", "location_type", "interval_start", "interval_end",
    "lmp", "energy", "congestion", "loss", "ghg", "known_at", "known_basis", "flags",
)  # fmt: skip
_TICKS = ("tenant", "source", "instrument", "event_time", "price", "quantity", "bid", "ask", "received_at", "flags")


class Board:
    """What the newest prices are, with deadlines, ages and the names of their flags."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._lock = threading.Lock()
        self._filled = False
        self._places = HeldPlaces(rooms)

    def prices(
        self, market: str | None = None, run: str | None = None, locations: list[str] | None = None
    ) -> pl.DataFrame | None:
        """Newest prices; None before the first one. Columns: see `judge`.

        Hubs and zones come first, and of a market the shortest intervals, which are the live ones.
        """
        self.fill()
        found = self._rooms.cache.get(market, run, locations or [])
        return None if found is None else self.judge(found).sort(_rank(), "market", _length(), "market_run", "location")

    def judge(self, prices: pl.DataFrame) -> pl.DataFrame:
        """Adds stale_at, stale, age_s, flag_names (see `freshness`) and quality (see `marks`); leaves out what only the
        store needs."""
        return self._places.marked(judged(prices.select(_SHOWN), self._rooms.streams, self._rooms.clock.now()))

    def ticks(self) -> pl.DataFrame | None:
        """The newest tick of each instrument; None before the first."""
        self.fill()
        found = self._rooms.cache.get_ticks()
        return None if found is None else self.judge_ticks(found).sort("instrument", "source", "tenant")

    def judge_ticks(self, ticks: pl.DataFrame) -> pl.DataFrame:
        """Adds flag_names."""
        return with_flag_names(ticks.select(_TICKS))

    def fill(self) -> None:
        """Fill the cache from SQL, once, and again where the cache lost its memory.

        What arrived meanwhile stays: the cache keeps the newer of two.
        """
        if self._is_full():
            return
        with self._lock:
            if self._is_full():
                return
            try:
                self._fill()
            except (QueryRefused, TransientError) as error:
                # The cache still serves what has arrived since the start; the next reader tries again.
                structlog.get_logger().warning("latest prices could not be read from the hot store", reason=str(error))
                return
            self._rooms.cache.fill_done()
            self._filled = True

    def _is_full(self) -> bool:
        return self._filled and self._rooms.cache.filled()

    def _fill(self) -> None:
        hot, cache = self._rooms.hot, self._rooms.cache
        tops = pl.DataFrame(hot.fetch(queries.newest_intervals()))
        if tops.height:
            since = [(market, run, top - _RECENT) for market, run, top in tops.iter_rows()]
            cache.put(_typed(pl.DataFrame(hot.fetch(queries.newest_prices(since)))))
        ticks = _typed(pl.DataFrame(hot.fetch(queries.newest_ticks())))
        if ticks.height:
            cache.put_ticks(ticks)


def _rank() -> pl.Expr:
    kind = pl.col("location_type").cast(pl.String)
    return kind.replace_strict(dict(zip(_ORDER, range(len(_ORDER)), strict=True)), default=len(_ORDER))


def _length() -> pl.Expr:
    return pl.col("interval_end") - pl.col("interval_start")


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """Types as the pipeline hands them over: text, and microseconds in UTC."""
    times = pl.selectors.datetime(time_zone="*")
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String), times.cast(pl.Datetime("us", "UTC")))
