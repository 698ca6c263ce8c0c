"""Budgets and breakers: one file for all threads and processes, and nobody is told that it is locked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest

from carbon254.errors import TransientError
from carbon254.feeds import budget as budgets
from carbon254.feeds.budget import open_budget


def test_the_budget_spaces_calls_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "budget.db"
    waits = [open_budget(path).take("host", 5.0, 1, 1_000.0) for _ in range(4)]
    assert waits == [0.0, 5.0, 10.0, 15.0]
    assert open_budget(path).take("host", 5.0, 1, 1_100.0) == 0.0


def test_a_burst_is_allowed_and_then_spaced(tmp_path: Path) -> None:
    budget = open_budget(tmp_path / "budget.db")
    assert [budget.take("host", 5.0, 3, 1_000.0) for _ in range(5)] == [0.0, 0.0, 0.0, 5.0, 10.0]


def test_processes_together_never_exceed_the_budget(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from carbon254.feeds.budget import open_budget\n"
        f"b = open_budget(pathlib.Path({str(tmp_path / 'budget.db')!r}))\n"
        "for _ in range(20): print(b.take('host', 5.0, 1, 1000.0))"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    waits = sorted(float(line) for worker in workers for line in worker.communicate(timeout=60)[0].split())
    assert waits == [5.0 * n for n in range(60)]


def test_processes_together_keep_the_interval_on_the_wall_clock(tmp_path: Path) -> None:
    interval_s, burst = 0.02, 3
    code = (
        "import pathlib, time; from carbon254.feeds.budget import open_budget\n"
        f"b = open_budget(pathlib.Path({str(tmp_path / 'budget.db')!r}))\n"
        "for _ in range(15):\n"
        f"    now = time.time(); wait = b.take('host', {interval_s}, {burst}, now)\n"
        "    time.sleep(wait); print(repr(now + wait))"
    )
    began = time.time()
    workers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    calls = sorted(float(line) for worker in workers for line in worker.communicate(timeout=60)[0].split())
    assert len(calls) == 45 and began <= calls[0]
    # Any run of calls takes as long as its intervals, less those that the burst gives away.
    for first in range(45):
        for last in range(first + burst, 45):
            assert calls[last] - calls[first] >= (last - first - burst + 1) * interval_s - 1e-4


def test_a_pause_holds_every_call_back_and_never_shortens(tmp_path: Path) -> None:
    budget = open_budget(tmp_path / "budget.db")
    budget.pause("host", 1_040.0)
    budget.pause("host", 1_010.0)
    assert [budget.take("host", 5.0, 1, 1_000.0) for _ in range(2)] == [40.0, 45.0]
    assert budget.take("other", 5.0, 1, 1_000.0) == 0.0


def test_threads_share_one_budget(tmp_path: Path) -> None:
    budget, trouble = open_budget(tmp_path / "budget.db"), []

    def work() -> None:
        try:
            for number in range(100):
                budget.take("host", 5.0, 1, 1_000.0)
                budget.validators(f"url{number}")
                budget.note("host", False, 1_000.0, 10_000)
                budget.failures("host")
        except Exception as error:
            trouble.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (trouble, budget.failures("host")) == ([], (400, None))
    assert budget.take("host", 5.0, 1, 1_000.0) == 5.0 * 400


def test_processes_count_failures_together_and_a_restart_remembers(tmp_path: Path) -> None:
    code = (
        "import pathlib; from carbon254.feeds.budget import open_budget\n"
        f"b = open_budget(pathlib.Path({str(tmp_path / 'budget.db')!r}))\n"
        "for _ in range(50): b.note('host', False, 1000.0, 150)"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert open_budget(tmp_path / "budget.db").failures("host") == (150, 1_000.0)


@pytest.mark.slow
def test_processes_may_open_a_new_budget_at_once(tmp_path: Path) -> None:
    for attempt in range(8):
        path, (ready, go) = tmp_path / f"{attempt}.db", os.pipe()
        children = []
        for _ in range(8):
            if (child := os.fork()) == 0:
                os.close(go)
                os.read(ready, 1)
                status = 1
                try:
                    open_budget(path).note("host", False, 1_000.0, 100)
                    status = 0
                finally:
                    os._exit(status)
            children.append(child)
        os.close(go)
        os.close(ready)
        assert {os.waitpid(child, 0)[1] for child in children} == {0}
        assert open_budget(path).failures("host") == (8, None)


def test_a_busy_file_is_waited_for(tmp_path: Path) -> None:
    budget = open_budget(tmp_path / "budget.db")
    other = apsw.Connection(str(tmp_path / "budget.db"))
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    budget.note("host", False, 1_000.0, 5)
    assert budget.take("host", 5.0, 1, 1_000.0) == 0.0
    assert budget.failures("host") == (1, None)
    release.join()


def test_a_file_that_stays_busy_is_a_trouble_that_may_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "_BUSY_MS", 50)
    budget = open_budget(tmp_path / "budget.db")
    other = apsw.Connection(str(tmp_path / "budget.db"))
    other.execute("BEGIN IMMEDIATE")
    for attempt in (
        lambda: budget.note("host", False, 1.0, 5),
        lambda: open_budget(tmp_path / "budget.db").pause("h", 1.0),
    ):
        with pytest.raises(TransientError, match=r"budget\.db"):
            attempt()
    other.execute("COMMIT")
    budget.note("host", False, 1.0, 5)
    assert budget.failures("host") == (1, None)


def test_a_success_forgets_the_failures(tmp_path: Path) -> None:
    budget = open_budget(tmp_path / "budget.db")
    for at in range(3):
        budget.note("host", False, 1_000.0 + at, 3)
    assert budget.failures("host") == (3, 1_002.0)
    budget.note("host", True, 1_010.0, 3)
    assert budget.failures("host") == (0, None)
    budget.note("host", False, 1_011.0, 1)
    assert budget.failures("host") == (1, 1_011.0)


def test_opening_waits_for_a_process_that_writes_before_the_file_is_in_wal_mode(tmp_path: Path) -> None:
    """SQLite does not wait here by itself, whatever its busy timeout."""
    other = apsw.Connection(str(tmp_path / "budget.db"))
    other.execute("CREATE TABLE first (a); BEGIN IMMEDIATE")
    release = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    release.start()
    assert open_budget(tmp_path / "budget.db").failures("host") == (0, None)
    release.join()
