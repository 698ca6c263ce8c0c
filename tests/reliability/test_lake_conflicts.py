"""Four processes append to one Iceberg table and are killed in it: every batch is there exactly once, and readable."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from contract.outside import files_in, metadata_of

from carbon254.stores.lake import open_lake

from .appending import TABLE, main
from .tiers import figure, seed_for, tally

TESTS = Path(__file__).parents[1]
WRITERS = 4
pytestmark = pytest.mark.xdist_group("processes")


@pytest.mark.slow
def test_writers_that_race_and_die_store_each_batch_once(tmp_path: Path) -> None:
    seed, many = seed_for("Iceberg conflicts"), figure(16, 400)
    chance, kills = random.Random(seed), 0
    folder, acks = tmp_path / "lake", tmp_path / "acks"
    with tally(21, "Iceberg conflicts", seed) as done:
        open_lake(folder).close()
        writers = [_writer(folder, acks, many) for _ in range(WRITERS)]
        while any(one.poll() is None for one in writers):
            time.sleep(chance.uniform(0.2, 1.0))
            at = chance.randrange(WRITERS)
            if kills < figure(4, 80) and writers[at].poll() is None and acks.exists():
                writers[at].kill()
                writers[at].wait()
                writers[at] = _writer(folder, acks, many)
                kills += 1
        # Whatever the last one left unfinished is finished here.
        main(folder, acks, many)
        said = Counter(acks.read_text().split("\n"))
        assert all(said[str(number)] <= 1 for number in range(1, many + 1)), (
            "two writers were told they stored one batch"
        )
        _judge(folder, many)
        lost = sum(count for line, count in said.items() if line.startswith("lost"))
        done.add(commits=many, kills=kills, races_lost=lost)


def _judge(folder: Path, many: int) -> None:
    lake = open_lake(folder)
    rows = Counter(row["benchmark"] for row in lake.scan(TABLE, columns=("benchmark",)).to_pylist())
    assert rows == Counter(f"B{number}_{n}" for number in range(1, many + 1) for n in range(3))
    assert (lake.offset(TABLE), lake.count(TABLE)) == (many, 3 * many)
    lake.close()
    # An outside reader of the catalog's database finds the same: as many appends as batches, three rows each.
    added = [snapshot["summary"] for snapshot in metadata_of(folder, TABLE)["snapshots"]]
    assert [one["added-records"] for one in added] == ["3"] * many
    referenced = files_in(folder, TABLE)
    assert all(path.exists() for path in referenced) and len(set(referenced)) == len(referenced) == many


def _writer(folder: Path, acks: Path, many: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
    command = [sys.executable, "-m", "reliability.appending", str(folder), str(acks), str(many)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
