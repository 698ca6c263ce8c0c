"""One job by several engines: JSON ticks of a Kafka topic → enriched → Avro records on a Kafka topic.

Each engine is a process of its own, reads the same topic and writes to the same topic, one after the other: first a
flood of ticks, then as many a second as a desk sees, each with its own time from sent to read again. Ours does more on
the way (raw bytes archived, gate, rows of the log, everything once); what each engine promises is in its line.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import peers
import servers
import shapes
from confluent_kafka import Consumer, Producer, TopicPartition
from servers.process import wait_until

from carbon254.cli.bootstrap import topics
from carbon254.model import dataset
from carbon254.model.avro import published_schema
from carbon254.stores.log.kafka import Cluster, ensure
from carbon254.wire.registry import SchemaRegistry

HERE = Path(__file__).parent
PEERS = ("quixstreams==3.28.1", "bytewax==0.21.1", "fastavro==1.13.1", "orjson==3.13.0")
SOURCE, TARGET, PREFIX = "ingestion.market.ticks.raw.v1", "enriched.market.ticks.v1", "streams."
FIXED = {"commodity": "unspecified", "region": "PUSHED", "product_tier": "unspecified", "feed": "market.ticks"}
_WARM_S, _LIMIT_S = 60.0, 90.0


class Line:
    """The two ends of the job: sends ticks, reads what became of them."""

    def __init__(self, bootstrap: str, schema: dict[str, Any]) -> None:
        self._schema = fastavro.parse_schema(schema)
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 2, "log_level": 0})
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "line", "isolation.level": "read_committed",
             "enable.auto.commit": False, "fetch.wait.max.ms": 10, "log_level": 0}
        )  # fmt: skip
        found = self._consumer.list_topics(PREFIX + TARGET, timeout=10).topics[PREFIX + TARGET]
        places = [TopicPartition(PREFIX + TARGET, part) for part in found.partitions]
        for place in places:
            # A topic that was just made may have no leader yet.
            wait_until(lambda place=place: self._end(place) >= 0, 15)
            place.offset = self._end(place)
        self._consumer.assign(places)
        self._next = 0

    def _end(self, place: TopicPartition) -> int:
        return self._consumer.get_watermark_offsets(place, timeout=10)[1]

    def send(self, count: int, rate: float = 0.0) -> dict[int, float]:
        """When each tick was sent, by its number."""
        ticks = shapes.ticks_ndjson(count, sequence=self._next).splitlines()
        sent, begin = {}, time.perf_counter()
        for number, tick in enumerate(ticks):
            if rate:
                time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
            sent[self._next + number] = time.perf_counter()
            while True:
                try:
                    self._producer.produce(PREFIX + SOURCE, tick, f"NG_HH_{number % 50}".encode())
                    break
                except BufferError:
                    self._producer.poll(0.05)
            self._producer.poll(0)
        self._producer.flush(30)
        self._next += count
        return sent

    def read(self, seconds: float) -> tuple[float, list[bytes]]:
        """(when they were read, records that came within a while)."""
        messages = self._consumer.consume(10_000, seconds)
        return time.perf_counter(), [one.value() for one in messages if one.error() is None]

    def number(self, body: bytes) -> int:
        """Which tick a record is of."""
        row: Any = fastavro.schemaless_reader(io.BytesIO(body[5:]), self._schema, None)
        return int(row["event_id"].removeprefix("seq:"))

    def warm(self, process: subprocess.Popen[bytes]) -> None:
        """Send single ticks until one comes out, then wait until it is quiet."""
        until = time.perf_counter() + _WARM_S
        while not self.read(0.2)[1]:
            if time.perf_counter() > until or process.poll() is not None:
                raise RuntimeError("it carried nothing")
            self.send(20)
        while self.read(1.5)[1]:
            pass

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def measured(line: Line, flood: int, steady: int, rate: float) -> dict[str, Any]:
    """Ticks a second of the flood, and waits of single ticks at the steady rate."""
    begin, count, last = time.perf_counter(), 0, 0.0
    line.send(flood)
    while count < flood and time.perf_counter() < begin + _LIMIT_S:
        at, bodies = line.read(0.2)
        count, last = count + len(bodies), at if bodies else last
    if count < flood:
        raise RuntimeError(f"{count} of {flood} ticks came out in {_LIMIT_S:.0f} s")
    waits = np.array(_waits(line, steady, rate)) * 1_000
    p50, p95, p99 = (round(float(one), 1) for one in np.percentile(waits, [50, 95, 99]))
    return {"ticks_per_s": int(flood / (last - begin)), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def _waits(line: Line, steady: int, rate: float) -> list[float]:
    import threading

    sent: dict[int, float] = {}
    sender = threading.Thread(target=lambda: sent.update(line.send(steady, rate)))
    begin = time.perf_counter()
    sender.start()
    read: dict[int, float] = {}
    while len(read) < steady and time.perf_counter() < begin + _LIMIT_S:
        at, bodies = line.read(0.005)
        read |= {line.number(body): at for body in bodies}
    sender.join()
    return [at - sent[number] for number, at in read.items()]


@contextmanager
def running(command: Sequence[str], journal: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The job's process."""
    mine = command[0] == sys.executable
    env = os.environ | {"PYTHONPATH": str(HERE.parent) if mine else str(HERE / "jobs"), "PYTHONWARNINGS": "ignore"}
    with journal.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=journal.parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def side_by_side(bootstrap: str, folder: Path, flood: int, steady: int, rate: float) -> dict[str, Any]:
    """Each engine's numbers by its name, or why there are none."""
    if reason := servers.missing("registry"):
        return {"streams": f"skipped: {reason}"}
    cluster = Cluster(bootstrap, prefix=PREFIX)
    ensure(cluster, cluster.admin(), topics())
    schema, _ = published_schema(dataset("market_ticks"), "market.ticks")
    python, reason = peers.interpreter(folder, PEERS)
    with servers.registry() as schemas:
        client = SchemaRegistry(schemas.url)
        told = {"schema": schema, "id": client.ensure(PREFIX + TARGET, schema)[0], "fixed": FIXED}
        client.close()
        facts = folder / "job.json"
        facts.write_text(json.dumps(told), "utf-8")
        same = [bootstrap, PREFIX + SOURCE, PREFIX + TARGET, str(facts)]
        jobs = {"ours_exactly_once": [sys.executable, "ours.py", bootstrap, PREFIX, schemas.url, str(folder / "ws")]}
        if python:
            jobs |= {
                "quix_exactly_once": [python, "quix.py", *same, "exactly-once", str(folder / "quix1")],
                "quix_at_least_once": [python, "quix.py", *same, "at-least-once", str(folder / "quix2")],
                "bytewax_at_least_once": [python, "wax.py", *same],
            }
        found: dict[str, Any] = {} if python else {"quix, bytewax": f"skipped: {reason}"}
        for name, (program, script, *words) in jobs.items():
            command = [program, str(HERE / "jobs" / script), *words]
            found |= _one(name, command, folder, Line(bootstrap, schema), (flood, steady, rate))
    return found


def _one(name: str, command: Sequence[str], folder: Path, line: Line, how: tuple[int, int, float]) -> dict[str, Any]:
    journal = folder / f"{name}.log"
    try:
        with running(command, journal) as process:
            line.warm(process)
            return {f"{name}_{key}": value for key, value in measured(line, *how).items()}
    except RuntimeError as error:
        said = " / ".join(journal.read_text("utf-8", "replace").strip().splitlines()[-3:])[-400:]
        return {name: f"skipped: {error}: {said}"}
    finally:
        line.close()
