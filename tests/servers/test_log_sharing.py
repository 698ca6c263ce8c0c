"""Several processes on one Kafka log: they share partitions, fence each other off, and come to the same view."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from contract.log_engines import on_kafka

from carbon254.errors import CorruptRecord, SettingsError
from carbon254.stores.log import NewRecord
from carbon254.stores.log.kafka import Cluster, KafkaLog, Topic, ensure
from carbon254.stores.log.kafka.writer import NotOurs
from servers.broker import Broker

pytestmark = pytest.mark.servers("kafka")


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}."


def record(topic: str = "raw.a", key: str | None = None, body: bytes = b"x", **headers: object) -> NewRecord:
    return NewRecord(topic, key, headers, body)


def until(what: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def test_every_process_sees_the_same_log_in_the_same_order(broker: Broker, tmp_path: Path, prefix: str) -> None:
    logs = [on_kafka(broker, tmp_path / name, prefix) for name in "ab"]
    writers = [
        threading.Thread(target=lambda one=one: [one.append([record(n=n), record("raw.b")]) for n in range(15)])
        for one in logs
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    until(lambda: all(one.lag("c", "raw.") == 60 for one in logs))
    first, second = ([(r.offset, r.topic, r.headers) for r in one.scan("")] for one in logs)
    assert first == second
    assert [one[0] for one in first] == sorted(one[0] for one in first)
    third = on_kafka(broker, tmp_path / "c", prefix)
    assert [(r.offset, r.topic, r.headers) for r in third.scan("")] == first
    for one in (*logs, third):
        one.close()


def test_a_view_that_is_lost_is_made_again(broker: Broker, tmp_path: Path, prefix: str) -> None:
    log = on_kafka(broker, tmp_path, prefix)
    with log.transaction() as txn:
        txn.commit("c", "raw.a", txn.append([record(), record(key="k")])[0])
        txn.put_state("s", "k", b"\xff\x00")
    before = [r.offset for r in log.read("c", "raw.")]
    log.close()
    shutil.rmtree(tmp_path / "log.kafka")
    again = on_kafka(broker, tmp_path, prefix)
    assert [r.offset for r in again.read("c", "raw.")] == before
    assert again.get_state("s", "k") == b"\xff\x00"
    assert again.append([record(key="k")]) == before
    again.close()


def test_of_two_that_go_by_the_same_state_one_counts(broker: Broker, tmp_path: Path, prefix: str) -> None:
    one, two = (on_kafka(broker, tmp_path / name, prefix) for name in "ab")
    with pytest.raises(NotOurs, match="changed by another writer"), one.transaction() as txn:
        assert txn.get_state("latest", "file") is None
        with two.transaction() as other:
            assert other.get_state("latest", "file") is None
            other.append([record(body=b"two")])
            other.put_state("latest", "file", b"two")
        txn.append([record(body=b"one")])
        txn.put_state("latest", "file", b"one")
    assert [r.body for r in one.scan("raw.")] == [b"two"]
    assert one.get_state("latest", "file") == b"two"
    one.close()
    two.close()


def test_a_record_carried_by_another_meanwhile_is_not_carried_again(
    broker: Broker, tmp_path: Path, prefix: str
) -> None:
    one, two = (on_kafka(broker, tmp_path / name, prefix) for name in "ab")
    (offset,) = one.append([record()])
    until(lambda: two.lag("n", "raw."))
    for log in (one, two):
        assert len(log.read("n", "raw.")) == 1
    with two.transaction() as txn:
        txn.append([record("rows.a")])
        txn.commit("n", "raw.a", offset)
    with pytest.raises(NotOurs, match=r"carried raw\.a meanwhile"), one.transaction() as txn:
        txn.append([record("rows.a")])
        txn.commit("n", "raw.a", offset)
    assert len(list(one.scan("rows."))) == 1
    assert one.read("n", "raw.") == []
    one.close()
    two.close()


def carry(log: KafkaLog, stop: threading.Event, done: list[int]) -> None:
    """Consume, process, produce: each raw record becomes one record of rows."""
    while not stop.is_set():
        try:
            for found in log.read("n", "raw.", 8):
                with log.transaction() as txn:
                    txn.append([record("rows.a", body=found.body)])
                    txn.commit("n", found.topic, found.offset)
                done.append(found.offset)
        except NotOurs:
            continue
        log.wait(0.1)


def test_two_processes_share_the_partitions_and_one_takes_over(broker: Broker, tmp_path: Path, prefix: str) -> None:
    cluster = Cluster(broker.bootstrap, prefix=prefix)
    ensure(cluster, cluster.admin(), [Topic("raw.a", 2), Topic("raw.b", 2)])
    shares = {"n": ("raw.",)}
    one = on_kafka(broker, tmp_path / "a", prefix, shares=shares)
    two = on_kafka(broker, tmp_path / "b", prefix, shares=shares)
    until(lambda: one.held("n") == two.held("n") == 2)
    stop, done = threading.Event(), {"one": [], "two": []}
    threads = [
        threading.Thread(target=carry, args=(log, stop, done[name])) for name, log in (("one", one), ("two", two))
    ]
    for thread in threads:
        thread.start()
    keys = [f"{n}" for n in range(40)]
    one.append(record("raw.a" if n % 2 else "raw.b", key=key, body=key.encode()) for n, key in enumerate(keys))
    until(lambda: one.lag("n", "raw.") == 0)
    assert done["one"] and done["two"]
    stop.set()
    threads[1].join()
    two.close()
    until(lambda: one.held("n") == 4)
    stop.clear()
    last = threading.Thread(target=carry, args=(one, stop, done["one"]))
    last.start()
    more = [f"{n}" for n in range(40, 60)]
    one.append(record("raw.a", key=key, body=key.encode()) for key in more)
    until(lambda: one.lag("n", "raw.") == 0)
    stop.set()
    last.join()
    threads[0].join()
    assert sorted(r.body for r in one.scan("rows.")) == sorted(key.encode() for key in keys + more)
    one.close()


def test_a_flipped_bit_on_the_brokers_disk_is_never_served(broker: Broker, tmp_path: Path, prefix: str) -> None:
    log = on_kafka(broker, tmp_path, prefix)
    log.append([record(body=uuid.uuid4().bytes * 100)])
    segment = next((broker.folder / "data").glob(f"{prefix}raw.a-0/*.log"))
    with segment.open("r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(CorruptRecord):
        log.read("c", "raw.")
    assert len(log.check()) == 1
    log.close()


def test_records_deleted_on_the_cluster_are_told_and_not_passed_over(
    broker: Broker, tmp_path: Path, prefix: str
) -> None:
    from confluent_kafka import TopicPartition

    log = on_kafka(broker, tmp_path, prefix)
    log.append([record(), record(), record()])
    admin = Cluster(broker.bootstrap, prefix=prefix).admin()
    next(iter(admin.delete_records([TopicPartition(f"{prefix}raw.a", 0, 2)]).values())).result(10)
    with pytest.raises(CorruptRecord, match="no longer kept"):
        log.read("c", "raw.")
    log.close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bootstrap": "kafka://127.0.0.1:1"}, "C254_KAFKA_BOOTSTRAP=kafka://127.0.0.1:1: no broker answered"),
        ({"prefix": "other."}, "topic other.c254.journal is missing; make it with: c254 bootstrap"),
        ({"sasl": "PLAIN"}, "needs C254_KAFKA_USER and C254_KAFKA_PASSWORD"),
        ({"ca": Path("ca.pem")}, "set C254_KAFKA_TLS=true"),
        ({"tls": True, "ca": Path("nowhere.pem")}, "C254_KAFKA_CA=nowhere.pem: there is no such file"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_told_by_its_setting(
    broker: Broker, tmp_path: Path, change: dict, told: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        KafkaLog(Cluster(**({"bootstrap": broker.bootstrap} | change)), tmp_path)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
