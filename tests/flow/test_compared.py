"""A check says how much it compared: a store that was emptied is a finding, and nothing compared is no success."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cli.shell import clean, typed
from flow.faults import DA, csv, day_rows

from carbon254.app import Node, open_node
from carbon254.cli.proving import soundness
from carbon254.clock import ManualClock
from carbon254.engine.soundness import Soundness
from carbon254.ingest import Arrived
from carbon254.settings import Settings
from carbon254.stores.raw import RawArchive

OUT = datetime(2025, 6, 30, 19, tzinfo=UTC)
DAYS = 4


class Counting:
    """An archive that counts its readings."""

    def __init__(self, behind: RawArchive) -> None:
        self._behind, self.read = behind, Counter[str]()

    def get(self, sha256: str) -> bytes:
        self.read[sha256] += 1
        return self._behind.get(sha256)

    def __getattr__(self, name: str) -> object:
        return getattr(self._behind, name)

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._behind


def fill(node: Node) -> None:
    for number in range(DAYS):
        day = date(2025, 7, 1) + timedelta(days=number)
        for again in range(2):
            rows = day_rows(day).with_columns(lmp="lmp").gather_every(1, 0)
            data = csv(rows if not again else rows.reverse())
            at = OUT + timedelta(days=number, hours=again)
            node.pipeline.inbox.accept(Arrived(DA, data, f"DA-LMP-SL-{day}-{again}.csv", at, str(day)))
    node.runner.drain()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared") / "ws"
    with open_node(Settings(workspace=folder), {}, ManualClock(OUT + timedelta(days=9))) as node:
        fill(node)
    shutil.copytree(folder, folder.with_name("kept"), symlinks=True)
    return folder


@pytest.fixture
def workspace(made: Path) -> Iterator[Path]:
    """The workspace to do harm to, put back afterwards."""
    yield made
    shutil.rmtree(made)
    shutil.copytree(made.with_name("kept"), made, symlinks=True)


def counted(node: Node) -> tuple[Soundness, Counting]:
    archive = Counting(node.raw)
    asked = soundness(node)
    return replace(asked, raw=archive, normaliser=asked.normaliser.reading(archive), compared=Counter()), archive  # type: ignore[arg-type]


@pytest.mark.slow
def test_verify_reads_each_payload_once_and_counts_what_it_compared(made: Path) -> None:
    with open_node(Settings(workspace=made), {}, ManualClock(OUT + timedelta(days=9))) as node:
        asked, archive = counted(node)
        assert list(asked.findings()) == []
        assert set(archive.read.values()) == {1} and len(archive.read) == 2 * DAYS
        wanted = {
            "payloads": 2 * DAYS,
            "partitions": DAYS,
            "ledger entries": DAYS,
            "verdicts": DAYS,
            "arrivals": 2 * DAYS,
        }
        assert wanted.items() <= asked.compared.items()
        for name in (
            "payload bytes",
            "log records",
            "hot rows",
            "lake rows",
            "hot parts",
            "lake files",
            "days with bars",
        ):
            assert asked.compared[name] > 0, name
        assert asked.compared["hot rows"] == asked.compared["lake rows"]
        # Where partitions are in dispute the same reading is parsed: still once.
        node.hot.replace_span("interval_prices", DA, OUT - timedelta(days=9), OUT + timedelta(days=9), None)
        asked, archive = counted(node)
        found = [str(one) for one in asked.findings()]
        assert set(archive.read.values()) == {1}
        assert len([one for one in found if one.startswith("hot store") and "by the raw payloads" in one]) == DAYS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "named"),
    [
        (["hot"], "hot store: iso.da.lmp.spp 2025-07-01"),
        (["ledger.db"], "ledger: iso.da.lmp.spp 2025-07-01"),
        (["hot", "ledger.db"], "hot store: iso.da.lmp.spp 2025-07-01"),
        (["hot", "ledger.db", "lake"], "neither has a row"),
        (["lake"], "lake: iso.da.lmp.spp"),
        (["log.db"], "log: log.db is missing"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_a_lost_store_beside_a_full_archive_is_not_sound(workspace: Path, lost: list[str], named: str) -> None:
    for name in lost:
        for path in workspace.glob(f"{name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    said = typed("verify", "-w", workspace, "--json")
    assert said.code == 1, said
    told = json.loads(said.out.splitlines()[0])
    assert told["sound"] is False and any(named in one for one in told["problems"]), told


@pytest.mark.slow
def test_lost_verdicts_are_given_again_as_they_were(workspace: Path) -> None:
    asked = ("sql", "SELECT * FROM verdicts ORDER BY market_day", "-w", workspace, "--format", "json")
    before = typed(*asked).out.splitlines()
    for path in workspace.glob("quality.db*"):
        path.unlink()
    assert typed("verify", "-w", workspace).code == 0
    assert len(before) == DAYS and typed(*asked).out.splitlines() == before


@pytest.mark.slow
def test_nothing_to_compare_is_a_failure_and_says_what_to_do(tmp_path: Path, made: Path) -> None:
    empty = tmp_path / "empty"
    with open_node(Settings(workspace=empty), {}, ManualClock(OUT)):
        pass
    clean(typed("verify", "-w", empty), 1, "nothing to compare", "c254 feeds run")
    assert json.loads(typed("verify", "-w", empty, "--json").out.splitlines()[0])["sound"] is False
    clean(typed("quality", "run", "-w", empty), 1, "nothing to judge", "c254 feeds list")
    prove = ("feeds", "replay", "--feed", DA, "--from", "2019-01-01", "--to", "2019-01-02", "--prove", "-w", made)
    clean(typed(*prove), 1, "nothing to compare")
    receipt = tmp_path / "receipt.json"
    asked = "SELECT location, lmp FROM current_prices ORDER BY location"
    assert typed("sql", asked, "--receipt", receipt, "-w", empty).code == 0
    clean(typed("verify", "--receipt", receipt, "-w", empty), 1, "nothing to compare")


@pytest.mark.slow
def test_a_receipt_over_no_rows_says_so_and_of_how_many_payloads(tmp_path: Path, made: Path) -> None:
    receipt = tmp_path / "receipt.json"
    asked = "SELECT location, lmp FROM current_prices WHERE lmp > 1e6 ORDER BY location"
    assert typed("sql", asked, "--receipt", receipt, "-w", made).code == 0
    said = typed("verify", "--receipt", receipt, "-w", made)
    assert said.code == 0 and said.out.startswith("equal: 0 rows") and f"of {2 * DAYS} payloads" in said.out
