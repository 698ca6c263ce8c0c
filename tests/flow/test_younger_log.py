"""A log that is younger than the stores: what it lacks is taken in again by arrival, and no store gets a row twice."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from flow.conftest import NOW, spp
from flow.replaying import FEED, SPAN

from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.ingest import Arrived
from carbon254.settings import Settings

TABLE = "interval_prices"
# How the log came to be younger: deleted, a copy of the first day, a copy of an empty one.
WAYS = ["deleted", "older", "empty"]


def opened(folder: Path) -> Node:
    return open_node(Settings(workspace=folder), {}, ManualClock(NOW + timedelta(hours=2)))


def bring(node: Node, price: float, minute: int, subject: str = "s") -> None:
    data = spp({"A": price, "B": price + 1})
    node.pipeline.inbox.accept(Arrived(FEED, data, "day.csv", NOW + timedelta(minutes=minute), subject))
    node.runner.drain()


def filled(folder: Path, kept: Path, way: str) -> dict[str, object]:
    """A workspace that took 20, 21, 20 again (news), 22 twice (a repeat) and a file with a bad row; its log is made
    younger then. Returns what every store said before."""
    with opened(folder) as node:
        if way == "empty":
            keep(folder, kept)
        bring(node, 20.0, 0)
    if way == "older":
        keep(folder, kept)
    with opened(folder) as node:
        for minute, price in enumerate((21.0, 20.0, 22.0, 22.0), 1):
            bring(node, price, minute)
        node.pipeline.inbox.accept(Arrived(FEED, spp({"A": 20.0, "C": "?"}), "bad.csv", NOW, "bad"))
        node.runner.drain()
        before = said(node)
    remove(folder)
    for path in kept.iterdir() if way != "deleted" else ():
        shutil.copy(path, folder)
    return before


def keep(folder: Path, kept: Path) -> None:
    kept.mkdir()
    for path in folder.glob("log.db*"):
        shutil.copy(path, kept)


def remove(folder: Path) -> None:
    for path in folder.glob("log.db*"):
        path.unlink()


def said(node: Node) -> dict[str, object]:
    """What every store says, counted past the product's own views where there are files to count in."""
    lake = pl.DataFrame(node.lake.scan(TABLE)).drop("batch_id")
    columns = ["location_id", "known_at", "lmp", "payload", "received_at"]
    latest = [(one.location_id, one.lmp) for one in node.cache.latest()] if hasattr(node.cache, "latest") else []
    entry = node.ledger.entries(FEED)[0]
    return {
        "hot": node.hot.hash(TABLE),
        "versions": node.hot.fetch(f"SELECT count() AS n FROM store.{TABLE} FINAL")["n"].to_pylist(),
        "lake": lake.select(columns).sort(columns).rows(),
        "bars": node.hot.query("SELECT location_id, width, open, close FROM ohlc_bars ORDER BY ALL").to_pylist(),
        "ledger": (entry.payloads, entry.rows, entry.checksum, entry.watermark),
        "letters": [(one.payload, one.line, one.reason, one.status) for one in node.log.letters()],
        "latest": latest,
    }


@pytest.mark.sampled(1)
@pytest.mark.parametrize("way", WAYS)
def test_what_a_younger_log_lacks_reaches_every_store_once(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    before = filled(folder, tmp_path / "kept", way)
    with opened(folder) as node:
        assert "younger than the stores" in node.condition.notes["log"]
        node.runner.drain()
        assert said(node) == before
        assert node.trouble() == {}
    # It is seen once, and healed: the next opening finds nothing.
    with opened(folder) as node:
        assert node.condition.notes == {}
        node.runner.drain()
        assert said(node) == before


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_what_comes_after_a_younger_log_reaches_every_store(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    filled(folder, tmp_path / "kept", way)
    with opened(folder) as node:
        bring(node, 40.0, 9)
        hot = node.hot.query("SELECT lmp FROM current_prices WHERE location = 'A'").to_pylist()
        bars = node.hot.query("SELECT close FROM ohlc_bars WHERE location = 'A' AND width = '1h'").to_pylist()
        lake = sorted(row["lmp"] for row in node.lake.scan(TABLE, "location = 'A'", ["lmp"]).to_pylist())
    assert ([row["lmp"] for row in hot], [row["close"] for row in bars]) == ([40.0], [40.0])
    assert lake[-1] == 40.0
    assert lake.count(40.0) == 1


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_replay_after_a_younger_log_was_healed_changes_nothing(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    before = filled(folder, tmp_path / "kept", way)
    with opened(folder) as node:
        node.runner.drain()
        assert node.pipeline.replay(FEED, *SPAN, NOW).rows
        assert node.hot.hash(TABLE) == before["hot"]


@pytest.mark.slow
def test_healing_that_is_cut_off_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from carbon254.engine import condition

    folder = tmp_path / "ws"
    before = filled(folder, tmp_path / "kept", "older")
    with monkeypatch.context() as patch:
        patch.setattr(condition, "keep_marks", lambda *_: (_ for _ in ()).throw(RuntimeError("died here")))
        with pytest.raises(RuntimeError, match="died here"):
            opened(folder)
    with opened(folder) as node:
        assert node.condition.lost == {}
        node.runner.drain()
        assert said(node) == before


@pytest.mark.slow
def test_an_opening_where_nothing_is_wrong_lists_no_arrivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from carbon254.engine import younger

    with opened(tmp_path / "ws") as node:
        bring(node, 20.0, 0)
    monkeypatch.setattr(younger, "arrivals_in", lambda *_: (_ for _ in ()).throw(AssertionError("it listed them")))
    with opened(tmp_path / "ws") as node:
        assert (node.condition.notes, node.condition.lost) == ({}, {})
