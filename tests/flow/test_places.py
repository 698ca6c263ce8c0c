"""Places through the whole flow: seeded at start, loaded beside a node, joined by time, found by any name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from cli.shell import clean, typed
from flow.conftest import NOW, spp

from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.engine.placing import LISTS
from carbon254.engine.seeding import seed_reference
from carbon254.model import Flag
from carbon254.pipeline import sources
from carbon254.settings import Settings
from carbon254.stores.reference import open_reference

RT = "iso.rt.lmp.spp"
HUB = "SPPNORTH_HUB"
Bring = Callable[..., bool]


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2025, 7, 1, hour, minute, tzinfo=UTC)


def regions(node: Node) -> list[tuple]:
    flags = f"bitAnd(flags, {Flag.PLACE_NOT_VALID.value}) AS f"
    sql = f"SELECT interval_start, location_id, location_type, region, {flags} FROM interval_prices ORDER BY 1, 2"
    return [tuple(row.values()) for row in node.hot.query(sql).to_pylist()]


def beside(node: Node):
    """The node's reference store, opened a second time as a command does."""
    return open_reference(f"sqlite:///{node.workspace.path('reference.db')}")


@pytest.mark.slow
def test_a_start_brings_the_feeds_places_in_and_another_changes_nothing(node: Node) -> None:
    hubs = node.reference.places("hubs", "SPP")
    assert hubs["location_id"].to_list() == ["CSWS_HUB", "SPPNORTH_HUB", "SPPSOUTH_HUB"]
    assert hubs["valid_from"].null_count() == 3
    assert node.reference.places("all", "NWS").height == 4
    assert node.reference.instrument(f"{RT}/{HUB}")["unit"] == "USD/MWh"
    assert "power/SPP/real_time" in node.reference.taxonomy("power/SPP")["path"].to_list()
    assert node.reference.metadata("feed", RT).filter(pl.col("key") == "licence").height == 1
    before = node.reference.version(), node.reference.places().rows()
    seed_reference(node.reference, node.log, sources().values(), NOW + timedelta(days=9))
    assert (node.reference.version(), node.reference.places().rows()) == before
    assert node.log.letters(LISTS) == []


@pytest.mark.slow
def test_every_listed_place_of_every_feed_is_one_row(node: Node) -> None:
    for source in sources().values():
        listed = {line.split(",")[0] for line in source.places.splitlines()[1:] if not line.startswith('"')}
        assert listed <= set(node.reference.places(market=source.stream.market)["location_id"])


@pytest.mark.slow
def test_a_changed_list_of_a_feed_closes_and_opens_rows(node: Node) -> None:
    source = sources()[RT]
    text = "location_id,location,location_type,region\nSPPNORTH_HUB,North,hub,SPP\nNEW_HUB,New,hub,SPP\n"
    later = NOW + timedelta(days=1)
    seed_reference(node.reference, node.log, [replace(source, places=text + ",no id,hub,SPP\n")], later)
    assert node.reference.history("SPP", HUB).select("name", "valid_to").rows() == [(HUB, later), ("North", None)]
    assert node.reference.history("SPP", "NEW_HUB")["valid_from"].to_list() == [None]
    assert node.reference.resolve("SPP", "CSWS_HUB").valid_to == later
    (letter,) = node.log.letters(LISTS, "open")
    assert (letter.line, letter.reason) == (4, "it has no location_id")
    seed_reference(node.reference, node.log, [replace(source, places=text)], later)
    assert node.log.letters(LISTS, "open") == []


@pytest.mark.slow
def test_a_list_loaded_beside_a_node_counts_from_its_next_payload_by_interval_time(node: Node, bring: Bring) -> None:
    end = "07/01/2025 {:02d}:05:00"
    bring(RT, spp({HUB: 1.0}, end.format(9)), "a.csv")
    with beside(node) as reference:
        reference.load("hubs", "SPP", [{"location_id": HUB, "type": "hub", "region": "North"}], at(10), "moved")
    bring(RT, spp({HUB: 2.0}, end.format(9)), "late.csv")  # an older interval, received after the load
    bring(RT, spp({HUB: 3.0}, end.format(10)), "b.csv")
    assert [(row[0].hour, row[3]) for row in regions(node)] == [(9, "SPP"), (9, "SPP"), (10, "North")]


@pytest.mark.slow
def test_a_replay_gives_the_same_rows_and_takes_what_was_learned_later(node: Node, bring: Bring) -> None:
    bring(RT, spp({"LOC_1": 1.0, HUB: 2.0}), "a.csv")
    before = node.hot.hash("interval_prices")
    node.pipeline.replay(RT, NOW - timedelta(days=1), NOW + timedelta(days=1), NOW)
    assert node.hot.hash("interval_prices") == before
    assert regions(node)[0][1:] == ("LOC_1", "unknown", "SPP", 0)
    with beside(node) as reference:
        reference.load("nodes", "SPP", [{"location_id": "LOC_1", "type": "Gen", "region": "WR"}], None, "learned later")
    for _ in range(2):
        node.pipeline.replay(RT, NOW - timedelta(days=1), NOW + timedelta(days=1), NOW + timedelta(days=400))
        assert regions(node)[0][1:] == ("LOC_1", "gen", "WR", 0)


@pytest.mark.slow
def test_a_price_of_a_retired_place_stays_and_says_so(node: Node, bring: Bring) -> None:
    node.reference.load("nodes", "SPP", [{"location_id": "OLD", "type": "gen", "region": "W"}], at(0), "list")
    node.reference.load("nodes", "SPP", [{"location_id": "N", "type": "gen"}], at(12), "list", complete=True)
    bring(RT, spp({"OLD": 1.0}, "07/01/2025 12:05:00"), "a.csv")
    bring(RT, spp({"OLD": 1.0}, "07/01/2025 12:00:00"), "b.csv")
    assert [row[2:] for row in regions(node)] == [("gen", "W", 0), ("unknown", "SPP", Flag.PLACE_NOT_VALID)]


@pytest.mark.slow
def test_a_day_of_13018_nodes_loses_none_to_a_directory_that_lists_some(node: Node, bring: Bring) -> None:
    nodes, hours = 13_018, 24
    ids = [f"N_{number:05d}" for number in range(nodes)]
    some = [{"location_id": one, "type": "gen", "region": "W"} for one in ids[::3]]
    node.reference.load("nodes", "SPP", some, None, "directory")
    node.reference.load("nodes", "SPP", some[::2], at(12), "directory", complete=True)
    number = pl.int_range(nodes * hours, eager=True)
    end = (number // nodes * 3_600_000_000 + int(at(1).timestamp()) * 1_000_000).cast(pl.Datetime("us"))
    place = pl.Series(ids).gather(number % nodes)
    day = pl.DataFrame({"Interval": end, "GMTIntervalEnd": end, "Settlement Location": place, "Pnode": place})
    energy = (20 + number // nodes).cast(pl.String)
    day = day.with_columns(energy.alias("LMP"), pl.lit("0").alias("MLC"), pl.lit("0").alias("MCC"), energy.alias("MEC"))
    day = day.with_columns(pl.col("Interval", "GMTIntervalEnd").dt.strftime("%m/%d/%Y %H:%M:%S"))
    bring(RT, day.write_csv().encode(), "day.csv", NOW + timedelta(days=1))
    assert node.log.letters() == []
    stored = node.hot.query("SELECT location_id, count() AS n FROM interval_prices GROUP BY 1 ORDER BY 1")
    assert stored["location_id"].to_pylist() == ids
    assert set(stored["n"].to_pylist()) == {hours}
    kinds = node.hot.query("SELECT location_type AS t, count() AS n FROM interval_prices GROUP BY 1").to_pylist()
    listed, kept = len(some), len(some[::2])
    gen = listed * hours - (listed - kept) * 12
    assert {row["t"]: row["n"] for row in kinds} == {"gen": gen, "unknown": nodes * hours - gen}


def test_the_reference_store_is_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "reference.db"
    assert Settings().reference_at(path) == f"sqlite:///{path}"
    monkeypatch.setenv("DATA_PROC_POSTGRES_DSN", "postgresql://shared/x")
    assert Settings().reference_at(path) == "postgresql://shared/x"
    monkeypatch.setenv("C254_REFERENCE_URL", "postgresql://own/x")
    assert Settings().reference_at(path) == "postgresql://own/x"
    assert Settings().ledger_url == "postgresql://shared/x"


# the commands


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A workspace whose node has run and stopped."""
    with open_node(Settings(workspace=tmp_path / "ws"), {}, ManualClock(NOW)):
        pass
    return tmp_path / "ws"


def told(*words: str | Path) -> list[dict]:
    said = typed("places", *words, "--json")
    assert said.code == 0, said
    return [json.loads(line) for line in said.out.splitlines()]


@pytest.mark.slow
def test_a_retired_place_is_found_by_any_of_its_names(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "nodes.csv"
    for day, text in (("2025-01-01", "N1,Old Town,138"), ("2025-03-01", "N1,New Town,138"), ("2025-06-01", "N2,x,1")):
        path.write_text(f"location_id,name,voltage\n{text}\n", "utf-8")
        assert typed("places", "load", path, "-m", "PJM", "--effective", day, "--complete", "-w", made).code == 0
    for name in ("N1", "old town", "New Town"):
        (found,) = told("resolve", name, "-m", "pjm", "-w", made)
        assert (found["location_id"], found["retired"], found["valid_to"]) == ("N1", True, "2025-06-01T04:00:00Z")
    assert typed("places", "rename", "N1", "N9", "-m", "PJM", "--at", "2025-06-01", "-w", made).code == 0
    (found,) = told("resolve", "Old Town", "-m", "PJM", "-w", made)
    assert (found["location_id"], found["via"]) == ("N9", ["rename N1 → N9 at 2025-06-01T04:00:00Z"])
    assert [row["name"] for row in told("history", "N1", "-m", "PJM", "-w", made)] == ["Old Town", "New Town"]
    rows = told("list", "-m", "PJM", "--kind", "nodes", "--as-of", "2025-02-01", "-w", made)
    assert [(row["location_id"], row["name"]) for row in rows if row["source"] == "nodes.csv"] == [("N1", "Old Town")]


@pytest.mark.slow
def test_rejected_rows_are_told_and_kept_until_the_mended_list_comes(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "nodes.csv"
    path.write_text("location_id,name\nA,Alpha\n,nobody\nB\nA,again\n", "utf-8")
    said = typed("places", "load", path, "-m", "SPP", "--complete", "-w", made)
    clean(
        said,
        3,
        "line 3: it has no location_id",
        "line 4: 1 cells",
        "line 5: A is listed otherwise",
        "nothing is retired",
    )
    assert typed("dlq", "list", "--feed", "reference", "-w", made).out.count("│ reference") == 3
    said = typed("dlq", "reprocess", "--all", "-w", made)
    clean(said, 0, "0 letters resolved, 3 still open")
    path.write_text("location_id,name\nA,Alpha\nB,Beta\n", "utf-8")
    (counts,) = told("load", path, "-m", "SPP", "-w", made)
    assert (counts["opened"], counts["unchanged"], counts["rejected"]) == (1, 1, 0)
    assert "reference" not in typed("dlq", "list", "-w", made).out


@pytest.mark.slow
def test_wrong_input_says_what_to_write(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("id,name\nA,Alpha\n", "utf-8")
    where = ("-w", made)
    clean(typed("places", "resolve", "WESTRN HUB", "-m", "PJM", *where), 2, "PJM:", "nearest: WESTERN HUB")
    clean(typed("places", "load", path, "-m", "PJM", *where), 1, "needs a column location_id; it has: id, name")
    clean(typed("places", "list", "--kind", "node", *where), 2, "there are: nodes, hubs, zones, constraints")
    clean(
        typed("places", "merge", "51287", "-m", "PJM", "--into", "no", "--at", "2025-07-01", *where), 1, "load it first"
    )
    clean(typed("places", "list", "--as-of", "soon", *where), 2, "'soon' is not a time")
    clean(typed("places", "list", "-w", tmp_path / "none"), 2, "there is no workspace")
    url = "postgresql://127.0.0.1:1/x"
    clean(
        typed("places", "list", *where, C254_REFERENCE_URL=url), 2, "C254_REFERENCE_URL: the database at", "start it or"
    )
