"""SIGKILL of a real process at a random moment, with readers of its log and lake beside it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from carbon254.app import open_node
from carbon254.clock import ManualClock
from carbon254.settings import Settings
from carbon254.stores.lake import open_lake
from carbon254.stores.log import open_log

from .deliveries import NOW, PLACES, Expected, wrong
from .tiers import figure, seed_for, tally

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    seed = seed_for("random kills")
    chance = random.Random(seed)
    workspace, acks, starts = tmp_path / "ws", tmp_path / "acks", list[float]()
    with tally(2, "SIGKILL of a node", seed) as done:
        first = 0
        for _ in range(figure(4, 300)):
            said = len(lines(acks))
            began = time.monotonic()
            process = living(workspace, first, acks)
            with readers(workspace) as seen:
                wait_for(acks, said + 1, process)
                starts.append(time.monotonic() - began)
                # Somewhere in a delivery, however slow the machine is.
                wait_for(acks, said + 1 + chance.randint(0, 4), process)
                time.sleep(chance.uniform(0.01, 0.5))
                process.kill()
                process.wait()
            assert seen.wrong == []
            # The one under way may have been taken: it is delivered again, as a provider would be asked again.
            first = max([int(one) for one in lines(acks) if one != "open"], default=-1) + 1
            done.add(kills=1, reads=seen.reads)
        expected = Expected()
        with open_node(Settings(workspace=workspace), {}, ManualClock(NOW + timedelta(hours=1))) as node:
            node.runner.drain()
            held = {number_of(record.headers["received_at"]) for record in node.log.scan("raw.")}
            promised = {int(one) for one in lines(acks) if one != "open"}
            assert promised <= held and len(held - promised) <= figure(4, 300)
            for number in held:
                expected.add(number)
            assert wrong(node, expected) == []
        done.add(acknowledged=len(promised), slowest_restart_ms=round(max(starts) * 1000))


def number_of(received_at: str) -> int:
    from datetime import datetime

    return round((datetime.fromisoformat(received_at) - NOW).total_seconds())


def living(workspace: Path, first: int, acks: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
    command = [sys.executable, "-m", "reliability.living", str(workspace), str(first), str(acks)]
    with said_by(acks).open("ab") as said:
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=said)


def said_by(acks: Path) -> Path:
    return acks.with_suffix(".stderr")


def lines(acks: Path) -> list[str]:
    return acks.read_text().splitlines() if acks.exists() else []


def wait_for(acks: Path, many: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 300
    while len(lines(acks)) < many:
        assert process.poll() is None, f"the node ended by itself: {said_by(acks).read_text()[-2000:]}"
        assert time.monotonic() < end, "the node did not open within five minutes"
        time.sleep(0.01)


class Seen:
    """What a reader beside the node saw."""

    def __init__(self) -> None:
        self.reads, self.wrong, self.stop = 0, list[str](), threading.Event()


@contextmanager
def readers(workspace: Path) -> Iterator[Seen]:
    """One thread reads the log and one the lake, as other processes would, until the block ends."""
    seen = Seen()
    threads = [threading.Thread(target=read, args=(workspace, seen)) for read in (read_log, read_lake)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        seen.stop.set()
        for thread in threads:
            thread.join()


def read_log(workspace: Path, seen: Seen) -> None:
    while not seen.stop.wait(0.1):
        if not (workspace / "log.db").exists():
            continue
        log = open_log(workspace / "log.db")
        # Rows and the offset of what they were made from come together.
        done = log.offsets("normalise")
        rows = {record.headers["raw"] for record in log.scan("rows.")}
        carried = {record.offset for record in log.scan("raw.") if record.offset <= done.get(record.topic, 0)}
        if not carried <= rows:
            seen.wrong.append(f"carried without rows: {carried - rows}")
        seen.reads += 1
        log.close()


def read_lake(workspace: Path, seen: Seen) -> None:
    while not seen.stop.wait(0.2):
        if not (workspace / "lake" / "catalog.db").exists():
            continue
        try:
            lake = open_lake(workspace / "lake")
        except Exception:  # the catalog is just being made
            continue
        try:
            rows = lake.scan("interval_prices", columns=("payload", "location_id")).to_pylist()
        except FileNotFoundError:
            # An old snapshot's metadata may go while it is read; the next try sees the new one.
            continue
        finally:
            lake.close()
        payloads = {row["payload"] for row in rows}
        if len(rows) != len(payloads) * len(PLACES):
            seen.wrong.append(f"{len(rows)} rows of {len(payloads)} payloads in the lake")
        seen.reads += 1


pytestmark = pytest.mark.xdist_group("processes")
