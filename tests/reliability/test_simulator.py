"""Seeded days of a whole node among faults, judged by a twin: see `simulator`."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from carbon254 import faults
from carbon254.stores.log import NewRecord, open_log

from .simulator import Fault, lives, simulate
from .tiers import figure, seed_for, tally

WANTED = ("died", "refused", "fetched new", "fetched repeated", "step the clock")


@pytest.mark.slow
def test_no_seed_breaks_a_promise() -> None:
    seed = seed_for("simulator")
    with tally(13, "simulator", seed) as done, lives() as made:
        end, number, total = time.monotonic() + figure(12, 3_600), 0, Counter[str]()
        while number < figure(300, 20_000) and (time.monotonic() < end or number < 3):
            total += simulate(made, seed, number)
            number += 1
        points = sum(name.startswith("at ") for name in total)
        done.add(seeds=number, requests=total["requests"], payloads=total["payloads"], points_struck=points)
        done.add(deaths=total["died"], refusals=total["refused"], as_of=total["as-of questions"])
        assert all(total[name] for name in WANTED), f"the cases are too tame: {total}"


@pytest.mark.slow
def test_an_error_as_a_transaction_begins_leaves_none_open(tmp_path: Path) -> None:
    log, fault = open_log(tmp_path / "log.db"), Fault(1, dies=False)
    with faults.armed(fault), pytest.raises(OSError, match="no space"):
        log.append([NewRecord("rows.a", None, {}, b"1")])
    assert fault.name == "log.begun"
    assert len(log.append([NewRecord("rows.a", None, {}, b"2")])) == 1
    log.close()
