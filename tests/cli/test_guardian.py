"""What tests start ends with them: also what detached itself, also when the tests are killed without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from guardian import MARK, marked

_TESTS = Path(__file__).parents[1]
_RUN = """
import subprocess, sys, time
from guardian import guard
print(guard(), flush=True)
subprocess.Popen(["sleep", "600"])
subprocess.Popen(["sleep", "600"], start_new_session=True)
subprocess.run(["sh", "-c", "sleep 600 & exit"])
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
def test_interrupted_tests_leave_nothing_running(ending: signal.Signals) -> None:
    env = {name: value for name, value in os.environ.items() if name != MARK}
    run = subprocess.Popen([sys.executable, "-c", _RUN], cwd=_TESTS, env=env, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    mark = run.stdout.readline().strip()
    assert run.stdout.readline() == "started\n"
    assert len(marked(mark)) >= 3
    run.send_signal(ending)
    run.wait(60)
    end = time.monotonic() + 60
    while marked(mark):
        assert time.monotonic() < end, f"processes {marked(mark)} outlived their tests"
        time.sleep(0.05)


def test_these_tests_are_guarded_too() -> None:
    assert os.environ.get(MARK)
