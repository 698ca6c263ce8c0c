"""Real and emulated data never share a workspace, and what is emulated says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import RT, clean, spp_file, typed

import carbon254
from carbon254.workspace import DEMO, Workspace

pytestmark = pytest.mark.slow

NAME = "RTBM-LMP-SL-202507010705.csv"
TICKS = ("generate", "--mode", "high-volume", "--count", "10")


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with ticks and one fetched file, all from the emulator."""
    folder = tmp_path_factory.mktemp("emulated") / "ws"
    assert typed(*TICKS, "-w", folder).code == 0
    said = typed("generate", "--feed", "iso.da.lmp.nyiso", "--days", "1", "-w", folder)
    assert said.code == 0, said
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a provider's file."""
    folder = tmp_path_factory.mktemp("real")
    assert typed("feeds", "run", "--feed", RT, "--file", spp_file(folder / NAME), "-w", folder / "ws").code == 0
    return folder / "ws"


def mark(workspace: Path) -> object:
    return json.loads((workspace / "workspace.json").read_text("utf-8")).get("emulated")


def unmark(workspace: Path) -> None:
    """As versions before the mark left it."""
    (workspace / "workspace.json").write_text('{"format": 2}\n', "utf-8")


def test_what_a_workspace_was_made_of_is_marked(emulated: Path, real: Path) -> None:
    assert (mark(emulated), mark(real)) == (True, False)
    assert Workspace(emulated).emulated() is True


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "from before the mark"])
def test_live_data_are_refused_where_emulated_ones_are(emulated: Path, tmp_path: Path, marked: bool) -> None:
    if not marked:
        unmark(emulated)
    file = spp_file(tmp_path / NAME)
    for arguments in (
        ("feeds", "run", "--feed", RT, "--file", file),
        ("feeds", "run", "--feed", "iso.da.lmp.nyiso", "--from", "2025-07-01"),
        ("up", "--port", "0", "--feed", "iso.da.lmp.nyiso"),
    ):
        clean(typed(*arguments, "-w", emulated), 2, "holds emulated data", "--workspace workspace")
    Workspace(emulated).mark(True)


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "from before the mark"])
def test_emulated_data_are_refused_where_real_ones_are(real: Path, marked: bool) -> None:
    if not marked:
        unmark(real)
    for arguments in (TICKS, ("generate", "--days", "1"), ("demo", "--once")):
        clean(typed(*arguments, "-w", real), 2, "holds real data", "--workspace demo-workspace")
    with carbon254.open(real) as reader:
        assert reader.sql("SELECT count() AS n FROM market_ticks").to_arrow()["n"].to_pylist() == [0]
    Workspace(real).mark(False)


def test_more_of_the_same_kind_is_taken(emulated: Path, real: Path, tmp_path: Path) -> None:
    assert typed(*TICKS, "-w", emulated).code == 0
    assert typed("feeds", "run", "--feed", RT, "--file", spp_file(tmp_path / NAME), "-w", real).code == 0


def test_reading_falls_back_on_the_demo_and_says_so(
    emulated: Path, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clean(typed("sql", "SELECT 1"), 2, "there is no workspace")
    (tmp_path / DEMO).symlink_to(emulated)
    count = ("sql", "SELECT count() AS n FROM interval_prices", "--format", "csv")
    said = typed(*count)
    assert said.code == 0 and int(said.out.split()[1]) > 100 and "emulated data of the demo" in said.words
    with carbon254.open() as reader:
        assert len(reader.sql("SELECT 1"))
    # What brings data in never falls back: it makes the folder of its own.
    assert typed("feeds", "run", "--feed", RT, "--file", spp_file(tmp_path / NAME)).code == 0
    assert mark(tmp_path / "workspace") is False
    here = typed(*count)
    assert here.out.split()[1] == "10" and "demo" not in here.err
