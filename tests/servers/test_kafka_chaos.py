"""Brokers and writers that die or freeze in the middle of transactions: nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carbon254.errors import TransientError
from carbon254.stores.log import NewRecord
from carbon254.stores.log.kafka import Cluster, KafkaLog
from servers import kafka
from servers.broker import Broker
from servers.kafka_copier import copy

pytestmark = pytest.mark.servers("kafka")
_COPIER = Path(__file__).with_name("kafka_copier.py")
_PATIENCE_S = 60.0


@pytest.fixture
def own() -> Iterator[Broker]:
    """A broker of the test's own, to do harm to."""
    with kafka() as running:
        yield running


def opened(broker: Broker, folder: Path, prefix: str) -> KafkaLog:
    return KafkaLog(Cluster(broker.bootstrap, prefix=prefix, transaction_s=3.0), folder, make=True)


def again(what: Callable[[], object]) -> None:
    """Do it until it goes through, as a consumer of the node does."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            what()
            return
        except TransientError:
            assert time.monotonic() < end, "it never recovered"
            time.sleep(0.2)


def give(log: KafkaLog, names: list[str]) -> None:
    """Append once each, whatever became of the attempt before: the key makes it so."""
    again(lambda: log.append([NewRecord("raw.a", name, {}, name.encode()) for name in names]))


def drained(log: KafkaLog) -> None:
    end = time.monotonic() + _PATIENCE_S
    while log.lag("n", "raw."):
        assert time.monotonic() < end, f"{log.lag('n', 'raw.')} records are left"
        time.sleep(0.1)


def bodies(log: KafkaLog, prefix: str) -> list[str]:
    return [one.body.decode() for one in log.scan(prefix)]


@pytest.mark.parametrize("harm", ["kill", "stop"])
def test_a_broker_that_dies_or_freezes_loses_nothing(own: Broker, tmp_path: Path, harm: str) -> None:
    log = opened(own, tmp_path / "view", "t.")
    names = [f"{n}" for n in range(120)]
    give(log, names[:40])
    copy(log)
    for part in (names[40:80], names[80:]):
        if harm == "kill":
            own.kill()
        else:
            own.pause()
        try:
            with pytest.raises(TransientError, match="tried again until the brokers answer"):
                log.append([NewRecord("raw.a", name, {}, name.encode()) for name in part])
            assert log.trouble()
            if harm == "stop":
                # Past the transaction's time-out: the broker ends what was open when it wakes up.
                time.sleep(4)
        finally:
            own.start() if harm == "kill" else own.resume()
        give(log, part)
        again(lambda: copy(log))
    while log.lag("n", "raw."):
        again(lambda: copy(log))
    assert sorted(bodies(log, "raw."), key=int) == names
    assert sorted(bodies(log, "rows."), key=int) == names
    end = time.monotonic() + 20
    while log.trouble():
        assert time.monotonic() < end
        time.sleep(0.2)
    log.close()


def test_consumers_killed_and_frozen_in_the_middle_carry_each_record_once(broker: Broker, tmp_path: Path) -> None:
    prefix, chance = f"t{uuid.uuid4().hex[:8]}.", random.Random(254)
    log = opened(broker, tmp_path / "mine", prefix)
    names = [f"{n}" for n in range(3_000)]
    for start in range(0, len(names), 10):
        give(log, names[start : start + 10])
    for harm in ("kill", "kill", "freeze", "kill"):
        left = log.lag("n", "raw.")
        process = start_copier(broker, prefix, tmp_path / "theirs")
        try:
            end = time.monotonic() + _PATIENCE_S
            while log.lag("n", "raw.") == left and left:
                assert time.monotonic() < end and process.poll() is None
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.1))
            if harm == "freeze":
                os.kill(process.pid, signal.SIGSTOP)
                # Longer than its transaction may take: another carries on, and the frozen one finds itself too late.
                time.sleep(5)
                again(lambda: copy(log))
                os.kill(process.pid, signal.SIGCONT)
                time.sleep(1)
        finally:
            process.kill()
            process.wait()
    process = start_copier(broker, prefix, tmp_path / "theirs")
    try:
        drained(log)
    finally:
        process.kill()
        process.wait()
    assert sorted(bodies(log, "rows."), key=int) == names
    log.close()


def start_copier(broker: Broker, prefix: str, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(_COPIER), broker.bootstrap, prefix, str(folder)]
    with (folder.parent / "copier.log").open("ab") as journal:
        return subprocess.Popen(command, stdout=journal, stderr=subprocess.STDOUT)
