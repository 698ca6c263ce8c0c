"""Two services of one stage: they share the work, one takes over from the other, and each tick is carried once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from carbon254.engine.codec import decode
from carbon254.stores.log.kafka import Cluster, KafkaLog
from servers.deployment import Deployment, Service, deployment, until
from servers.pushed import push, tick

pytestmark = pytest.mark.servers("kafka", "minio")
_ROWS = "c254_rows_ingested_total"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Deployment]:
    with deployment(tmp_path, "share.", ("kafka", "minio")) as made:
        made.bootstrap()
        yield made


@pytest.fixture
def log(desk: Deployment) -> Iterator[KafkaLog]:
    """The log as an onlooker reads it."""
    opened = KafkaLog(Cluster(desk.env["C254_KAFKA_BOOTSTRAP"], prefix="share."), desk.folder / "onlooker")
    yield opened
    opened.close()


def carried(log: KafkaLog) -> Counter[str]:
    """How often each tick is in the rows."""
    tables = [pl.DataFrame(decode(one.body).select(["event_id"])) for one in log.scan("rows.market.ticks")]
    return Counter(pl.concat(tables)["event_id"].to_list()) if tables else Counter()


def pushed(desk: Deployment, first: int, last: int) -> None:
    """A few ticks at a time, so that there is more than one payload to share."""
    for start in range(first, last, 25):
        push(desk, [tick(n) for n in range(start, min(start + 25, last))])


def test_two_share_one_is_killed_and_the_other_drains(desk: Deployment, log: KafkaLog) -> None:
    one, two = (desk.service("normalise", name) for name in ("one", "two"))
    for service in (one, two):
        until(service.ready)
    done = 0
    while not (_rows(one) and _rows(two)):
        assert done < 2_000, "one of them never had a part of the work"
        pushed(desk, done, done + 100)
        done += 100
        until(lambda done=done: len(carried(log)) == done)
    pushed(desk, done, done + 200)
    one.kill()
    pushed(desk, done + 200, done + 300)
    until(lambda: len(carried(log)) == done + 300)
    one.start()
    until(one.ready)
    pushed(desk, done + 300, done + 400)
    assert two.drain() == 0, two.said()
    pushed(desk, done + 400, done + 500)
    until(lambda: len(carried(log)) == done + 500)
    assert carried(log) == Counter(f"e{n}" for n in range(done + 500))
    assert log.count_letters() == 0
    assert one.drain() == 0, one.said()


def _rows(service: Service) -> float:
    return service.number(_ROWS)
