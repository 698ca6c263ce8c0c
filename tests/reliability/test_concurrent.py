"""Four writers and eight readers at once: whatever a reader sees is what some moment's commits add up to.

Each writer inserts batches of its own; a reader asks for count, sum and hash of every writer's rows in one statement.
Every triple must be one that follows from a whole number of that writer's batches, and no reader may go back in time.
Rebuilds and merges go on meanwhile.
"""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from contract.given_rows import T0, opened, price, prices

from carbon254.stores.hot import HotStore

from .tiers import figure, seed_for, tally

WRITERS, READERS, ROWS = 4, 8, 60
SECONDS = figure(6, 600)
_SQL = (
    "SELECT substring(location_id, 1, 2) AS writer, count() AS n, sum(toInt64(lmp)) AS total, "
    "groupBitXor(sipHash64(location_id, toInt64(lmp))) AS hash FROM interval_prices "
    "WHERE startsWith(location_id, 'W') GROUP BY writer"
)
State = tuple[int, int, int]


def batch(writer: int, number: int) -> pa.Table:
    at = T0 + timedelta(minutes=5 * (number % 2_000))
    return prices(*(price(f"W{writer}_{number}_{n}", at, float(number * ROWS + n)) for n in range(ROWS)))


class Reading:
    """What one reader saw: every state of every writer, in order."""

    def __init__(self) -> None:
        self.seen: dict[int, list[State]] = {writer: [] for writer in range(WRITERS)}
        self.trouble: list[BaseException] = []

    def run(self, hot: HotStore, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                for row in hot.query(_SQL).to_pylist():
                    self.seen[int(row["writer"][1:])].append((row["n"], row["total"], row["hash"]))
        except BaseException as error:
            self.trouble.append(error)
            raise


@pytest.mark.slow
def test_every_read_is_a_state_that_was_committed(tmp_path: Path) -> None:
    seed = seed_for("concurrency")
    with tally(12, f"{WRITERS} writers, {READERS} readers", seed) as done, opened(tmp_path) as hot:
        stop, written = threading.Event(), [0] * WRITERS
        readings = [Reading() for _ in range(READERS)]
        threads = [threading.Thread(target=write, args=(hot, number, written, stop)) for number in range(WRITERS)]
        threads += [threading.Thread(target=one.run, args=(hot, stop)) for one in readings]
        for thread in threads:
            thread.start()
        rebuilt = stir(hot, random.Random(seed))
        stop.set()
        for thread in threads:
            thread.join()
        for reading in readings:
            assert reading.trouble == []
        states = [committed(hot, writer, written[writer]) for writer in range(WRITERS)]
        for reading in readings:
            for writer, seen in reading.seen.items():
                assert set(seen) <= set(states[writer]), f"writer {writer}: half a batch was seen"
                assert [one[0] for one in seen] == sorted(one[0] for one in seen), "a reader went back in time"
        reads = sum(len(seen) for reading in readings for seen in reading.seen.values())
        assert reads > READERS and min(written) > 2 and rebuilt
        done.add(seconds=SECONDS, batches=sum(written), states_read=reads, rebuilds=rebuilt)


def write(hot: HotStore, writer: int, written: list[int], stop: threading.Event) -> None:
    while not stop.is_set():
        hot.insert("interval_prices", batch(writer, written[writer]), f"w{writer}-{written[writer]}")
        written[writer] += 1


def stir(hot: HotStore, chance: random.Random) -> int:
    """Rebuilds of another feed in the same partition, and merges, for as long as the test takes."""
    end, rebuilt = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        rows = prices(*(price(f"R{n}", T0, chance.uniform(0, 9), feed="iso.da.lmp.spp") for n in range(5)))
        hot.replace_span("interval_prices", "iso.da.lmp.spp", T0, T0 + timedelta(days=1), rows)
        rebuilt += 1
        if rebuilt % 4 == 0:
            hot.command("OPTIMIZE TABLE store.interval_prices")
        time.sleep(0.05)
    return rebuilt


def committed(hot: HotStore, writer: int, batches: int) -> list[State]:
    """Every state that the writer's commits went through. The hash of a row is asked of the engine, one by one."""
    sql = (
        f"SELECT location_id, toInt64(lmp) AS v, sipHash64(location_id, toInt64(lmp)) AS h FROM interval_prices "
        f"WHERE startsWith(location_id, 'W{writer}_')"
    )
    mine: dict[int, list[tuple[int, int]]] = {}
    for row in hot.fetch(sql).to_pylist():
        mine.setdefault(int(row["location_id"].split("_")[1]), []).append((row["v"], row["h"]))
    # The oracle: whole batches in their order, each of ROWS rows with the prices that were written.
    assert {number: sorted(v for v, _ in rows) for number, rows in mine.items()} == {
        number: list(range(number * ROWS, (number + 1) * ROWS)) for number in range(batches)
    }
    found, count, total, mark = list[State](), 0, 0, 0
    for number in range(batches):
        for value, digest in mine[number]:
            count, total, mark = count + 1, total + value, mark ^ digest
        found.append((count, total, mark))
    return found
