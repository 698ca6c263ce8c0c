"""A workspace whose bars an older version made, which mixed tenants and sources: opened, it has the right ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow.conftest import NOW, spp
from flow.test_tick_bars import payload, stored, tick

from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.faults import armed
from carbon254.ingest import Arrived
from carbon254.settings import Settings

pytestmark = pytest.mark.slow

# As the older version laid the table out: no tenant, no source.
_OLDER = """CREATE TABLE store.ohlc_bars (
  market LowCardinality(String), product LowCardinality(String), market_run LowCardinality(String),
  location LowCardinality(String), location_id LowCardinality(String), width LowCardinality(String),
  bar_start DateTime64(6, 'UTC') CODEC(Delta(8), LZ4), bar_end DateTime64(6, 'UTC') CODEC(Delta(8), LZ4),
  open Nullable(Float64), high Nullable(Float64), low Nullable(Float64), close Nullable(Float64),
  mean Nullable(Float64), weight Float64, volume Nullable(Float64), count UInt32, expected UInt32, flags UInt32,
  build UInt64, batch_id LowCardinality(String)
) ENGINE = ReplacingMergeTree(build) PARTITION BY toYYYYMM(bar_start)
ORDER BY (market, product, market_run, location_id, width, bar_start)
SETTINGS non_replicated_deduplication_window = 10000"""
_SHARED = (
    "market, product, market_run, location, location_id, width, bar_start, bar_end, open, high, low, close, mean, "
    "weight, volume, count, expected, flags, build, batch_id"
)
_TICK_COLUMNS = ("position", "location_id", "unit")


class Cut(BaseException):
    """The power goes."""


def given(folder: Path) -> dict[str, Any]:
    """A workspace as the older version left it, and the bars that it should have."""
    with opened(folder) as node:
        two = [tick(9.0, source=source, sequence=number) for number in (1, 2) for source in ("ice", "cme")]
        bring(node, "market.ticks", payload(two), "t.ndjson")
        bring(node, "iso.rt.lmp.spp", spp({"WR_HUB": 25.0}), "RTBM-LMP-SL-202507011205.csv")
        right = bars(node)
        node.hot.command("RENAME TABLE store.ohlc_bars TO store.kept")
        node.hot.command(_OLDER)
        node.hot.command(f"INSERT INTO store.ohlc_bars ({_SHARED}) SELECT {_SHARED} FROM store.kept")
        node.hot.command("DROP TABLE store.kept SYNC")
        for name in _TICK_COLUMNS:
            node.hot.command(f"ALTER TABLE store.market_ticks DROP COLUMN {name}")
        mixed = node.hot.fetch("SELECT 1 AS n FROM store.ohlc_bars FINAL WHERE market_run = 'tick'").num_rows
    assert mixed == len(right["ticks"]) / 2
    return right


def opened(folder: Path) -> Node:
    return open_node(Settings(workspace=folder), {}, ManualClock(NOW))


def bring(node: Node, topic: str, data: bytes, name: str) -> None:
    node.pipeline.inbox.accept(Arrived(topic, data, name, NOW, ""))
    node.runner.drain()


def bars(node: Node) -> dict[str, Any]:
    columns = "tenant, source, market, location, width, bar_start, bar_end, open, close, count, expected"
    kinds = {"priced": "market_run != 'tick'", "ticks": "market_run = 'tick'"}
    sql = {name: f"SELECT {columns} FROM ohlc_bars WHERE {where} ORDER BY ALL" for name, where in kinds.items()}
    return {name: [tuple(row.values()) for row in node.hot.fetch(text).to_pylist()] for name, text in sql.items()}


def test_bars_of_an_older_workspace_are_laid_out_anew_and_those_of_ticks_made_again(tmp_path: Path) -> None:
    right = given(tmp_path / "ws")
    with opened(tmp_path / "ws") as node:
        assert bars(node)["priced"] == right["priced"]  # at once: they were right as they were
        node.runner.drain()
        assert bars(node) == right
        assert not node.hot.superseded("ohlc_bars")
        bring(node, "market.ticks", payload([tick(7.0, source="cme", sequence=3)]), "next.ndjson")
        assert [(row[1], row[8]) for row in stored(node, "1d") if row[2] == "NG"] == [("cme", 7.0), ("ice", 9.0)]


@pytest.mark.parametrize("place", ["hot.rekeying", "bars.made_again"])
def test_an_older_workspace_is_right_after_a_crash_at_any_step(tmp_path: Path, place: str) -> None:
    right = given(tmp_path / "ws")
    for survived in range(5):
        try:
            with armed(cut_after(place, survived)), opened(tmp_path / "ws") as node:
                node.runner.drain()
        except Cut:
            continue
    with opened(tmp_path / "ws") as node:
        node.runner.drain()
        assert bars(node) == right and not node.hot.superseded("ohlc_bars")


def cut_after(place: str, times: int) -> Callable[[str], None]:
    left = times

    def cut(name: str) -> None:
        nonlocal left
        if name == place:
            if not left:
                raise Cut
            left -= 1

    return cut
