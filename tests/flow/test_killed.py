"""Killed with SIGKILL at random moments while ingesting: what is stored equals an unbroken run's.

Over the night the clock falls back; arrival times are the emulator's. The seed of the moments is printed, and
`KILL_SEED` replays it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carbon254.emulator.server import running

TESTS = Path(__file__).parents[1]
DAY = "2025-11-02"
NOW = datetime(2025, 11, 6, 12, tzinfo=UTC)
KILLS = 30


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(TESTS)}


def ingesting(workspace: Path, url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "flow.ingesting", str(workspace), url, DAY]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE)


def hashes(workspace: Path) -> dict[str, dict[str, object]]:
    command = [sys.executable, "-m", "carbon254.cli", "verify", "--hash", "--json", "--workspace", str(workspace)]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def verdicts(workspace: Path) -> list[dict[str, object]]:
    ask = "SELECT * FROM verdicts ORDER BY feed, market_day"
    command = [sys.executable, "-m", "carbon254.cli", "sql", ask, "--workspace", str(workspace), "--format", "json"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_thirty_kills_leave_what_an_unbroken_run_leaves(tmp_path: Path) -> None:
    seed = int(os.environ.get("KILL_SEED", str(random.SystemRandom().randrange(1 << 30))))
    sys.stdout.write(f"KILL_SEED={seed}\n")
    moments = random.Random(seed)
    with running(seed=254, now=NOW) as emulator:
        began = time.monotonic()
        whole = ingesting(tmp_path / "whole", emulator.url)
        assert whole.wait(timeout=300) == 0, whole.stderr and whole.stderr.read().decode()
        took = time.monotonic() - began
        killed = 0
        for _ in range(10 * KILLS):
            process = ingesting(tmp_path / "broken", emulator.url)
            try:
                process.wait(timeout=moments.uniform(0.5, took))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
            if killed == KILLS:
                break
        assert killed == KILLS
        last = ingesting(tmp_path / "broken", emulator.url)
        assert last.wait(timeout=300) == 0, last.stderr and last.stderr.read().decode()
    expected = hashes(tmp_path / "whole")
    assert expected["interval_prices"]["rows"] > 5_000  # type: ignore[operator]
    assert expected["ohlc_bars"]["rows"] > 5_000  # type: ignore[operator]
    found = hashes(tmp_path / "broken")
    # Verdicts too, whole: scores, numbers, and the moments they speak of.
    assert verdicts(tmp_path / "broken") == verdicts(tmp_path / "whole")
    assert found == expected
    assert found["verdicts"]["rows"] > 0  # type: ignore[operator]
