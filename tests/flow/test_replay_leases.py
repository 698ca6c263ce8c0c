"""A replay that is killed or stops: the next one runs, and what the stopped one still wants to swap in is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flow.conftest import NOW, spp
from flow.replaying import FEED, SPAN

from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.engine.tenure import holding
from carbon254.errors import TransientError
from carbon254.faults import armed
from carbon254.ingest import Arrived
from carbon254.settings import Settings
from carbon254.stores.ledger import LeaseLost, open_ledger

pytestmark = pytest.mark.slow

PLACES = {f"LOC_{i}": 20.0 + i for i in range(5)}
_STEPS = ("rebuild.parsed", "rebuild.marked", "hot.filled", "hot.swapped", "rebuild.hot", "rebuild.lake")


def opened(folder: Path, ledger_url: str = "") -> Node:
    return open_node(Settings(workspace=folder, ledger_url=ledger_url), {}, ManualClock(NOW))


def filled(folder: Path, ledger_url: str = "") -> str:
    """A workspace with a feed's day; the hash of its rows."""
    with opened(folder, ledger_url) as node:
        node.pipeline.inbox.accept(Arrived(FEED, spp(PLACES), "a.csv", NOW, ""))
        node.runner.drain()
        return node.hot.hash("interval_prices")


def replaying(folder: Path, place: str, ledger_url: str = "") -> subprocess.Popen[bytes]:
    """A process in the middle of a replay."""
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-m", "flow.replaying", folder, ledger_url, place],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == b"reached\n", process.communicate()
    return process


@pytest.mark.parametrize("place", _STEPS)
def test_after_a_killed_replay_the_next_one_runs_at_once(tmp_path: Path, place: str) -> None:
    right = filled(tmp_path / "ws")
    process = replaying(tmp_path / "ws", place)
    process.kill()
    process.communicate()
    with opened(tmp_path / "ws") as node:
        done = node.pipeline.replay(FEED, *SPAN, NOW)
        assert (done.rows, node.hot.hash("interval_prices")) == (len(PLACES), right)
        assert node.lake.count("interval_prices") == len(PLACES)
        assert {entry.state for entry in node.ledger.entries(FEED)} == {"completed"}
        assert node.hot.fetch("SELECT name FROM system.tables WHERE name LIKE '%__build%'").num_rows == 0


def test_a_replay_that_was_taken_over_swaps_nothing_more(tmp_path: Path) -> None:
    right = filled(tmp_path / "ws")
    with opened(tmp_path / "ws") as node:
        for place in ("rebuild.parsed", "hot.filled", "rebuild.hot"):
            with armed(_at(place, lambda: _taken_over(node))), pytest.raises(LeaseLost, match="another has it"):
                node.pipeline.replay(FEED, *SPAN, NOW)
            assert node.hot.hash("interval_prices") == right
            assert node.ledger.unlock(f"rebuild:{FEED}", "the test", NOW) is not None
        node.pipeline.replay(FEED, *SPAN, NOW)


def test_what_a_newer_build_took_away_cannot_be_swapped_in(tmp_path: Path) -> None:
    """Also where the check of the lease is long past: the staged rows themselves are gone."""
    right = filled(tmp_path / "ws")
    with opened(tmp_path / "ws") as node:

        def newer() -> None:
            node.hot._drop_staged("interval_prices")

        with armed(_at("hot.filled", newer)), pytest.raises(Exception, match="__build_"):
            node.pipeline.replay(FEED, *SPAN, NOW)
        assert node.hot.hash("interval_prices") == right


def test_rebuilds_of_two_feeds_of_one_table_wait_for_each_other(tmp_path: Path) -> None:
    filled(tmp_path / "ws")
    with opened(tmp_path / "ws") as node:
        other = "iso.da.lmp.spp"

        def second() -> None:
            with pytest.raises(TransientError, match=r"rebuilding a feed of interval_prices .*c254 feeds unlock"):
                node.pipeline.replay(other, *SPAN, NOW)

        with armed(_at("hot.filled", second)):
            node.pipeline.replay(FEED, *SPAN, NOW)


def test_a_replay_longer_than_its_lease_keeps_it_by_its_heartbeat(tmp_path: Path) -> None:
    ledger, clock, beat = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}"), ManualClock(NOW), timedelta(seconds=0.02)
    with holding(ledger, {"long": "busy"}, "me", clock, beat):
        clock.sleep(50.0)
        while (lease := ledger.lease("long")) is None or lease.expires_at <= clock.now():
            time.sleep(0.01)  # the test's own limit ends it where no heartbeat comes
        assert ledger.acquire("long", "other", clock.now(), beat) is None
    assert ledger.acquire("long", "other", clock.now(), beat) is not None
    ledger.close()


@pytest.mark.servers("postgres")
@pytest.mark.parametrize("place", ["rebuild.parsed", "hot.filled", "rebuild.hot"])
def test_a_paused_holder_whose_lease_ended_is_refused_at_its_swap(
    tmp_path: Path, database: Callable[[], str], place: str
) -> None:
    url = database()
    filled(tmp_path / "ws", url)
    process = replaying(tmp_path / "ws", place, url)
    os.kill(process.pid, signal.SIGSTOP)
    ledger = open_ledger(url)
    try:
        held = ledger.lease(f"rebuild:{FEED}")
        assert held is not None and held.expires_at - NOW <= timedelta(minutes=3)
        assert ledger.acquire(f"rebuild:{FEED}", "the next", NOW + timedelta(minutes=2), timedelta(minutes=3)) is None
        later = NOW + timedelta(minutes=4)
        assert ledger.acquire(f"rebuild:{FEED}", "the next", later, timedelta(minutes=3)) is not None
    finally:
        os.kill(process.pid, signal.SIGCONT)
    told, error = process.communicate(b"\n", timeout=120)
    assert process.returncode == 1 and b"rebuilt" not in told
    assert b"LeaseLost" in error and b"the next has it with token 2" in error
    assert ledger.entries(FEED)[0].state in ("completed", "replaying")
    ledger.close()


def _taken_over(node: Node) -> None:
    later = NOW + timedelta(minutes=10)
    assert node.ledger.acquire(f"rebuild:{FEED}", "another", later, timedelta(hours=1)) is not None


def _at(place: str, act: Callable[[], None]) -> Callable[[str], None]:
    done: list[str] = []

    def reached(name: str) -> None:
        if name == place and not done:
            done.append(name)
            act()

    return reached
