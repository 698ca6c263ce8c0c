"""A workspace whose bars an older version kept in a table, and whose days nobody told: opened, its bars are right."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from flow.bars_twin import computed, differing, twin
from flow.conftest import NOW, spp
from flow.test_bars import Cut, cutting, opened
from flow.test_tick_bars import payload, tick

from carbon254.app import Node, streams
from carbon254.faults import armed
from carbon254.ingest import Arrived
from carbon254.model.bars import bar_runs
from carbon254.model.dataset import of_intervals
from carbon254.stores.hot import open_hot

pytestmark = pytest.mark.slow

FORMAT_1 = Path(__file__).parents[3] / "shared" / "workspaces"
_NEW = ("day_changes", "sealed_bars", "bar_runs", "bar_widths")


def given(folder: Path) -> None:
    """A workspace as the older version left it: bars in a table of their own, and those wrong."""
    with opened(folder) as node:
        two = [tick(9.0, source=source, sequence=number) for number in (1, 2) for source in ("ice", "cme")]
        bring(node, "market.ticks", payload(two), "t.ndjson")
        bring(node, "iso.rt.lmp.spp", spp({"WR_HUB": 25.0}), "RTBM-LMP-SL-202507011205.csv")
        bring(node, "iso.rt.lmp.spp", spp({"WR_HUB": 26.0}), "RTBM-LMP-SL-202507011205.csv")
        node.hot.command("CREATE TABLE store.ohlc_bars ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM ohlc_bars")
        node.hot.command("CREATE TABLE store.ohlc_bars__before AS store.ohlc_bars")
        for name in _NEW:
            node.hot.command(f"DROP TABLE store.{name} SYNC")


def bring(node: Node, topic: str, data: bytes, name: str) -> None:
    node.pipeline.inbox.accept(Arrived(topic, data, name, NOW, ""))
    node.runner.drain()


def right(node: Node) -> bool:
    return bool(computed(node.hot)) and not differing(computed(node.hot), twin(node.hot, list(streams().values())))


@pytest.mark.slow
def test_bars_of_an_older_workspace_are_computed_from_its_rows(tmp_path: Path) -> None:
    given(tmp_path / "ws")
    with opened(tmp_path / "ws") as node:
        assert right(node)
        left = node.hot.fetch("SELECT name FROM system.tables WHERE database = 'store' AND name LIKE 'ohlc_bars%'")
        assert left.num_rows == 0
        bring(node, "market.ticks", payload([tick(7.0, source="cme", sequence=3)]), "next.ndjson")
        assert right(node)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["hot.days_begun", "hot.days_told"])
def test_an_older_workspace_is_right_after_a_crash_at_any_step(tmp_path: Path, place: str) -> None:
    given(tmp_path / "ws")
    with pytest.raises(Cut), armed(cutting(place, 1)):
        opened(tmp_path / "ws")
    with opened(tmp_path / "ws") as node:
        assert right(node)


@pytest.mark.slow
def test_a_card_with_another_clock_or_interval_begins_its_days_anew(tmp_path: Path) -> None:
    with opened(tmp_path / "ws") as node:
        bring(node, "iso.rt.lmp.spp", spp({"WR_HUB": 25.0}), "RTBM-LMP-SL-202507011205.csv")
        node.hot.sealing.seal(node.hot.sealing.unsealed()[0])
        runs = bar_runs(streams().values(), of_intervals())
        node.hot.ensure(runs[:-1])
        assert [unit.revised for unit in node.hot.sealing.unsealed()] == [True]
        node.hot.ensure(runs)
        assert right(node)


@pytest.mark.slow
@pytest.mark.skipif(not FORMAT_1.exists(), reason="../shared/workspaces is not there")
def test_the_workspace_of_format_1_answers_as_it_did(tmp_path: Path) -> None:
    packed = FORMAT_1 / "format-1.workspace.tar.zst"
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    subprocess.run(["tar", "--zstd", "-xf", str(packed), "-C", str(tmp_path)], check=True)
    (folder,) = [found.parent for found in tmp_path.rglob("hot") if found.is_dir() and (found / "store").exists()]
    asked = [one for one in json.loads((FORMAT_1 / "format-1.answers.json").read_text()) if "ohlc_bars" in one["sql"]]
    hot = open_hot(f"chdb://{folder / 'hot'}")
    try:
        hot.ensure(bar_runs(streams().values(), of_intervals()))
        for one in asked:
            then = list(csv.reader(io.StringIO(one["csv"])))[1:]
            now = [list(row.values()) for row in hot.query(one["sql"]).to_pylist()]
            assert [row[:3] for row in now] == [[*row[:2], int(row[2])] for row in then]
            for row, was in zip(now, then, strict=True):
                # A sum of doubles that ends in a half of its last digit may be rounded either way.
                assert row[3:] == pytest.approx(list(map(float, was[3:])), abs=1.01e-4), row[:2]
    finally:
        hot.close()
