"""One memory budget over all readers of a node: what many wide and large statements take together."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pyarrow as pa
import pytest
from serving import WAIT_S, until

from carbon254.api.compared import misspelt
from carbon254.errors import QueryRefused
from carbon254.model.plain import pieces, plain
from carbon254.settings import Settings
from carbon254.stores.hot import HotStore, Limits, open_hot
from carbon254.workspace import Workspace

# As docs/guides/operating.md states it.
OVERSHOOT_MB = 512
WIDE = ", ".join(f"number + {n} AS c{n}" for n in range(200))


@pytest.fixture(scope="module")
def hot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HotStore]:
    store = open_hot(f"chdb://{tmp_path_factory.mktemp('memory')}/hot", 0, Limits(memory_bytes=64 << 20))
    store.ensure()
    yield store
    store.close()


def test_what_was_handed_over_stays_when_the_engine_goes_on(hot: HotStore) -> None:
    held = [hot.query(f"SELECT number + {n} AS x, toString(number) AS s FROM numbers(50000)") for n in range(4)]
    gc.collect()
    for _ in range(4):
        hot.query("SELECT groupArray(number) FROM numbers(200000)")
    for n, table in enumerate(held):
        assert table["x"].to_pylist() == list(range(n, 50_000 + n))
        assert table["s"].to_pylist() == [str(number) for number in range(50_000)]


def test_an_answer_that_is_held_whole_may_be_a_quarter_of_what_a_statement_uses(hot: HotStore) -> None:
    assert hot.limits.whole_bytes == 16 << 20 and hot.limits.engine_bytes == 48 << 20
    sql = "SELECT repeat('x', 1000) AS x FROM numbers(20000)"
    with pytest.raises(QueryRefused, match=r"larger than 16 MB, and is held whole .*C254_QUERY_MEMORY_MB"):
        hot.query(sql)
    with hot.stream(sql) as batches:
        assert sum(batch.num_rows for batch in batches) == 20_000


def test_a_large_value_is_not_put_into_python_to_see_whether_it_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = pa.table({"x": pa.array([[0, 1, 2]])})
    asked: list[object] = []
    settle = lambda names: asked.append(names) or names  # noqa: E731
    assert misspelt(settle, "SELECT 1 FROM interval_prices WHERE market = 'PJMM'", listed) == "" and not asked
    for empty in ([0], [None], [float("nan")], [False]):
        misspelt(settle, "SELECT 1 FROM interval_prices WHERE market = 'PJMM'", pa.table({"x": pa.array(empty)}))
    assert len(asked) == 4


def test_a_batch_is_looked_at_in_pieces_of_bounded_size() -> None:
    batch = pa.record_batch({"x": pa.array(range(1_000_000), pa.int64())})
    parts = list(pieces(batch, 1 << 20))
    assert max(part.nbytes for part in parts) <= 1 << 20
    assert pa.Table.from_batches(parts).equals(pa.Table.from_batches([batch]))
    assert [part.num_rows for part in pieces(batch.slice(0, 0), 1 << 20)] == [0]
    with pytest.raises(QueryRefused, match="no UTF-8 text"):
        plain(pa.array([b"\xff" * (40 << 20)], pa.binary()).view(pa.string()))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """(process id, address) of a node of its own."""
    folder = tmp_path / "workspace"
    words = [sys.executable, "-m", "carbon254.cli", "up", "--no-poll", "--port", "0", "-w", str(folder)]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = lambda: Workspace(folder).running() if folder.exists() else None  # noqa: E731
    try:
        until(lambda: found() is not None)
        running = found()
        assert running is not None
        until(lambda: httpx.get(f"{running.url}/ready", timeout=WAIT_S).status_code == 200)
        yield child.pid, running.url
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            child.kill()


def resident_mb(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{name}:"))


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the system does not tell a peak")
def test_many_readers_together_stay_within_the_budget(node: tuple[int, str]) -> None:
    pid, url = node
    ask = lambda sql: httpx.post(f"{url}/v1/sql", json={"sql": sql, "format": "arrow"}, timeout=120)  # noqa: E731
    ask("SELECT 1 AS x")
    idle, told = resident_mb(pid, "VmRSS"), Counter[int]()
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    for sql in (f"SELECT {WIDE} FROM numbers(400000)", "SELECT range(20000000) AS x", "SELECT range(100000000) AS x"):
        asking = [threading.Thread(target=lambda sql=sql: told.update([ask(sql).status_code])) for _ in range(12)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
    assert set(told) <= {200, 400, 429, 503} and told.total() == 36, told
    budget = Settings.model_fields["query_memory_mb"].default
    assert resident_mb(pid, "VmHWM") - idle < budget + OVERSHOOT_MB
