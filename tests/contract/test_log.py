"""The log's contract: what is committed is there, whole, in order, for every reader, after any crash."""

from __future__ import annotations

import random
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest
from contract.log_engines import ENGINES, engine

from carbon254.errors import CorruptRecord
from carbon254.stores.log import Letter, Log, NewRecord, identity_of, open_log, renew

NOW = datetime(2025, 7, 1, tzinfo=UTC)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Log]:
    """The embedded log, for tests that change its file under it."""
    opened = open_log(tmp_path / "log.db")
    yield opened
    opened.close()


@pytest.fixture(params=ENGINES)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    with engine(request, tmp_path) as opened:
        yield opened


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


def test_a_flipped_bit_is_never_served(embedded: Log, tmp_path: Path) -> None:
    embedded.append([record(body=b"good" * 100)])
    with apsw.Connection(str(tmp_path / "log.db")) as db:
        db.execute("UPDATE records SET body = zeroblob(length(body))")
    with pytest.raises(CorruptRecord, match="record 1"):
        embedded.read("c", "raw.")
    assert any("record 1" in problem for problem in embedded.check())


def test_wait_returns_when_something_is_appended(log: Log) -> None:
    threading.Timer(0.1, lambda: log.append([record()])).start()
    began = datetime.now(UTC)
    log.wait(10)
    assert datetime.now(UTC) - began < timedelta(seconds=5)


def test_changed_headers_are_never_served(embedded: Log, tmp_path: Path) -> None:
    embedded.append([record(body=b"", sha256="abc")])
    with apsw.Connection(str(tmp_path / "log.db")) as db:
        db.execute("UPDATE records SET headers = replace(headers, 'abc', 'abd')")
    with pytest.raises(CorruptRecord, match="record 1"):
        embedded.fetch(1)
    assert any("record 1" in problem for problem in embedded.check())


def test_a_read_holds_no_more_bodies_than_it_returns(log: Log) -> None:
    size = 1 << 20
    log.append(record(f"raw.{topic}", body=bytes(size)) for topic in range(16) for _ in range(2))
    tracemalloc.start()
    assert len(log.read("c", "raw.", 2)) == 2
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * size


def test_large_records_of_topics_made_this_moment_lie_where_they_were_told(log: Log) -> None:
    """The first two writes to a topic that is just being made may not overtake each other."""
    log.append(record(f"raw.{topic}", body=bytes([topic]) * (1 << 20)) for topic in range(16) for _ in range(2))
    assert [one.body[0] for one in log.scan("raw.")] == [topic for topic in range(16) for _ in range(2)]


def test_records_of_many_topics_are_fetched_in_any_order(log: Log) -> None:
    """More topics than are followed at a time: what follows one is turned to another, with the same positions."""
    names = [f"raw.{number}" for number in range(24)]
    offsets = log.append(record(name, body=name.encode() * 2_000) for name in names for _ in range(4))
    chosen = random.Random(254)
    for offset in chosen.choices(offsets, k=40):
        found = log.fetch(offset)
        assert (found.offset, found.body) == (offset, found.topic.encode() * 2_000)


@pytest.mark.parametrize("bit", [0, 7, 8 * 500, 8 * 999 + 7])
def test_one_flipped_bit_is_found_by_every_way_of_reading(embedded: Log, tmp_path: Path, bit: int) -> None:
    body = bytes(range(250)) * 4
    embedded.append([record(body=body), record("raw.b", body=body)])
    changed = bytearray(body)
    changed[bit // 8] ^= 1 << bit % 8
    with apsw.Connection(str(tmp_path / "log.db")) as db:
        db.execute("UPDATE records SET body = ? WHERE offset = 1", (bytes(changed),))
    for attempt in (lambda: embedded.read("c", "raw."), lambda: embedded.fetch(1), lambda: list(embedded.scan("raw."))):
        with pytest.raises(CorruptRecord, match=r"record 1 of raw\.a"):
            attempt()
    assert [problem.split(":")[0] for problem in embedded.check()] == ["record 1"]
    assert embedded.fetch(2).body == embedded.read("c", "raw.b")[0].body == body


def test_a_log_without_harm_has_nothing_to_report(log: Log) -> None:
    log.append([record(body=bytes(5_000), n=n) for n in range(20)])
    assert log.check() == []


def test_offsets_are_never_given_twice(log: Log) -> None:
    offsets = log.append([record(), record()])
    with log.transaction() as txn:
        txn.commit("c", "raw.a", offsets[-1])
    assert log.trim("raw.", ["c"], datetime.now(UTC) + timedelta(hours=1)) == 2
    assert list(log.scan("")) == []
    (fresh,) = log.append([record()])
    assert fresh == log.end_offset() > offsets[-1]
    assert [r.offset for r in log.read("c", "raw.")] == [fresh]


@pytest.mark.parametrize("consumers", [[], ["one", "never read"]])
def test_nothing_is_trimmed_that_somebody_may_still_want(log: Log, consumers: list[str]) -> None:
    with log.transaction() as txn:
        txn.commit("one", "raw.a", txn.append([record()])[0])
    assert log.trim("raw.", consumers, datetime.now(UTC) + timedelta(hours=1)) == 0
    assert len(list(log.scan("raw."))) == 1


def test_scan_goes_through_every_page_and_begins_where_it_is_told(log: Log) -> None:
    offsets = log.append([record("raw.a" if n % 2 else "rows.a") for n in range(501)])
    assert [r.offset for r in log.scan("")] == offsets
    assert [r.offset for r in log.scan("raw.", after=offsets[300])] == offsets[301::2]


def test_a_limited_read_takes_the_oldest_of_all_topics(log: Log) -> None:
    offsets = log.append([record("raw.b"), record("raw.a"), record("raw.b"), record("raw.a")])
    assert [r.offset for r in log.read("c", "raw.", 3)] == offsets[:3]
    with log.transaction() as txn:
        txn.commit("c", "raw.b", offsets[0])
    assert [r.offset for r in log.read("c", "raw.", 2)] == offsets[1:3]


def test_a_letter_is_told_apart_by_topic_payload_line_and_reason(log: Log) -> None:
    base = letter()
    others = [
        replace(base, topic="dlq.b"), replace(base, payload="other"), replace(base, line=4), replace(base, line=None),
        replace(base, reason="worse"),
    ]  # fmt: skip
    with log.transaction() as txn:
        for one in (base, *others, replace(base, raw="told otherwise", stage="normalise", parser="2")):
            txn.add_letter(one)
    found = log.letters()
    assert [replace(one, id=None) for one in found] == [base, *others]
    with log.transaction() as txn:
        txn.resolve_letters([one.id or 0 for one in found[:2]], "replayed")
    assert [one.resolved_by for one in log.letters()] == ["replayed"] * 2 + [None] * 4
    assert len(log.letters(status="open")) == log.count_letters(status="open") == 4
    with pytest.raises(KeyError, match="no letter"):
        log.letter(99)


def test_a_log_is_named_once_and_anew_only_when_it_is_said_so(log: Log) -> None:
    first = identity_of(log)
    assert identity_of(log) == first
    assert (fresh := renew(log)) != first
    assert identity_of(log) == fresh
