"""The stated queries, unchanged, in Trino through the REST catalog and in the hot store: one answer.

And what only Trino can: prices of the lake joined with places of the reference store on Postgres, each by the version
of the place that was valid then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import servers
import trino
from given_rows import HOUR, benchmark, opened, price, prices, shaped
from servers.plugin import Up
from servers.process import Server
from test_hot_readers import forecast

from carbon254.model import catalogue, dataset
from carbon254.proof import rows_hash
from carbon254.stores.hot import HotStore
from carbon254.stores.lake import Lake, open_lake, rest_properties
from carbon254.stores.lake.trino import reader_views
from carbon254.stores.reference import open_reference

pytestmark = pytest.mark.servers("trino", "catalog", "minio")

# The database of the reference store as a catalog of Trino's; instants are microseconds since 1970 UTC there.
JOINED = """
SELECT h.region, h.name, count(*) AS hours, min(p.interval_start) AS first, sum(p.lmp) AS total
FROM desk.commodity_data.current_prices AS p
JOIN reference.public.hubs AS h ON h.market = p.market AND h.location_id = p.location_id
  AND to_unixtime(p.interval_start) * 1e6 >= h.valid_from
  AND (h.valid_to IS NULL OR to_unixtime(p.interval_start) * 1e6 < h.valid_to)
GROUP BY h.region, h.name"""
QUERIES = Path(__file__).parents[2].parent / "shared" / "queries"
NAMES = ("latest_prices", "oil_gas_correlation", "volatility_30d", "weather_impact")


def given() -> dict[str, list[dict[str, Any]]]:
    """Rows with what makes readers' views: corrections, gaps, second-rank benchmarks, a power hub, repeats."""
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=n) for n in range(1, 100)]
    fuels = [
        benchmark(commodity, name, day, round(50 + 20 * math.sin(n * (1 + rank) / 7) + rank, 4))
        for rank, (commodity, name) in enumerate(
            [("crude_oil", "RWTC"), ("crude_oil", "WTI"), ("natural_gas", "RNGWHHD"), ("brent_crude_oil", "RBRTE")]
        )
        for n, day in enumerate(days)
        if n % 9 or rank
    ]
    wrong = fuels[5]
    fuels.append({**wrong, "price": 99.5, "known_at": wrong["known_at"] + HOUR, "payload": "c" * 64})
    fuels.append({**fuels[6], "price": None, "known_at": fuels[6]["known_at"] + HOUR, "payload": "d" * 64})
    start = power_began()
    power = [
        price("WESTERN HUB", start + n * HOUR, 20.0 + n % 11, market="PJM", market_run="DAM", feed="iso.da.lmp.pjm")
        for n in range(24 * 8)
    ]
    weather = [forecast(day) for day in days[:5]]
    return {"energy_prices": fuels, "interval_prices": power, "weather_forecasts": [*weather, _again(weather[0])]}


def power_began() -> datetime:
    """When the power prices of `given` start."""
    day = datetime.now(UTC).date() - timedelta(days=10)
    return datetime(day.year, day.month, day.day, 5, tzinfo=UTC)


def moved() -> datetime:
    """When the hub changed its region: in the midst of the prices."""
    return power_began() + 70 * HOUR


def _again(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "known_at": row["known_at"] + HOUR, "payload": "e" * 64}


@pytest.fixture(scope="module")
def asked(whole: tuple[HotStore, Any, Lake]) -> tuple[HotStore, Any]:
    """The hot store and a Trino cursor over the same rows."""
    return whole[:2]


@pytest.fixture(scope="module")
def whole(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HotStore, Any, Lake]]:
    """And the lake, whose files have been merged: what Trino reads is what upkeep wrote."""
    store = up("minio", servers.minio)
    place = f"s3://{store.new_bucket()}"
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in store.facts.items():
            patch.setenv(name, value)
        tables = stack.enter_context(servers.rest_catalog(store, f"{place}/lake"))
        views = stack.enter_context(servers.rest_catalog(store, f"{place}/desk"))
        lake = open_lake(tables.url, rest_properties(f"{place}/lake", store.url))
        hot = stack.enter_context(opened(tmp_path_factory.mktemp("trino")))
        for name, rows in given().items():
            table = shaped(name, rows) if name != "interval_prices" else prices(*rows)
            for part in (table.slice(0, table.num_rows // 2), table.slice(table.num_rows // 2)):
                lake.append({name: part}, {})
            assert list(lake.compact(name, datetime.now(UTC) + timedelta(days=999)))
            hot.insert(name, table, name)
        for name in catalogue():
            lake.location(name)
        reference = places(up) if not servers.missing("postgres") else None
        engine = up("trino", lambda: servers.trino(store, {"lake": tables, "desk": views}, reference))
        yield hot, _ready(engine, f"{place}/desk"), lake
        lake.close()


def places(up: Up) -> dict[str, str]:
    """A reference store on Postgres with the hub in two versions, and how Trino reaches it."""
    url = up("postgres", servers.postgres).new_database()
    with open_reference(url, lambda: datetime.now(UTC)) as store:
        for at, region in ((power_began() - HOUR, "West"), (moved(), "Middle")):
            hub = [{"location_id": "WESTERN HUB", "name": "Western Hub", "region": region}]
            store.load("hubs", "PJM", hub, at, "list")
    return {
        "connector.name": "postgresql",
        "connection-url": f"jdbc:postgresql://{url.split('@')[1]}",
        "connection-user": "postgres",
    }


def _measured(entity: str, value: float) -> dict[str, Any]:
    """One row of alternative_data."""
    known = datetime(2025, 3, 1, tzinfo=UTC)
    return {
        "source": "desk", "series_id": "tanks", "entity": entity, "observation_date": date(2025, 2, 28),
        "value": value, "unit": "bbl", "note": None, "known_at": known, "known_basis": "received", "revision": 0,
        "received_at": known, "published_at": None, "flags": 0, "feed": "alt.files", "payload": "a" * 64,
        "batch_id": "1",
    }  # fmt: skip


def _ready(engine: Server, place: str) -> Any:
    asking = trino.dbapi.connect(host="127.0.0.1", port=engine.port, user="desk", catalog="desk", timezone="UTC")
    cursor = asking.cursor()
    for statement in reader_views("lake", "desk", place):
        cursor.execute(statement).fetchall()
    return cursor


def comparable(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.10g}")
    return value if not isinstance(value, datetime) else value.astimezone(UTC)


@pytest.mark.parametrize("name", NAMES)
def test_a_stated_query_runs_unchanged_in_both_with_one_answer(asked: tuple[HotStore, Any], name: str) -> None:
    file = QUERIES / f"{name}.sql"
    if not file.exists():
        pytest.skip("../shared/queries is absent")
    hot, cursor = asked
    text = file.read_text("utf-8")
    ours = [tuple(map(comparable, row.values())) for row in hot.query(text).to_pylist()]
    cursor.execute(text.strip().rstrip(";"))
    theirs = [tuple(map(comparable, row)) for row in cursor.fetchall()]
    assert ours and sorted(theirs, key=repr) == sorted(ours, key=repr)
    if name in ("latest_prices", "volatility_30d"):
        assert theirs == ours


@pytest.mark.parametrize("view", ["energy_prices", "current_prices", "interval_prices", "weather_forecasts"])
def test_a_view_holds_what_the_hot_stores_holds(asked: tuple[HotStore, Any], view: str) -> None:
    hot, cursor = asked
    columns = {"energy_prices": "commodity, price_date, price, location, unit, benchmark"}.get(
        view, "location, known_at, feed, payload"
    )
    ours = [tuple(map(comparable, row.values())) for row in hot.query(f"SELECT {columns} FROM {view}").to_pylist()]
    cursor.execute(f"SELECT {columns} FROM commodity_data.{view}")
    assert sorted((tuple(map(comparable, row)) for row in cursor.fetchall()), key=repr) == sorted(ours, key=repr)
    assert any(isinstance(value, date | str) for value in ours[0])


def test_a_past_state_of_a_table_is_read_by_its_snapshot(asked: tuple[HotStore, Any]) -> None:
    _, cursor = asked
    cursor.execute('SELECT snapshot_id FROM lake.commodity_data."energy_prices$snapshots" ORDER BY committed_at')
    (first,) = cursor.fetchone()
    cursor.execute(f"SELECT count(*) FROM lake.commodity_data.energy_prices FOR VERSION AS OF {first}")
    assert cursor.fetchone() == [len(given()["energy_prices"]) // 2]


def test_what_trino_wrote_and_deleted_is_merged_as_it_stands(whole: tuple[HotStore, Any, Lake]) -> None:
    """Trino deletes rows by files of positions; a merge leaves these rows out, and keeps those that Trino inserted."""
    _, cursor, lake = whole
    table, later = "lake.commodity_data.alternative_data", datetime.now(UTC) + timedelta(days=999)
    for n in range(3):
        rows = [_measured(f"E{n}{m}", float(m)) for m in range(4)]
        lake.append({"alternative_data": shaped("alternative_data", rows)}, {"alternative_data": n + 1})
    cursor.execute(f"DELETE FROM {table} WHERE entity IN ('E01', 'E12', 'E13')").fetchall()
    columns = ", ".join(dataset("alternative_data").names)
    again = columns.replace("entity", "'T' AS entity")
    cursor.execute(f"INSERT INTO {table} ({columns}) SELECT {again} FROM {table} WHERE entity = 'E00'").fetchall()
    before = rows_hash(lake.scan("alternative_data")).hash
    assert lake.scan("alternative_data").num_rows == 10 and list(lake.compact("alternative_data", later))
    assert rows_hash(lake.scan("alternative_data")).hash == before and lake.offset("alternative_data") == 3
    cursor.execute(f"SELECT entity FROM {table} ORDER BY 1")
    places = [f"E{n}{m}" for n in range(3) for m in range(4)]
    assert [row[0] for row in cursor.fetchall()] == [one for one in places if one not in ("E01", "E12", "E13")] + ["T"]
    cursor.execute('SELECT count(*) FROM lake.commodity_data."alternative_data$files" WHERE content = 0')
    assert cursor.fetchall() == [[1]]
    cursor.execute('SELECT operation FROM lake.commodity_data."alternative_data$snapshots" ORDER BY committed_at DESC')
    assert cursor.fetchall()[0] == ["replace"]
    lake.expire("alternative_data", later)
    assert lake.orphans("alternative_data", later) == []
    cursor.execute(f"SELECT count(*) FROM {table}")
    assert cursor.fetchall() == [[10]]


@pytest.mark.servers("postgres")
def test_prices_of_the_lake_join_places_on_postgres_by_the_version_valid_then(asked: tuple[HotStore, Any]) -> None:
    _, cursor = asked
    cursor.execute(JOINED)
    found = {region: (name, hours, first, total) for region, name, hours, first, total in cursor.fetchall()}
    power = given()["interval_prices"]
    for region, rows in (("West", power[:70]), ("Middle", power[70:])):
        name, hours, first, total = found.pop(region)
        assert (name, hours, first.astimezone(UTC)) == ("Western Hub", len(rows), rows[0]["interval_start"])
        assert total == pytest.approx(sum(row["lmp"] for row in rows))
    assert not found
