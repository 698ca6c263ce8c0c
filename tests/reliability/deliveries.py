"""Payloads of one market day, and what a store must hold after them, reckoned without the product.

Delivery `n` is a file of one five-minute interval of three places; deliveries come back to an interval, so that later
ones correct earlier ones.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from carbon254.app import Node
from carbon254.ingest import Arrived

TOPIC, MARKET_DAY = "iso.rt.lmp.spp", "2025-07-01"
NOW = datetime(2025, 7, 1, 12, 10, 30, tzinfo=UTC)
START = datetime(2025, 7, 1, 12, 0, tzinfo=UTC)
FIVE = timedelta(minutes=5)
PLACES = ("A", "B", "C")
INTERVALS = 4
_WIDTHS = {"5m": 5, "15m": 15, "1h": 60}

Price = tuple[str, int, float]


def prices_of(number: int) -> list[Price]:
    """(place, interval, price) of a delivery."""
    return [(place, number % INTERVALS, 20.0 + (number * 7 + at * 3) % 23 + number / 100) for at, place in
            enumerate(PLACES)]  # fmt: skip


def arrived(number: int) -> Arrived:
    """A delivery as it comes."""
    from flow.conftest import spp

    end = START + (number % INTERVALS + 1) * FIVE
    data = spp({place: lmp for place, _, lmp in prices_of(number)}, f"{end:%m/%d/%Y %H:%M:%S}")
    return Arrived(TOPIC, data, f"{number % INTERVALS}.csv", NOW + timedelta(seconds=number), f"{number % INTERVALS}")


class Expected:
    """What the deliveries so far come to."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    def add(self, number: int) -> None:
        self.taken.append(number)

    def current(self) -> dict[tuple[str, int], float]:
        """(place, interval) → price of the latest delivery."""
        return {(place, at): lmp for number in sorted(self.taken) for place, at, lmp in prices_of(number)}

    def versions(self) -> list[Price]:
        """Every price ever delivered, in order."""
        return sorted(price for number in self.taken for price in prices_of(number))

    def bars(self) -> dict[tuple[str, str, int], tuple[float, float, float, float]]:
        """(width, place, start in minutes) → open, high, low, close."""
        found: dict[tuple[str, str, int], list[float]] = {}
        for (place, at), lmp in sorted(self.current().items()):
            for width, minutes in _WIDTHS.items():
                found.setdefault((width, place, at * 5 // minutes * minutes), []).append(lmp)
        return {key: (of[0], max(of), min(of), of[-1]) for key, of in found.items()}


def wrong(node: Node, expected: Expected) -> list[str]:
    """How the node's stores differ from what is expected."""
    found = []
    if (held := _current(node)) != expected.current():
        found.append(f"current prices: {held} and not {expected.current()}")
    for place, rows in (("hot store", _hot(node)), ("lake", _lake(node))):
        if rows != expected.versions():
            found.append(f"{place}: {len(rows)} versions and not {len(expected.versions())}: {rows}")
    if (bars := _bars(node)) != expected.bars():
        differ = {key: (bars.get(key), want) for key, want in expected.bars().items() if bars.get(key) != want}
        found.append(f"bars (held, wanted): {differ or bars}")
    entry = node.ledger.entries(TOPIC, MARKET_DAY)[0]
    if (entry.payloads, entry.rows) != (len(expected.taken), len(expected.taken) * len(PLACES)):
        found.append(f"ledger: {entry.payloads} payloads, {entry.rows} rows of {len(expected.taken)} deliveries")
    return found + node.log.check()


def _price(row: dict[str, Any]) -> Price:
    return row["location_id"], round((row["interval_start"] - START) / FIVE), row["lmp"]


def _current(node: Node) -> dict[tuple[str, int], float]:
    rows = map(_price, node.hot.fetch("SELECT location_id, interval_start, lmp FROM current_prices").to_pylist())
    return {(place, at): lmp for place, at, lmp in rows}


def _hot(node: Node) -> list[Price]:
    rows = node.hot.fetch("SELECT location_id, interval_start, lmp FROM store.interval_prices FINAL").to_pylist()
    return sorted(map(_price, rows))


def _lake(node: Node) -> list[Price]:
    return sorted(map(_price, node.lake.scan("interval_prices", columns=_COLUMNS).to_pylist()))


_COLUMNS = ("location_id", "interval_start", "lmp")


def _bars(node: Node) -> dict[tuple[str, str, int], tuple[float, float, float, float]]:
    sql = "SELECT width, location_id, bar_start, open, high, low, close FROM ohlc_bars WHERE width != '1d'"
    return {
        (row["width"], row["location_id"], round((row["bar_start"] - START) / timedelta(minutes=1))): (
            row["open"], row["high"], row["low"], row["close"],
        )
        for row in node.hot.fetch(sql).to_pylist()
    }  # fmt: skip
