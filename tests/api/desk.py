"""Rows a desk would have, and the rooms to serve them from. Values are invented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from carbon254.api.notary import Notary
from carbon254.api.rooms import Rooms
from carbon254.api.turns import Allowed
from carbon254.clock import Clock
from carbon254.ingest import Inbox
from carbon254.model import Access, Provider, Publication, Stream, dataset
from carbon254.model.arrow import conform
from carbon254.model.bars import bar_runs
from carbon254.model.dataset import of_intervals
from carbon254.stores.cache import LatestPrices
from carbon254.stores.hot import HotStore, open_hot
from carbon254.stores.ledger import open_ledger
from carbon254.stores.log import open_log
from carbon254.stores.raw import open_raw
from carbon254.telemetry import Metrics

NOON = datetime(2025, 11, 3, 18, 0, tzinfo=UTC)
MINUTES_5 = timedelta(minutes=5)
HOUR = timedelta(hours=1)


def provider(market: str, zone: str) -> Provider:
    home = "https://example.org"
    return Provider(market.lower(), f"{market} operator", market, zone, home, home, "terms", "restricted", 1.0)


def stream(
    topic: str, market: str, run: str, zone: str, resolution: timedelta, anchor: str, delay: timedelta
) -> Stream:
    return Stream(
        topic, f"{market} {run} prices", provider(market, zone), "interval_prices", run, resolution, zone,
        "interval_end", "utc", Publication(anchor, delay), timedelta(minutes=1), HOUR,
    )  # fmt: skip


def streams() -> dict[str, Stream]:
    central, eastern, none = "America/Chicago", "America/New_York", timedelta(0)
    found = [
        stream("iso.rt.lmp.spp", "SPP", "RTBM", central, MINUTES_5, "interval_end", MINUTES_5),
        stream("iso.da.lmp.spp", "SPP", "DAM", central, HOUR, "market_day", timedelta(hours=-11)),
        stream("iso.rt.lmp.nyiso", "NYISO", "RTD", eastern, MINUTES_5, "interval_end", MINUTES_5),
    ]
    pushed = Stream(
        "market.ticks", "Pushed ticks", Provider("ticks", "Pushed", "PUSHED", "UTC", "", "", "", "", 0.0, 1, Access()),
        "market_ticks", "tick", timedelta(minutes=1), "UTC", "interval_start", "utc",
        Publication("interval_end", none), timedelta(seconds=1), HOUR,
    )  # fmt: skip
    return {one.topic: one for one in [*found, pushed]}


def prices(
    end: datetime, market: str = "SPP", run: str = "RTBM", count: int = 1, *, names: tuple[str, ...] = ("NORTH_HUB",),
    step: timedelta = MINUTES_5, lmp: float | None = 25.5, flags: int = 0, kind: str = "hub", payload: str = "a" * 64,
    basis: str = "received",
) -> pl.DataFrame:  # fmt: skip
    """`count` intervals of each name, the last one ending at `end`; lmp rises by one an interval."""
    rows = [
        {"location": name, "location_id": name, "interval_start": end - step * (count - i),
         "interval_end": end - step * (count - i - 1), "lmp": None if lmp is None else lmp + i}
        for name in names for i in range(count)
    ]  # fmt: skip
    times = {"interval_start": pl.Datetime("us", "UTC"), "interval_end": pl.Datetime("us", "UTC")}
    texts = {
        "market": market, "product": "energy", "market_run": run, "known_basis": basis, "commodity": "power",
        "region": market, "product_tier": "real_time", "location_type": kind, "feed": "iso.rt.lmp.spp",
        "payload": payload, "batch_id": "1",
    }  # fmt: skip
    known = (pl.col("interval_end") + pl.duration(minutes=1)).alias
    missing = pl.lit(None, dtype=pl.Float64)
    return pl.DataFrame(rows, schema_overrides={**times, "lmp": pl.Float64}).with_columns(
        *(pl.lit(value).alias(name) for name, value in texts.items()),
        *(missing.alias(name) for name in ("energy", "congestion", "loss", "ghg")),
        known("known_at"), known("received_at"), pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("published_at"),
        pl.lit(0, dtype=pl.UInt32).alias("revision"), pl.lit(flags, dtype=pl.UInt32).alias("flags"),
    )  # fmt: skip


def ticks(at: datetime, instrument: str = "BRN-1M", price: float | None = 71.35, sequence: int = 1) -> pl.DataFrame:
    return pl.DataFrame(
        {"tenant": "public", "source": "desk", "instrument": instrument, "event_time": at, "event_id": str(sequence),
         "sequence": sequence, "market": "ICE", "price": price, "quantity": 10.0, "bid": None, "ask": None,
         "received_at": at, "flags": 0, "commodity": "crude", "region": "world", "product_tier": "real_time",
         "feed": "market.ticks", "payload": "b" * 64, "batch_id": "1", "position": 0},
        schema_overrides={"event_time": pl.Datetime("us", "UTC"), "received_at": pl.Datetime("us", "UTC"),
                          "sequence": pl.UInt64, "flags": pl.UInt32, "position": pl.UInt32, "price": pl.Float64,
                          "bid": pl.Float64, "ask": pl.Float64},
    )  # fmt: skip


def moving(start: datetime, hours: int, location: str = "NORTH_HUB") -> pl.DataFrame:
    """Four five-minute prices of each hour, of which bars are made: they open, rise, fall and close a little higher."""
    starts = [start + HOUR * hour + MINUTES_5 * i for hour in range(hours) for i in range(4)]
    lmp = [30.0 + (hour * 7 % 11) + step for hour in range(hours) for step in (0.0, 4.0, -3.0, 1.0)]
    priced = prices(start, count=len(starts), names=(location,))
    times = pl.Series("interval_start", starts, dtype=pl.Datetime("us", "UTC"))
    return priced.with_columns(
        times, (times + MINUTES_5).alias("interval_end"), pl.Series("lmp", lmp),
        *((times + timedelta(minutes=6)).alias(name) for name in ("known_at", "received_at")),
    )  # fmt: skip


def store(rooms: Rooms, name: str, frame: pl.DataFrame, token: str) -> None:
    """Rows into the hot store, as the pipeline would put them there."""
    rooms.hot.insert(name, conform(frame, dataset(name)), token)


@contextmanager
def open_rooms(folder: Path, clock: Clock, hot: HotStore) -> Iterator[Rooms]:
    """Real stores in `folder`, closed in the end; the hot store is the caller's."""
    log, ledger = open_log(folder / "log.db"), open_ledger(f"sqlite:///{folder / 'ledger.db'}")
    metrics = Metrics()
    inbox = Inbox(open_raw(folder / "raw"), log, metrics)
    trouble: dict[str, str] = {}
    notary = Notary(hot, log, streams(), {}, clock, lambda _: None)
    rooms = Rooms(hot, LatestPrices(), log, ledger, inbox, clock, metrics, streams(), lambda: trouble, notary)
    rooms.allowed = Allowed(seconds=60.0)  # no test depends on how busy the machine is
    try:
        yield rooms
    finally:
        rooms.closing.set()
        ledger.close()
        log.close()


@contextmanager
def open_engine(folder: Path) -> Iterator[HotStore]:
    """An empty hot store in `folder`."""
    hot = open_hot(f"chdb://{folder}")
    hot.ensure(bar_runs(streams().values(), of_intervals()))
    try:
        yield hot
    finally:
        hot.close()
