"""A node in the background: started, asked, fed beside, and stopped."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from shell import RT, c254, clean, spp_file, typed

from carbon254.cli.ports import listener
from carbon254.workspace import Workspace

TICK = {
    "instrument": "NG",
    "time": "2025-07-01T12:00:00Z",
    "price": 3.25,
    "quantity": 2,
    "source": "desk",
    "sequence": 1,
}
_PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace run by a node on any free port."""
    folder = tmp_path_factory.mktemp("node") / "ws"
    said = c254("up", "--no-poll", "--port", "0", "--detach", "-w", folder)
    assert said.code == 0, said
    assert "carbon254 is up: http://127.0.0.1:" in said.out
    try:
        yield folder
    finally:
        stopped = c254("stop", "-w", folder)
        assert (stopped.code, stopped.words) == (0, "stopped")


@pytest.fixture
def client(workspace: Path) -> Iterator[httpx.Client]:
    running = Workspace(workspace).running()
    assert running is not None
    with httpx.Client(base_url=running.url, trust_env=False, timeout=_PATIENCE_S) as found:
        yield found


def answer(workspace: Path, statement: str) -> str:
    said = typed("sql", statement, "-w", workspace, "--format", "csv")
    assert said.code == 0, said
    return said.out.split("\n", 1)[1].strip()


def eventually(workspace: Path, statement: str, wanted: str) -> None:
    """The running node answers `wanted` before patience ends."""
    end = time.monotonic() + _PATIENCE_S
    while (found := answer(workspace, statement)) != wanted:
        assert time.monotonic() < end, f"{statement}: {found}, not {wanted}"
        time.sleep(0.1)


def taken() -> socket.socket:
    """A port that another program listens on."""
    other = socket.create_server(("127.0.0.1", 0))
    other.listen()
    return other


def test_it_answers_health_ready_and_metrics(client: httpx.Client) -> None:
    assert client.get("/health").status_code == 200
    assert client.get("/ready").status_code == 200
    metrics = client.get("/metrics")
    assert metrics.status_code == 200 and "# TYPE" in metrics.text
    assert client.get("/").headers["content-type"].startswith("text/html")


def test_status_tells_where_it_runs(workspace: Path, client: httpx.Client) -> None:
    said = typed("status", "-w", workspace)
    assert said.code == 0 and f"node at {str(client.base_url).rstrip('/')} (process " in said.out
    quiet = typed("status", "--quiet", "-w", workspace)
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert typed("status", "--quiet", "-w", workspace.parent / "none").code == 1


@pytest.mark.slow
def test_pushed_ticks_are_seen_by_sql_through_the_node(workspace: Path, client: httpx.Client) -> None:
    ticks = [TICK, {**TICK, "sequence": 2, "price": -1.5}]
    pushed = client.post("/v1/ingest/market.ticks", json=ticks)
    assert pushed.status_code == 202 and pushed.json()["new"] is True
    eventually(workspace, "SELECT count(), min(price), max(price) FROM market_ticks", "2,-1.5,3.25")
    again = client.post("/v1/ingest/market.ticks", json=ticks)
    assert again.status_code == 202 and again.json()["new"] is False


def test_a_file_taken_beside_the_node_is_carried_by_it(workspace: Path, tmp_path: Path) -> None:
    path = spp_file(tmp_path / "RTBM-LMP-SL-202507010705.csv", bad={3: "n/a"})
    for state in ("new", "repeated"):
        said = typed("feeds", "run", "--feed", RT, "--file", path, "-w", workspace, "--json")
        (result,) = json.loads(said.out)
        assert result[state] == 1
        assert (said.code, result["rows"], result["rejected"]) == ((3, 9, 1) if state == "new" else (0, 0, 0))
        assert answer(workspace, "SELECT count() FROM interval_prices") == "9"
    assert "LMP: 'n/a' is not a number" in typed("dlq", "list", "-w", workspace).out


@pytest.mark.slow
def test_files_taken_beside_a_node_that_is_busy_with_others_return_with_their_own_counts(
    workspace: Path, client: httpx.Client, tmp_path: Path
) -> None:
    ended = threading.Event()

    def push() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            client.post("/v1/ingest/market.ticks", json=[{**TICK, "sequence": 1_000 + number, "price": "bad"}])

    pushing = threading.Thread(target=push, daemon=True)
    pushing.start()
    path = spp_file(tmp_path / "RTBM-LMP-SL-202507010705.csv", bad={3: "n/a"})
    path.write_text(path.read_text("utf-8").replace(":05:00", ":10:00"), "utf-8")
    other = tmp_path / "again.csv"
    other.write_text(path.read_text("utf-8") + "\n", "utf-8")
    try:
        for one, wanted in ((path, (10, 9, 0, 1)), (other, (10, 0, 9, 1))):
            said = typed("feeds", "run", "--feed", RT, "--file", one, "-w", workspace, "--json")
            (result,) = json.loads(said.out)
            found = tuple(result[name] for name in ("records", "stored", "confirmed", "rejected"))
            assert found == wanted, said
    finally:
        ended.set()
        pushing.join()


def test_names_are_settled_by_the_node(workspace: Path, client: httpx.Client) -> None:
    days = ("2025-07-01", "2025-07-02")
    for arguments, says in (
        (("SPPP", *days), "no market 'SPPP'; nearest: SPP"),
        (("SPP", *days, "WR_HBU"), "no place 'WR_HBU'"),
        (("SPP", *days, "--run", "RTB"), "no market run 'RTB'; nearest: RTBM"),
    ):
        clean(typed("prices", *arguments, "-w", workspace), 2, says)
    found = typed("prices", "spp", *days, "--run", "rtbm", "-w", workspace)
    assert found.code == 0, found
    many = [("location", "NODE")] * 3
    assert client.get("/v1/names", params=[("market", "spp"), *many]).status_code == 422


def test_bad_sql_through_the_node_is_one_clean_error(workspace: Path) -> None:
    clean(typed("sql", "SELECT nothing FROM interval_prices", "-w", workspace), 1, "error:", "nothing")
    clean(typed("sql", "DROP TABLE interval_prices", "-w", workspace), 1, "not a reading statement")


def test_what_needs_the_workspace_to_itself_names_the_node(workspace: Path, client: httpx.Client) -> None:
    url = str(client.base_url).rstrip("/")
    for command in (["verify"], ["feeds", "replay", "--feed", RT, "--from", "2025-07-01"], ["up", "--port", "0"]):
        clean(typed(*command, "-w", workspace), 1, f"is in use by the node at {url}", "c254 stop")


@pytest.mark.slow
def test_a_second_node_in_the_background_does_not_start(workspace: Path) -> None:
    said = c254("up", "--no-poll", "--port", "0", "--detach", "-w", workspace)
    assert said.code == 1 and "is in use" in said.out + said.err, said


def test_a_taken_port_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with taken() as other:
        port = other.getsockname()[1]
        said = typed("up", "--no-poll", "--port", str(port), "-w", tmp_path / "ws")
        owner = f"process {os.getpid()} (" if Path("/proc/net/tcp").exists() else "another program"
        clean(said, 1, f"port {port} is taken by {owner}", "--port 0 finds a free one")
    assert typed("status", "--quiet", "-w", tmp_path / "ws").code == 1


def test_a_taken_default_port_gives_way_to_the_next_free_one() -> None:
    with taken() as other:
        port = other.getsockname()[1]
        with listener("127.0.0.1", port, explicit=False) as found:
            assert port < found.getsockname()[1] <= port + 50


@pytest.mark.slow
def test_the_node_takes_the_next_port_says_so_and_frees_the_workspace_when_stopped(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    with taken() as other:
        port = other.getsockname()[1]
        said = c254("up", "--no-poll", "--detach", "-w", workspace, C254_PORT=str(port))
        assert said.code == 0, said
        running = Workspace(workspace).running()
        assert running is not None and port < int(running.url.rsplit(":", 1)[1]) <= port + 50
        assert running.url in said.out
    stopped = typed("stop", "-w", workspace)
    assert (stopped.code, stopped.words) == (0, "stopped")
    assert typed("status", "--quiet", "-w", workspace).code == 1
    assert "carbon254 is up" in typed("logs", "-w", workspace).out
    assert answer(workspace, "SELECT 1") == "1"
    assert "no node runs" in typed("stop", "-w", workspace).words
