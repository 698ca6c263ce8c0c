"""What the demo asks for, and that its page is fed: the last hour in quick steps, and ticks."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from shell import environment, typed

from carbon254.cli.seeding import live_topics
from carbon254.feeds import feeds
from carbon254.poller import newest
from carbon254.workspace import Workspace

_PATIENCE_S = 180.0


def test_live_feeds_are_those_of_a_few_minutes_published_within_the_hour() -> None:
    found = live_topics()
    assert {"iso.rt.lmp.caiso", "iso.rt.lmp.nyiso", "iso.rt.lmp.spp", "iso.rt.lmp.ercot"} <= set(found)
    assert not {"iso.da.lmp.pjm", "iso.rt5.lmp.pjm", "iso.rth.lmp.miso", "energy.spot.eia"} & set(found)


@pytest.mark.parametrize("topic", ["iso.rt.lmp.caiso", "iso.hasp.lmp.caiso", "iso.da.lmp.nyiso"])
def test_polling_again_within_an_interval_asks_the_same(topic: str) -> None:
    stream = feeds()[topic].stream
    at = datetime(2025, 7, 1, 12, 0, tzinfo=UTC)
    early, late = newest(stream, at + timedelta(seconds=7)), newest(stream, at + timedelta(minutes=4, seconds=50))
    assert early == late
    assert all(moment.timestamp() % stream.resolution.total_seconds() == 0 for moment in early)
    assert early[0] < at <= early[1]
    assert newest(stream, at + stream.resolution) != early


def _asked(workspace: Path, statement: str) -> str:
    said = typed("sql", statement, "-w", workspace, "--format", "csv")
    assert said.code == 0, said
    return said.out.split("\n", 1)[1].strip()


@pytest.mark.slow
def test_the_last_hour_arrives_in_steps_and_ticks_all_along(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    command = [sys.executable, "-m", "carbon254.cli", "demo", "--port", "0", "--days", "1", "-w", str(workspace)]
    child = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        _until(lambda: workspace.exists() and Workspace(workspace).running() is not None)
        for question in (
            "SELECT max(interval_end) FROM current_prices WHERE market = 'NYISO' AND market_run = 'RTD'",
            "SELECT max(event_time) FROM market_ticks",
        ):
            before = _asked(workspace, question)
            _until(lambda asked=question, then=before: _asked(workspace, asked) > then)
        assert typed("stop", "-w", workspace).code == 0
        out, err = child.communicate(timeout=30)
    finally:
        child.kill()
    assert (child.returncode, err.decode()) == (0, "")
    assert b"live page: http://127.0.0.1:" in out


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.5)
