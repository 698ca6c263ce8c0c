"""A store that was deleted or replaced by an older copy while the node was down: seen, told, made again as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from flow.conftest import spp
from typer.testing import CliRunner

from carbon254.app import Node, open_node
from carbon254.cli.main import app
from carbon254.clock import ManualClock
from carbon254.engine.quarantine import Release
from carbon254.engine.wanting import FewerPayloads, MissingRaw
from carbon254.ingest import Arrived
from carbon254.settings import Settings

FEED, TABLE = "iso.rt.lmp.spp", "interval_prices"
START = datetime(2025, 7, 1, 12, 10, tzinfo=UTC)
# Long after: the market days are finished, and judged.
LATER = START + timedelta(days=30)
STORES = {
    "hot": ("hot store", ["hot"]),
    "lake": ("lake", ["lake"]),
    "ledger": ("ledger", ["ledger.db"]),
    "quality": ("quality", ["quality.db"]),
}


def opened(folder: Path) -> Node:
    return open_node(Settings(workspace=folder), {}, ManualClock(LATER))


def third_day(node: Node) -> None:
    """What comes while a store is lost."""
    bring(node, 7, {"A": 31.0, "B": 21.0, "C": 22.0})
    node.pipeline.days.settle()


def bring(node: Node, number: int, prices: dict[str, float | str], subject: str = "") -> None:
    at = START + timedelta(minutes=5 * number)
    data = spp(prices, f"{START + timedelta(minutes=5 * number - 5):%m/%d/%Y %H:%M:%S}")
    node.pipeline.inbox.accept(Arrived(FEED, data, f"{number}.csv", at, subject or str(number)))
    node.runner.drain()


def first_day(node: Node) -> None:
    for number in range(3):
        bring(node, number, {"A": 20.0 + number, "B": 21.0, "C": 22.0})


def second_day(node: Node) -> None:
    """A correction, a repeat, an impossible price that is held and let out, a row that cannot be read."""
    bring(node, 3, {"A": 30.0, "B": 21.0, "C": 22.0})
    bring(node, 4, {"A": 30.5, "B": 21.0, "C": 22.0}, "3")
    bring(node, 5, {"A": 31.0, "B": 99_999_999.0, "C": 22.0})
    bring(node, 6, {"A": 31.0, "B": "?", "C": 22.0})
    ids = node.hot.fetch("SELECT row_id FROM commodity_data.quarantine WHERE status = 'held'")["row_id"].to_pylist()
    assert ids
    node.pipeline.release(FEED, None, ids, Release(LATER, "somebody", "the operator said so"))
    (letter,) = node.log.letters(status="open")
    fixed = spp({"A": 31.0, "B": 21.5, "C": 22.0}, f"{START + timedelta(minutes=25):%m/%d/%Y %H:%M:%S}")
    assert node.pipeline.correct([letter], fixed, "fixed.csv", LATER) == (1, 0)
    node.runner.drain()
    node.pipeline.days.settle()


def said(node: Node) -> dict[str, object]:
    """What every store answers."""
    entries = [(e.partition, e.state, e.payloads, e.rows, e.checksum, e.watermark, e.first_received)
               for e in node.ledger.entries(FEED)]  # fmt: skip
    counts = sorted((c.sha256, c.records, c.stored, c.confirmed, c.duplicate, c.rejected, c.held)
                    for c in node.ledger.counts(FEED))  # fmt: skip
    kept = node.verdicts.between(FEED, "2000-01-01", "2100-01-01")
    names = [name for name in node.lake.scan(TABLE).column_names if name != "batch_id"]
    quarantine = "SELECT row_id, status, payload, why, market_day FROM quarantine ORDER BY row_id"
    letters = [(one.payload, one.line, one.reason, one.status, one.resolved_by) for one in node.log.letters()]
    return {
        "hot": node.hot.hash(TABLE),
        "bars": node.hot.hash("ohlc_bars"),
        "quarantine": node.hot.query(quarantine).to_pylist(),
        "verdicts": node.hot.query("SELECT market_day, status, score, why FROM verdicts").to_pylist(),
        "lake": pl.DataFrame(node.lake.scan(TABLE)).select(names).sort(names).rows(),
        "lake's quarantine": sorted(
            pl.DataFrame(node.lake.scan("quarantine", columns=["row_id", "status"])).unique().rows()
        ),
        "ledger": (entries, counts, node.ledger.totals()[FEED][:2]),
        "audit": [(a.what, a.partition, a.who, a.why) for a in node.ledger.trail(FEED) if a.what == "release"],
        "quality": [(k.partition, k.build, k.source, k.score, k.verdict, dict(k.metrics)) for k in kept],
        "letters": sorted(letters, key=str),
        "reference": reference_said(node),
    }


def reference_said(node: Node) -> list[tuple[object, ...]]:
    found = node.reference.places("all").drop("source")
    return [*found.sort(found.columns).rows(), *node.reference.instruments().sort("instrument").rows()]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Path, Path, dict[str, object]]]:
    """(a workspace of its own, a copy of it as it was after the first day, what its stores shall say in the end)."""
    made = tmp_path_factory.mktemp("lost")
    folder, older = made / "ws", made / "older"
    with opened(folder) as node:
        first_day(node)
    shutil.copytree(folder, older, symlinks=True)
    with opened(folder) as node:
        second_day(node)

    def copied() -> Path:
        place = tmp_path_factory.mktemp("lost") / "ws"
        shutil.copytree(folder, place, symlinks=True)
        # Moved and not copied: the first folder must not answer, or this one would be its copy.
        (place / "workspace.json").write_text((place / "workspace.json").read_text().replace(str(folder), str(place)))
        return place

    with opened(copied()) as node:
        third_day(node)
        wanted = said(node)

    def world() -> tuple[Path, Path, dict[str, object]]:
        return copied(), older, wanted

    return world


def take_away(folder: Path, older: Path, names: list[str], way: str) -> None:
    for name in names:
        for path in folder.glob(f"{name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in older.glob(f"{name}*") if way == "older" else ():
            target = folder / path.name
            shutil.copytree(path, target, symlinks=True) if path.is_dir() else shutil.copy(path, target)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("way", ["deleted", "older"])
@pytest.mark.parametrize("command", STORES)
def test_a_lost_store_is_seen_and_made_again_as_it_was(
    command: str, way: str, worlds: Callable[[], tuple[Path, Path, dict[str, object]]]
) -> None:
    folder, older, wanted = worlds()
    store, names = STORES[command]
    take_away(folder, older, names, way)
    with opened(folder) as node:
        assert list(node.condition.lost) == [store]
        assert f"c254 rebuild {command}" in node.trouble()[store]
        assert node.condition.notes == {}
    with opened(folder) as node:
        # Said until it is mended, also where the store went on since.
        third_day(node)
        assert list(node.condition.lost) == [store]
    with opened(folder) as node:
        assert list(node.condition.lost) == [store]
        node.remaker().remake(store)
        node.runner.drain()
        assert differing(said(node), wanted) == {}
    with opened(folder) as node:
        assert (node.condition.lost, node.condition.notes) == ({}, {})


def differing(one: dict[str, object], other: dict[str, object]) -> dict[str, tuple[object, object]]:
    return {name: (one[name], other[name]) for name in one if one[name] != other[name]}


@pytest.mark.slow
def test_a_deleted_log_is_taken_from_the_raw_archive_with_what_people_decided(
    worlds: Callable[[], tuple[Path, Path, dict[str, object]]],
) -> None:
    folder, _, wanted = worlds()
    take_away(folder, folder, ["log.db"], "deleted")
    with opened(folder) as node:
        assert "log" in node.condition.notes
        third_day(node)
        found = said(node)
        assert differing(found, wanted) == {}
        # Asked for by name, it finds nothing that is lacking, and changes nothing.
        assert node.remaker().remake("log").startswith("0 arrivals")
        assert differing(said(node), wanted) == {}
    with opened(folder) as node:
        assert (node.condition.lost, node.condition.notes) == ({}, {})


@pytest.mark.slow
def test_log_and_hot_store_lost_together_come_back(
    worlds: Callable[[], tuple[Path, Path, dict[str, object]]],
) -> None:
    folder, _, wanted = worlds()
    take_away(folder, folder, ["log.db", "hot"], "deleted")
    with opened(folder) as node:
        third_day(node)
        assert node.hot.hash(TABLE) == wanted["hot"]
        assert node.trouble() == {}


@pytest.mark.slow
def test_a_replay_is_refused_while_the_lake_holds_rows_of_arrivals_that_the_log_lacks(
    worlds: Callable[[], tuple[Path, Path, dict[str, object]]],
) -> None:
    """As an older version left it: nothing was healed, the hot store is empty, and only the lake knows."""
    folder, _, _ = worlds()
    with opened(folder) as node:
        node.hot.command(f"TRUNCATE TABLE store.{TABLE}")
        before = node.lake.count(TABLE)
        records = list(node.log.scan(f"raw.{FEED}"))[1:]
        node.pipeline.rebuilder._records = lambda topic: records  # type: ignore[method-assign]
        with pytest.raises(FewerPayloads, match="c254 rebuild log"):
            node.pipeline.replay(FEED, START - timedelta(hours=12), START + timedelta(hours=12), LATER)
        assert node.lake.count(TABLE) == before


@pytest.mark.slow
def test_a_rebuild_without_its_payloads_names_them_and_is_told_as_unfinished(
    worlds: Callable[[], tuple[Path, Path, dict[str, object]]],
) -> None:
    folder, _, _ = worlds()
    take_away(folder, folder, ["lake"], "deleted")
    for path in (folder / "raw").glob("*/*.zst"):
        path.unlink()
    with opened(folder) as node, pytest.raises(MissingRaw):
        node.remaker().remake("lake")
    with opened(folder) as node:
        assert "c254 rebuild lake" in node.condition.lost["lake"]


def invoke(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


@pytest.mark.slow
@pytest.mark.parametrize("way", ["deleted", "older"])
def test_a_lost_reference_store_is_made_again_from_lists_and_renames(way: str, tmp_path: Path) -> None:
    folder, older = tmp_path / "ws", tmp_path / "older"
    with opened(folder) as node:
        first_day(node)
    shutil.copytree(folder, older, symlinks=True)
    listed, desk = tmp_path / "nodes.csv", tmp_path / "desk.csv"
    listed.write_text("location_id,name,region\nN1,NODE ONE,WEST\nN2,NODE TWO,EAST\n")
    desk.write_text("instrument,commodity,market,note\nPOWER_X,power,SPP,ours\n")
    at = ["--workspace", str(folder)]
    assert invoke("places", "load", str(listed), "--market", "SPP", "--effective", "2025-06-01", *at)[0] == 0
    assert invoke("places", "rename", "N1", "N9", "--market", "SPP", "--at", "2025-07-01", *at)[0] == 0
    assert invoke("instruments", "import", str(desk), "--new-commodities", *at)[0] == 0
    with opened(folder) as node:
        before = reference_said(node)
        assert node.condition.lost == {}
    take_away(folder, older, ["reference.db"], way)
    if way == "deleted":
        assert "c254 rebuild reference" in " ".join(invoke("status", *at)[1].split())
    with opened(folder) as node:
        assert list(node.condition.lost) == ["reference"]
    assert "reference" in invoke("doctor", *at)[1]
    code, told = invoke("rebuild", "reference", *at)
    assert (code, "made again" in told) == (0, True)
    with opened(folder) as node:
        assert reference_said(node) == before
        assert node.condition.lost == {}
        assert node.reference.resolve("SPP", "NODE ONE").location_id == "N9"


@pytest.mark.slow
def test_ready_tells_what_is_lost_and_what_was_healed(
    worlds: Callable[[], tuple[Path, Path, dict[str, object]]],
) -> None:
    from fastapi.testclient import TestClient

    from carbon254.api.app import create_service
    from carbon254.api.rooms import Rooms
    from carbon254.app import streams

    folder, _, _ = worlds()
    take_away(folder, folder, ["hot", "log.db"], "deleted")
    with opened(folder) as node:
        node.condition.lost["lake"] = "the lake is gone; make it again: c254 rebuild lake"
        rooms = Rooms(node.hot, node.cache, node.log, node.ledger, node.pipeline.inbox, node.clock, node.metrics,
                      streams(), node.trouble, node.notary(), notes=node.condition.notes)  # fmt: skip
        answer = TestClient(create_service(rooms), base_url="http://127.0.0.1").get("/ready")
    assert answer.status_code == 503
    assert answer.json()["reasons"]["lake"].endswith("c254 rebuild lake")
    assert "taken in again" in answer.json()["notes"]["log"]
