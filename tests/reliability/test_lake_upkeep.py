"""Two processes append to one Iceberg table while two others merge its files and forget its snapshots; all are killed.

Every batch is there exactly once, its rows hash to what they should, and all that is left over belongs to no snapshot.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from carbon254.model import dataset
from carbon254.model.iceberg import plain_schema
from carbon254.proof import rows_hash
from carbon254.stores.lake import open_lake

from .appending import TABLE, main, rows
from .tiers import figure, seed_for, tally

TESTS = Path(__file__).parents[1]
pytestmark = pytest.mark.xdist_group("processes")


@pytest.mark.slow
def test_upkeep_among_writers_that_die_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    seed, many = seed_for("lake upkeep"), figure(10, 300)
    chance, kills = random.Random(seed), 0
    folder, acks, ends = tmp_path / "lake", tmp_path / "acks", tmp_path / "ends"
    commands = [("appending", acks, str(many)), ("appending", acks, str(many)), ("merging", ends), ("merging", ends)]
    with tally(21, "lake upkeep among writers", seed) as done:
        open_lake(folder).close()
        running = [_started(folder, *one) for one in commands]
        try:
            while any(one.poll() is None for one in running[:2]):
                time.sleep(chance.uniform(0.5, 1.5))
                at = chance.randrange(len(running))
                if kills < figure(4, 80) and acks.exists() and (running[at].poll() is None or at > 1):
                    running[at].kill()
                    running[at].wait()
                    running[at] = _started(folder, *commands[at])
                    kills += 1
        finally:
            ends.touch()
            for one in running:
                one.wait()
        main(folder, acks, many)
        _judge(folder, many)
        done.add(commits=many, kills=kills)


def _judge(folder: Path, many: int) -> None:
    wanted = pa.concat_tables(rows(number) for number in range(1, many + 1))
    wanted = wanted.select(dataset(TABLE).names).cast(plain_schema(dataset(TABLE)))
    lake, later = open_lake(folder), datetime.now(UTC) + timedelta(days=1)
    for _ in range(2):
        assert rows_hash(lake.scan(TABLE)).hash == rows_hash(wanted).hash
        assert (lake.offset(TABLE), lake.count(TABLE)) == (many, 3 * many)
        list(lake.compact(TABLE, later))
        lake.expire(TABLE, later)
        lake.remove(lake.orphans(TABLE, later))
    (told,) = lake.stats(later)
    assert (told.files, told.partitions, told.snapshots) == (1, 1, 1) and lake.orphans(TABLE, later) == []
    lake.close()


def _started(folder: Path, name: str, *arguments: Path | str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
    command = [sys.executable, "-m", f"reliability.{name}", str(folder), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
