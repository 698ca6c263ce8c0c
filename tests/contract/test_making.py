"""Processes that open stores of a fresh folder at once: one makes them, and all of them can go on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

_AT_ONCE = 3
_OPEN = """
import sys, time
from pathlib import Path
from carbon254.stores.lake import open_lake
from carbon254.stores.ledger import open_ledger
from carbon254.stores.metrics import open_metrics
root, kind = Path(sys.argv[1]), sys.argv[2]
opened = {
    "lake": lambda at: open_lake(at / "lake"),
    "ledger": lambda at: open_ledger(f"sqlite:///{at / 'ledger.db'}"),
    "quality": lambda at: open_metrics(f"sqlite:///{at / 'quality.db'}"),
}[kind]
print("ready", flush=True)
for folder in sys.stdin:
    opened(root / folder.strip())
    print("opened", flush=True)
"""


@pytest.mark.parametrize("kind", ["lake", "ledger", "quality"])
def test_a_store_that_several_make_at_once_opens_for_all(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", _OPEN, str(tmp_path), kind]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(_AT_ONCE)
    ]
    rounds = 25
    try:
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for number in range(rounds):
            (tmp_path / str(number)).mkdir()
            for process in processes:
                assert process.stdin is not None
                os.write(process.stdin.fileno(), b"%d\n" % number)
            for process in processes:
                assert process.stdout is not None
                if process.stdout.readline() != "opened\n":
                    process.wait(10)
                    assert process.stderr is not None
                    pytest.fail(f"round {number}: {process.stderr.read()[-2000:]}")
    finally:
        for process in processes:
            process.kill()
            process.communicate()
