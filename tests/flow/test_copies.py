"""A workspace that was moved, renamed, mounted twice, restored or copied; a copy never writes to the original."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flow.conftest import NOW, spp
from flow.replaying import FEED
from typer.testing import CliRunner

from carbon254.app import Node, open_node
from carbon254.cli.main import app
from carbon254.clock import ManualClock
from carbon254.connections import with_prefix
from carbon254.engine.claiming import refuse_the_originals
from carbon254.errors import SettingsError
from carbon254.ingest import Arrived
from carbon254.settings import Settings
from carbon254.workspace import FORMAT, Workspace

TABLE = "interval_prices"


def opened(folder: Path) -> Node:
    return open_node(Settings(workspace=folder), {}, ManualClock(NOW + timedelta(hours=1)))


def bring(folder: Path, price: float, minute: int) -> None:
    with opened(folder) as node:
        at = NOW + timedelta(minutes=minute)
        node.pipeline.inbox.accept(Arrived(FEED, spp({"A": price}), f"{price}.csv", at, "day"))
        node.runner.drain()


def held(folder: Path) -> dict[str, object]:
    """What the stores hold and what the node says of them."""
    with opened(folder) as node:
        node.runner.drain()
        sql = f"SELECT lmp FROM store.{TABLE} FINAL ORDER BY lmp"
        return {
            "hot": node.hot.fetch(sql)["lmp"].to_pylist(),
            "lake": sorted(node.lake.scan(TABLE, columns=["lmp"])["lmp"].to_pylist()),
            "ledger": [(one.payloads, one.rows) for one in node.ledger.entries(FEED)],
            "lost": node.condition.lost,
        }


def copied(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target, symlinks=True)
    return target


def identity(folder: Path) -> str:
    return Workspace(folder).identity.uuid


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bring(tmp_path / "ws", 20.0, 0)
    return tmp_path / "ws"


def all_of(prices: list[float]) -> dict[str, object]:
    return {"hot": prices, "lake": prices, "ledger": [(len(prices), len(prices))], "lost": {}}


def test_a_copy_gets_a_uuid_of_its_own_and_both_are_written(folder: Path, tmp_path: Path) -> None:
    first, copy = identity(folder), copied(folder, tmp_path / "copy")
    bring(copy, 30.0, 1)
    bring(folder, 40.0, 2)
    assert (identity(folder), Workspace(copy).identity.copy_of) == (first, first)
    assert identity(copy) != first
    assert (held(copy), held(folder)) == (all_of([20.0, 30.0]), all_of([20.0, 40.0]))
    told = CliRunner().invoke(app, ["status", "--workspace", str(copy)]).output
    assert f"a copy of the workspace {first}" in told


@pytest.mark.slow
def test_a_copy_has_topics_of_its_own_and_the_original_keeps_its(folder: Path, tmp_path: Path) -> None:
    copy = copied(folder, tmp_path / "copy")
    for place in (folder, copy):
        Workspace(place).identify()
    kafka = Settings(kafka_bootstrap="kafka://host:9092")
    assert with_prefix(kafka, Workspace(folder)).kafka_prefix == ""
    assert with_prefix(kafka, Workspace(copy)).kafka_prefix == f"{identity(copy)[:8]}."
    named = Settings(kafka_bootstrap="kafka://host:9092", kafka_prefix="desk.")
    assert with_prefix(named, Workspace(copy)).kafka_prefix == "desk."


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["kafka_prefix", "raw_url", "ledger_url"])
def test_a_copy_is_refused_a_place_that_the_original_holds(setting: str, folder: Path, tmp_path: Path) -> None:
    """Where a place is named, and what stands there is the original's, a copy says so instead of writing there."""
    shared = {"raw_url": {"raw_url": str(tmp_path / "desk" / "raw")},
              "ledger_url": {"ledger_url": f"sqlite:///{tmp_path}/desk.db"}, "kafka_prefix": {}}[setting]  # fmt: skip
    (tmp_path / "desk").mkdir()
    place = tmp_path / "original"
    settings = {} if setting == "kafka_prefix" else shared
    with open_node(Settings(workspace=place, **settings), {}, ManualClock(NOW)) as node:
        node.pipeline.inbox.accept(Arrived(FEED, spp({"A": 20.0}), "1.csv", NOW, "day"))
        node.runner.drain()
        kept = {one: node.log.get_state("workspaces", one) for one in (node.workspace.identity.uuid,)}
    copy = copied(place, tmp_path / "copy")
    Workspace(copy).identify()
    found = Workspace(copy).identity
    if setting == "kafka_prefix":
        # The log of a cluster, as a copy of the workspace finds it: it knows the original only.
        assert kept[found.copy_of] is not None
        with pytest.raises(SettingsError, match=r"C254_KAFKA_PREFIX.*copy"):
            refuse_the_originals(found, {"C254_KAFKA_PREFIX": {found.copy_of}})
        refuse_the_originals(found, {"C254_KAFKA_PREFIX": {found.copy_of, found.uuid}})
        refuse_the_originals(found, {"C254_KAFKA_PREFIX": set()})
        return
    with pytest.raises(SettingsError, match=f"C254_{setting.upper()}.*copy"):
        open_node(Settings(workspace=copy, **settings), {}, ManualClock(NOW))
    with open_node(Settings(workspace=place, **settings), {}, ManualClock(NOW)) as node:
        assert node.condition.lost == {}


@pytest.mark.slow
def test_a_copy_of_a_copy_is_another_one(folder: Path, tmp_path: Path) -> None:
    copy = copied(folder, tmp_path / "copy")
    assert Workspace(copy).identify() == "copied"
    again = copied(copy, tmp_path / "again")
    assert Workspace(again).identify() == "copied"
    assert len({identity(one) for one in (folder, copy, again)}) == 3
    assert Workspace(again).identity.copy_of == identity(copy)
    assert Workspace(copy).identify() == "same"


@pytest.mark.slow
def test_a_renamed_workspace_is_the_same(folder: Path, tmp_path: Path) -> None:
    first = identity(folder)
    folder.rename(tmp_path / "elsewhere")
    assert Workspace(tmp_path / "elsewhere").identify() == "same"
    bring(tmp_path / "elsewhere", 30.0, 1)
    assert identity(tmp_path / "elsewhere") == first
    # The old path is free: what is made there is another workspace, and neither is a copy.
    bring(folder, 50.0, 2)
    assert identity(folder) != first
    assert held(tmp_path / "elsewhere") == all_of([20.0, 30.0])


@pytest.mark.slow
def test_a_workspace_whose_original_is_gone_was_moved(folder: Path, tmp_path: Path) -> None:
    first, there = identity(folder), copied(folder, tmp_path / "there")
    shutil.rmtree(folder)
    assert Workspace(there).identify() == "moved"
    assert identity(there) == first
    bring(there, 30.0, 1)
    assert held(there) == all_of([20.0, 30.0])


@pytest.mark.slow
def test_a_restored_workspace_takes_in_again_what_only_its_raw_archive_kept(folder: Path, tmp_path: Path) -> None:
    backup = copied(folder, tmp_path / "backup")
    bring(folder, 30.0, 1)
    copied(folder / "raw", tmp_path / "raw")
    shutil.rmtree(folder)
    copied(backup, folder)
    shutil.rmtree(backup)
    shutil.rmtree(folder / "raw")
    copied(tmp_path / "raw", folder / "raw")
    with opened(folder) as node:
        assert "moved or restored" in node.condition.notes["log"]
    assert held(folder) == all_of([20.0, 30.0])


@pytest.mark.slow
def test_a_symbolic_link_to_a_workspace_is_the_workspace(folder: Path, tmp_path: Path) -> None:
    first = identity(folder)
    (tmp_path / "link").symlink_to(folder)
    bring(tmp_path / "link", 30.0, 1)
    assert identity(folder) == first
    assert Workspace(folder).identity.copy_of == ""
    assert held(folder) == all_of([20.0, 30.0])


@pytest.fixture
def mounted(folder: Path, tmp_path: Path) -> Iterator[Path]:
    target = tmp_path / "mounted"
    target.mkdir()
    done = subprocess.run(["mount", "--bind", str(folder), str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    yield target
    subprocess.run(["umount", str(target)], check=True)


@pytest.mark.slow
def test_two_mounts_of_one_folder_are_one_workspace(folder: Path, mounted: Path) -> None:
    first = identity(folder)
    bring(mounted, 30.0, 1)
    bring(folder, 40.0, 2)
    assert Workspace(mounted).identify() == "same"
    assert (identity(mounted), identity(folder)) == (first, first)
    assert held(mounted) == all_of([20.0, 30.0, 40.0])


@pytest.mark.slow
def test_an_older_workspace_without_a_uuid_gets_one(folder: Path) -> None:
    (folder / "workspace.json").write_text(json.dumps({"format": FORMAT, "emulated": True}))
    bring(folder, 30.0, 1)
    assert Workspace(folder).emulated() is True
    assert len(identity(folder)) == 32
    assert held(folder) == all_of([20.0, 30.0])


def test_a_folder_on_another_device_and_host_with_the_same_inode_and_path_is_the_same(folder: Path) -> None:
    facts = json.loads((folder / "workspace.json").read_text())
    facts["seen"] |= {"device": 1, "host": "another"}
    (folder / "workspace.json").write_text(json.dumps(facts))
    assert Workspace(folder).identify() == "same"
    assert Workspace(folder).identity.seen.device == folder.stat().st_dev
