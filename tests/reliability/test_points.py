"""Crash at every named point of the commit recipe: a fork that ends there, again and again in one folder.

After every death the folder is opened as a restart would, and judged by what had been acknowledged.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from carbon254 import faults

from .oracle import Oracle
from .recipe import speaking_to, work
from .sites import light, points
from .tiers import figure, seed_for, tally

DIED = 9
AGAIN = figure(8, 500)


def dying_at(name: str, visit: int) -> faults.Action:
    """End the process, without any farewell, at the `visit`-th time it comes to `name`."""
    left = [visit]

    def action(reached: str) -> None:
        if reached == name:
            left[0] -= 1
            if not left[0]:
                os._exit(DIED)

    return action


def run(folder: Path, first: int, name: str, visit: int) -> tuple[int, list[str]]:
    """(exit status, acknowledgements) of a fork that works from payload `first` and dies at a point."""
    heard, speaks = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(heard)
            faults.arm(dying_at(name, visit))
            work(folder, first, 3, speaking_to(speaks))
            status = 0
        finally:
            os._exit(status)
    os.close(speaks)
    with os.fdopen(heard) as said:
        lines = said.read().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), lines


def test_there_are_enough_points() -> None:
    assert len(points()) >= 40


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", light())
def test_what_was_acknowledged_is_there_after_a_crash_at(name: str, tmp_path: Path) -> None:
    seed = seed_for(name)
    chance = random.Random(f"{seed}{name}")
    with tally(1, f"crash at {name}", seed) as done:
        died, oracle, first = 0, Oracle(), 0
        for _ in range(AGAIN):
            oracle.begun |= set(range(first, first + 3))
            status, said = run(tmp_path, first, name, chance.randint(1, 2))
            assert status in (0, DIED), f"ended with {status}"
            died += status == DIED
            oracle.hear(said)
            wrong = oracle.judge(tmp_path)
            assert not wrong, f"after crash {died}: {wrong}"
            first += 3
        assert died >= AGAIN // 3, f"{name} was reached {died} times in {AGAIN} runs"
        status, said = run(tmp_path, first, "", 0)
        oracle.begun |= set(range(first, first + 3))
        oracle.hear(said)
        assert (status, oracle.judge(tmp_path)) == (0, [])
        done.add(crashes=died, restarts=AGAIN + 1)
