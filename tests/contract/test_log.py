"""The log's contract: what is committed is there, whole, in order, for every reader, after any crash."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

from carbon254.errors import CorruptRecord
from carbon254.stores.log import Letter, Log, NewRecord, open_log

NOW = datetime(2025, 7, 1, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = open_log(tmp_path / "log.db")
    yield opened
    opened.close()


def record(topic: str = "raw.a", key: str | None = None, body: bytes = b"x", **headers: object) -> NewRecord:
    return NewRecord(topic, key, headers, body)


def letter(line: int | None = 3, reason: str = "bad", payload: str = "sha") -> Letter:
    return Letter(None, "dlq.a", payload, line, reason, "raw text", "parse", "1", NOW)


def test_records_come_back_in_order_with_headers_and_body(log: Log) -> None:
    log.append([record(body=b"1", n=1), record("raw.b", body=b"2"), record(body=b"3")])
    found = log.read("c", "raw.")
    assert [(r.topic, r.body) for r in found] == [("raw.a", b"1"), ("raw.b", b"2"), ("raw.a", b"3")]
    assert found[0].headers == {"n": 1}
    assert log.fetch(found[1].offset).body == b"2"


def test_the_same_key_is_stored_once_in_its_topic(log: Log) -> None:
    first, again, other = log.append([record(key="k"), record(key="k", body=b"other"), record("raw.b", key="k")])
    assert first == again != other
    assert [r.body for r in log.scan("raw.a")] == [b"x"]


def test_each_consumer_has_its_own_offset_per_topic_and_never_goes_back(log: Log) -> None:
    offsets = log.append([record(), record(), record("rows.a")])
    with log.transaction() as txn:
        txn.commit("one", "raw.a", offsets[1])
        txn.commit("one", "raw.a", offsets[0])
    assert log.read("one", "raw.") == []
    assert [r.topic for r in log.read("one", "")] == ["rows.a"]
    assert len(log.read("two", "raw.")) == 2
    assert (log.lag("one", "raw."), log.lag("two", "raw."), log.lag("one", "rows.")) == (0, 2, 1)


def test_a_prefix_does_not_reach_into_other_topics(log: Log) -> None:
    log.append([record("raw.a"), record("raw.ab"), record("rawx"), record("dlq.a")])
    assert sorted(r.topic for r in log.read("c", "raw.")) == ["raw.a", "raw.ab"]


def test_a_transaction_that_raises_leaves_nothing(log: Log) -> None:
    with pytest.raises(RuntimeError), log.transaction() as txn:
        txn.append([record()])
        txn.commit("c", "raw.a", 1)
        txn.put_state("s", "k", b"v")
        txn.add_letter(letter())
        raise RuntimeError
    assert (log.end_offset(), log.offsets("c"), log.get_state("s", "k"), log.letters()) == (0, {}, None, [])


def test_state_is_read_within_and_after_its_transaction(log: Log) -> None:
    with log.transaction() as txn:
        txn.put_state("s", "k", b"1")
        assert txn.get_state("s", "k") == b"1"
    assert log.get_state("s", "k") == b"1"


def test_the_same_letter_twice_is_one_and_stays_resolved(log: Log) -> None:
    for _ in range(2):
        with log.transaction() as txn:
            txn.add_letter(letter())
            txn.add_letter(letter(line=None, reason="whole"))
        with log.transaction() as txn:
            txn.resolve_letters([log.letters()[0].id or 0], "fixed")
    found = log.letters()
    assert [(one.line, one.status) for one in found] == [(3, "resolved"), (None, "open")]
    assert (log.count_letters("dlq.a", "open"), log.count_letters("dlq.b")) == (1, 0)
    assert log.letter(found[0].id or 0).resolved_by == "fixed"


def test_trim_takes_only_what_every_consumer_has_carried(log: Log) -> None:
    offsets = log.append([record("rows.a"), record("rows.a"), record("raw.a")])
    with log.transaction() as txn:
        txn.commit("one", "rows.a", offsets[1])
        txn.commit("two", "rows.a", offsets[0])
    later = datetime.now(UTC) + timedelta(hours=1)
    assert log.trim("rows.", ["one", "two"], later - timedelta(hours=2)) == 0
    assert log.trim("rows.", ["one", "two"], later) == 1
    assert [r.offset for r in log.scan("")] == offsets[1:]
    assert log.end_offset() == offsets[2]


def test_a_flipped_bit_is_never_served(log: Log, tmp_path: Path) -> None:
    log.append([record(body=b"good" * 100)])
    with apsw.Connection(str(tmp_path / "log.db")) as db:
        db.execute("UPDATE records SET body = zeroblob(length(body))")
    with pytest.raises(CorruptRecord, match="record 1"):
        log.read("c", "raw.")
    assert any("record 1" in problem for problem in log.check())


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_that_dies_leaves_whole_transactions(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "log.db"
    code = f"""
import os, pathlib
from carbon254.stores.log import open_log, NewRecord
log = open_log(pathlib.Path({str(path)!r}))
log.append([NewRecord("raw.a", None, {{}}, b"first")])
with log.transaction() as txn:
    txn.append([NewRecord("raw.a", None, {{}}, b"second")])
    txn.commit("c", "raw.a", 1)
    if {moment!r} == "before": os._exit(9)
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    log = open_log(path)
    expected = [b"first"] if moment == "before" else [b"first", b"second"]
    assert [r.body for r in log.scan("raw.")] == expected
    assert log.offsets("c") == ({} if moment == "before" else {"raw.a": 1})
    assert log.check() == []
    log.close()


def test_another_process_appends_while_this_one_reads(log: Log, tmp_path: Path) -> None:
    code = f"""
import pathlib
from carbon254.stores.log import open_log, NewRecord
log = open_log(pathlib.Path({str(tmp_path / "log.db")!r}))
for n in range(50): log.append([NewRecord("raw.b", None, {{}}, b"%d" % n)])
"""
    other = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))
    for number in range(50):
        log.append([record(body=b"%d" % number)])
        log.read("c", "raw.", 10)
    assert other.wait(60) == 0
    for topic in ("raw.a", "raw.b"):
        assert [r.body for r in log.scan(topic)] == [b"%d" % n for n in range(50)]


def test_threads_share_one_writer_and_lose_nothing(log: Log) -> None:
    def work(name: int) -> None:
        for _ in range(25):
            log.append([record(f"raw.{name}")])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(t.topic, t.records) for t in log.topics()] == [(f"raw.{name}", 25) for name in range(4)]


def test_wait_returns_when_something_is_appended(log: Log) -> None:
    threading.Timer(0.1, lambda: log.append([record()])).start()
    began = datetime.now(UTC)
    log.wait(10)
    assert datetime.now(UTC) - began < timedelta(seconds=5)
