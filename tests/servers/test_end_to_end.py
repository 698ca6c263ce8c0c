"""Emulated markets through the four services and every server, and through one embedded node: the same in the end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import polars as pl
import pytest

from carbon254.calendars import market_day_of, market_day_span
from carbon254.cli.running import Desk, from_files, from_provider, opened
from carbon254.cli.seeding import tick_lines
from carbon254.connections import lake_of
from carbon254.emulator.server import Emulator, running
from carbon254.feeds import feed
from carbon254.model import catalogue
from carbon254.proof.rows import frame_hash
from carbon254.settings import load_settings
from carbon254.stores.cache import Cache, open_cache
from carbon254.stores.hot import HotStore, open_hot
from carbon254.stores.lake import Lake
from carbon254.stores.ledger import Ledger, open_ledger
from carbon254.stores.raw import RawArchive, open_raw
from carbon254.workspace import Workspace
from servers.deployment import NEEDED, STAGES, Deployment, deployment, environment, until
from servers.pushed import published, push

pytestmark = pytest.mark.servers(*NEEDED)

NOW = datetime(2025, 7, 3, 15, tzinfo=UTC)
TICKS = 400
BUCKETS = ("desk-raw", "desk-lake")
DAY_AHEAD = ("iso.da.lmp.spp", "iso.da.lmp.pjm")
REAL_TIME = ("iso.rt.lmp.nyiso", "iso.rt.lmp.isone")
OTHERS = ("energy.spot.eia", "weather.forecast.nws")
# What says how it was carried and not what it says.
_OF_THE_RUN = {"batch_id", "build", "judged_at", "changed_at", "payload_offset", "checksum"}
# Pushed messages are payloads as they came together on Kafka.
_OF_THE_BATCH = {"payload", "received_at"}


def fetched(desk: Desk, emulator: Emulator) -> None:
    """Every feed's span, and a market day published again with other prices."""
    emulator.clock(NOW)
    for topic in DAY_AHEAD:
        clock = feed(topic).stream.clock
        assert not from_provider(desk, topic, *market_day_span(market_day_of(NOW, clock), clock)).failed
    for topic in REAL_TIME:
        assert not from_provider(desk, topic, NOW - timedelta(hours=3), NOW).failed
    assert not from_provider(desk, "energy.spot.eia", NOW - timedelta(days=20), NOW).failed
    assert not from_provider(desk, "weather.forecast.nws", NOW, NOW + timedelta(hours=1)).failed
    desk.carry()
    day = market_day_of(NOW, feed(DAY_AHEAD[0]).stream.clock)
    emulator.revise(DAY_AHEAD[0], day, share=0.3, bump=7.5)
    emulator.clock(NOW + timedelta(days=1))
    clock = feed(DAY_AHEAD[0]).stream.clock
    assert from_provider(desk, DAY_AHEAD[0], *market_day_span(day, clock)).new
    desk.carry()


def plain(frame: pl.DataFrame, gone: set[str]) -> pl.DataFrame:
    return frame.select(sorted(set(frame.columns) - gone)).with_columns(pl.col(pl.Categorical).cast(pl.String))


def told(hot: HotStore, lake: Lake, cache: Cache, ledger: Ledger, raw: RawArchive) -> dict[str, Any]:
    """What each store says: canonical hashes of rows, and counts to go by where they differ."""
    found: dict[str, Any] = {}
    for name in catalogue():
        gone = _OF_THE_RUN | (_OF_THE_BATCH if name == "market_ticks" else set())
        # A verdict's score goes by the days that stood when it was given.
        columns = "feed, market_day, status, completeness" if name == "verdicts" else "*"
        rows = plain(pl.DataFrame(hot.fetch(f"SELECT {columns} FROM {name}")), gone)
        found[f"hot {name}"] = rows.height, frame_hash(rows)
        if name not in ("ohlc_bars", "verdicts"):
            rows = plain(pl.DataFrame(lake.scan(name)), gone).unique()
            found[f"lake {name}"] = rows.height, frame_hash(rows)
    for name, latest, gone in (("prices", cache.get(), set()), ("ticks", cache.get_ticks(), _OF_THE_BATCH)):
        assert latest is not None
        rows = plain(latest, _OF_THE_RUN | gone)
        found[f"latest {name}"] = rows.height, frame_hash(rows)
    found["ledger"] = {
        (one.feed, one.partition): (one.state, one.rows, one.watermark, one.payloads)
        for one in ledger.entries(limit=10_000)
        if one.feed != "market.ticks"
    }
    found["ticks"] = sum(one.rows for one in ledger.entries("market.ticks"))
    ticks = {sha for sha in raw.ids() if raw.provenance(sha)[0].feed == "market.ticks"}
    found["raw"] = sorted(set(raw.ids()) - ticks)
    return found


def embedded(emulator: Emulator, folder: Path) -> dict[str, Any]:
    """The same through one node with nothing but its workspace."""
    lines = folder / "ticks.ndjson"
    lines.write_bytes(ticks())
    with environment({}), opened(folder / "embedded", emulator.url) as desk:
        fetched(desk, emulator)
        from_files(desk, "market.ticks", [lines])
        desk.carry()
        node = desk.node
        assert node is not None
        for _ in node.pipeline.days.finals(node.clock.now()):
            pass
        return told(node.hot, node.lake, node.cache, node.ledger, node.raw)


def ticks() -> bytes:
    return tick_lines(254, NOW - timedelta(seconds=TICKS), TICKS, timedelta(seconds=1))


def on_servers(folder: Path) -> dict[str, Any]:
    """What the stores of the deployment hold, asked of the servers themselves."""
    settings = load_settings(workspace=folder)
    hot, lake = open_hot(settings.hot_url), lake_of(settings, Workspace(folder))
    cache, ledger = open_cache(settings.redis_url), open_ledger(settings.ledger_url)
    try:
        return told(hot, lake, cache, ledger, open_raw(settings.raw_url, settings.s3_endpoint))
    finally:
        for one in (hot, lake, cache, ledger):
            one.close()


@pytest.fixture(scope="module")
def desk_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("desk")) as made:
        yield made


def test_four_services_on_servers_come_to_what_one_node_comes_to(desk_of: Deployment, tmp_path: Path) -> None:
    made = desk_of.bootstrap()
    assert {row["name"]: row["state"] for row in made if row["kind"] == "bucket"} == dict.fromkeys(BUCKETS, "created")
    services = {stage: desk_of.service(stage) for stage in STAGES}
    for service in services.values():
        until(service.ready)
    with running(seed=254, now=NOW) as emulator:
        with environment(desk_of.env), opened(services["normalise"].folder, emulator.url) as desk:
            assert desk.node is None
            push(desk_of, ticks().splitlines())
            fetched(desk, emulator)
        emulator.state.revisions.clear()
        expected = embedded(emulator, tmp_path)
    with environment(desk_of.env):
        hot = open_hot(desk_of.env["C254_HOT_URL"])
        # Finished days are judged once a minute.
        until(lambda: hot.count("verdicts") == expected["hot verdicts"][0] and hot.count("market_ticks") == TICKS)
        hot.close()
        found = until(lambda: (now := on_servers(tmp_path))["ticks"] == TICKS and now)
    assert {name: value for name, value in found.items() if expected[name] != value} == {}
    assert all(expected[f"hot {name}"][0] for name in ("interval_prices", "energy_prices", "ohlc_bars", "market_ticks"))
    assert len({row["event_id"] for row in published(desk_of, TICKS)}) == TICKS
    assert httpx.get(f"{services['project'].url}/v1/prices/latest").json()
    assert [service.drain() for service in services.values()] == [0, 0, 0, 0], services["project"].said()
