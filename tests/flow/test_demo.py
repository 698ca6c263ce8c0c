"""The demo as a stranger runs it: ends by itself, fills every stage, and the stated queries answer on its data."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from carbon254.app import Node, open_node
from carbon254.pipeline import sources
from carbon254.settings import Settings

pytestmark = pytest.mark.slow

QUERIES = Path(__file__).parents[2].parent / "shared" / "queries"
MARKETS = {"caiso", "miso", "spp", "nyiso", "pjm", "ercot", "isone"}


def demo(workspace: Path) -> dict:
    command = [sys.executable, "-m", "carbon254.cli", "demo", "--once", "--json", "--workspace", str(workspace)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "ws"


@pytest.fixture(scope="module")
def table(workspace: Path) -> dict:
    return demo(workspace)


@pytest.fixture
def node(workspace: Path, table: dict) -> Iterator[Node]:
    with open_node(Settings(workspace=workspace), {}) as opened:
        yield opened


def test_every_market_flows_through_every_stage(table: dict) -> None:
    whole = [line for line in table["feeds"] if line["stored"] and line["bars"] and not line["lag"]]
    assert {line["feed"].rsplit(".", 1)[-1] for line in whole} >= MARKETS
    assert table["totals"]["rejected"] == 0 and table["errors"] == []
    assert all(line["parsed"] == line["stored"] for line in table["feeds"])


def test_every_feed_tells_what_its_newest_day_was_made_of(node: Node) -> None:
    for topic, source in sources().items():
        entry = next(one for one in node.ledger.entries(topic, limit=9) if one.payloads)
        told = node.pipeline.repair.lineage(source, date.fromisoformat(entry.partition))
        (rows, *_) = [one for one in told.nodes if one.table == source.dataset.name]
        assert rows.rows == sum(one.rows for one in told.payloads) > 0, topic
        assert 0 < sum(one.standing for one in told.payloads) <= rows.rows, topic


def test_all_that_the_demo_stored_is_proved_by_its_payloads(node: Node) -> None:
    for topic in sources():
        span = datetime(2020, 1, 1, tzinfo=UTC), node.clock.now() + timedelta(days=9)
        before = node.pipeline.prove(topic, *span)
        node.pipeline.replay(topic, *span, node.clock.now())
        assert node.pipeline.prove(topic, *span).root == before.root, topic


def stated(name: str) -> str:
    if not QUERIES.exists():
        pytest.skip("../shared/queries is absent")
    return (QUERIES / name).read_text("utf-8")


def test_latest_prices_has_every_benchmark_on_one_date(node: Node) -> None:
    rows = node.hot.query(stated("latest_prices.sql")).to_pylist()
    assert [row["commodity"] for row in rows] == ["brent_crude_oil", "crude_oil", "electricity", "natural_gas"]
    assert len({row["price_date"] for row in rows}) == 1
    assert all(row["price"] > 0 for row in rows)


def test_volatility_is_a_number_for_every_commodity(node: Node) -> None:
    rows = node.hot.query(stated("volatility_30d.sql")).to_pylist()
    assert len(rows) == 4
    assert all(0 < row["volatility"] < 5 and row["min_price"] <= row["avg_price"] <= row["max_price"] for row in rows)


def test_oil_and_gas_correlate_within_bounds(node: Node) -> None:
    ((row),) = node.hot.query(stated("oil_gas_correlation.sql")).to_pylist()
    assert -1 <= row["oil_gas_correlation"] <= 1


def test_weather_joins_prices(node: Node) -> None:
    rows = node.hot.query(stated("weather_impact.sql")).to_pylist()
    assert len(rows) > 100
    assert all(-60 < row["temperature"] < 60 for row in rows if row["temperature"] is not None)


def test_the_lake_holds_what_the_hot_store_holds(node: Node) -> None:
    for dataset in ("interval_prices", "energy_prices", "weather_forecasts", "market_ticks"):
        assert node.lake.count(dataset) >= node.hot.count(dataset) > 0
