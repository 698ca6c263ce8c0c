"""A writer killed at any moment loses nothing it acknowledged, and doing all of it again adds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from given_rows import T0, opened, price, prices

from carbon254.stores.hot import HotStore

PLACES, BATCHES = 200, 400


def insert(hot: HotStore, batch: int) -> None:
    start = T0 + timedelta(minutes=5 * batch)
    hot.insert("interval_prices", prices(*(price(f"P{n}", start) for n in range(PLACES))), f"batch-{batch}")


@pytest.mark.slow
def test_killed_while_inserting(tmp_path: Path) -> None:
    acknowledged = tmp_path / "acknowledged"
    writer = subprocess.Popen([sys.executable, __file__, str(tmp_path), str(acknowledged)])
    try:
        wait_for(acknowledged, 8, writer)
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    done = int(acknowledged.read_text().splitlines()[-1])
    with opened(tmp_path) as hot:
        held = hot.fetch("SELECT count() AS n FROM store.interval_prices")["n"][0].as_py()
        assert held in (done * PLACES, (done + 1) * PLACES)
        for batch in range(done + 3):
            insert(hot, batch)
        assert hot.fetch("SELECT count() AS n FROM store.interval_prices")["n"][0].as_py() == (done + 3) * PLACES
        assert hot.count("interval_prices") == (done + 3) * PLACES


def wait_for(file: Path, lines: int, writer: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while not file.exists() or len(file.read_text().splitlines()) < lines:
        assert writer.poll() is None, "the writer ended by itself"
        assert time.monotonic() < until, "the writer is too slow"
        time.sleep(0.01)


def main(folder: Path, acknowledged: Path) -> None:
    with opened(folder) as hot, acknowledged.open("a") as out:
        for batch in range(BATCHES):
            insert(hot, batch)
            out.write(f"{batch + 1}\n")
            out.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
