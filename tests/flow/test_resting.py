"""An idle node rests: it is woken by what comes, and gathers what would otherwise be many small commits."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carbon254.engine.lakekeeper import Lakekeeper
from carbon254.engine.runner import Runner
from carbon254.memory import _clean_code, give_back
from carbon254.stores.hot import open_hot
from carbon254.stores.hot.ddl import SETTINGS
from carbon254.stores.log import NewRecord, open_log
from carbon254.telemetry import Metrics

_PATIENCE_S = 60.0


def until(holds: object) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


class Counted:
    """A consumer that counts its steps and carries what is in the log."""

    def __init__(self, path: Path) -> None:
        self.log, self.steps, self.carried = open_log(path), 0, 0

    def step(self) -> int:
        self.steps += 1
        records = self.log.read("counted", "raw.")
        with self.log.transaction() as txn:
            for record in records:
                txn.commit("counted", record.topic, record.offset)
        self.carried += len(records)
        return len(records)


def test_a_consumer_sleeps_until_something_is_appended_by_anybody(tmp_path: Path) -> None:
    consumer = Counted(tmp_path / "log.db")
    runner = Runner(consumer.log, {"counted": consumer.step}, Metrics(), {})
    runner.start()
    try:
        until(lambda: consumer.steps)
        time.sleep(1.0)
        # A poll four times a second would be there already; the clock alone brings one in five seconds.
        assert consumer.steps <= 2
        consumer.log.append([NewRecord("raw.x", None, {}, b"ours")])
        until(lambda: consumer.carried == 1)
        code = (
            "import sys; from pathlib import Path; from carbon254.stores.log import NewRecord, open_log; "
            "log = open_log(Path(sys.argv[1])); log.append([NewRecord('raw.x', None, {}, b'theirs')]); log.close()"
        )
        assert not consumer.log.visited()
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "log.db")], check=True)
        until(lambda: consumer.carried == 2)
        assert consumer.log.visited()
    finally:
        runner.stop()
        consumer.log.close()


def test_nothing_that_comes_between_looking_and_waiting_is_missed(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db")
    news = log.news()
    log.append([NewRecord("raw.x", None, {}, b"")])
    began = time.monotonic()
    log.wait(_PATIENCE_S, news)
    assert time.monotonic() - began < _PATIENCE_S / 2
    log.close()


def test_a_resting_node_stops_at_once(tmp_path: Path) -> None:
    consumer = Counted(tmp_path / "log.db")
    consumer.log.append([NewRecord("raw.x", None, {}, b"")])
    runner = Runner(consumer.log, {"counted": consumer.step}, Metrics(), {"counted": lambda: 10 * _PATIENCE_S})
    runner.start()
    until(lambda: consumer.carried)
    stopper = threading.Thread(target=runner.stop)
    stopper.start()
    stopper.join(_PATIENCE_S)
    assert not stopper.is_alive()
    consumer.log.close()


@pytest.mark.slow
def test_the_lake_rests_longer_while_little_comes_and_not_at_all_while_it_is_behind(tmp_path: Path) -> None:
    from flow.conftest import NOW, spp

    from carbon254.app import open_node
    from carbon254.clock import ManualClock
    from carbon254.ingest import Arrived
    from carbon254.settings import Settings

    with open_node(Settings(workspace=tmp_path / "ws", lake_commit_seconds=7), {}, ManualClock(NOW)) as node:
        keeper: Lakekeeper = node.pipeline.lakekeeper
        for number in range(3):
            data = spp({"P": float(number)})
            node.pipeline.inbox.accept(Arrived("iso.rt.lmp.spp", data, f"{number}.csv", datetime.now(UTC)))
        while node.pipeline.normaliser.step():
            pass
        assert keeper.step(limit=2) == 2 and keeper.rest_s() == 0
        assert keeper.step(limit=2) == 1 and keeper.rest_s() == 7 * 15


def test_stored_tables_take_up_new_settings(tmp_path: Path) -> None:
    hot = open_hot(f"chdb://{tmp_path / 'hot'}")
    try:
        hot.ensure()
        hot.command("ALTER TABLE store.verdicts MODIFY SETTING old_parts_lifetime = 480")
        hot.ensure()
        (found,) = hot.fetch("SELECT engine_full FROM system.tables WHERE name = 'verdicts' AND database = 'store'")[
            "engine_full"
        ].to_pylist()
        assert all(f"{name} = {value}" in found for name, value in SETTINGS.items())
        hot.give_back()
        assert hot.query("SELECT 1 AS one")["one"].to_pylist() == [1]
    finally:
        hot.close()


def test_code_that_is_handed_back_runs_again() -> None:
    if Path("/proc/self/smaps").exists():
        assert list(_clean_code())
    give_back()
    import polars as pl

    assert pl.DataFrame({"a": [1, 2]}).sum()["a"][0] == 3


def told_by_a_process_of_its_own(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_engines_pools_have_the_sizes_we_gave_and_not_those_of_a_server(tmp_path: Path) -> None:
    code = f"""
from carbon254.stores.hot import open_hot
from carbon254.stores.hot.embedded import SETTINGS
hot = open_hot("chdb://{tmp_path / "hot"}")
found = {{row["name"]: row["value"] for row in hot.fetch("SELECT name, value FROM system.server_settings").to_pylist()}}
print({{name: (value, found[name]) for name, value in SETTINGS.items() if found[name] != str(value)}})
hot.close()
"""
    assert told_by_a_process_of_its_own(code) == "{}"


@pytest.mark.slow
def test_the_lake_is_loaded_without_pandas_and_its_tables_become_pandas_frames_when_asked() -> None:
    code = """
import sys
import carbon254.stores.lake
import pyarrow as pa
before = "pandas" in sys.modules
print(before, pa.table({"a": [1, 2]}).to_pandas()["a"].sum())
"""
    assert told_by_a_process_of_its_own(code) == "False 3"
