"""The log between threads, processes and crashes: what is committed is there, whole, once, for every reader."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from carbon254.errors import WorkspaceError
from carbon254.stores.log import Letter, Log, NewRecord, connections, open_log

NOW = datetime(2025, 7, 1, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = open_log(tmp_path / "log.db")
    yield opened
    opened.close()


def record(topic: str = "raw.a", key: str | None = None, body: bytes = b"x") -> NewRecord:
    return NewRecord(topic, key, {}, body)


def letter() -> Letter:
    return Letter(None, "dlq.a", "sha", 3, "bad", "raw text", "parse", "1", NOW)


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


def test_threads_that_ended_leave_no_open_files(log: Log) -> None:
    log.append([record()])
    log.read("c", "raw.")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(30):
        thread = threading.Thread(target=log.read, args=("c", "raw."))
        thread.start()
        thread.join()
    assert len(list(Path("/proc/self/fd").iterdir())) - before < 6


def test_a_closed_log_says_so(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db")
    log.close()
    for attempt in (lambda: log.append([record()]), lambda: log.read("c", ""), log.end_offset):
        with pytest.raises(WorkspaceError, match="closed"):
            attempt()


def test_a_full_disk_is_said_and_the_log_goes_on_once_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    code = f"""
import pathlib, resource, signal, apsw
from carbon254.stores.log import open_log, NewRecord
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = open_log(pathlib.Path({str(path)!r}))
log.append([NewRecord("raw.a", None, {{}}, b"first")])
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, most))
try:
    log.append([NewRecord("raw.a", None, {{}}, bytes(5_000_000))])
except (apsw.FullError, apsw.IOError):
    pass
else:
    raise SystemExit("nothing was said")
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
log.append([NewRecord("raw.a", None, {{}}, b"second")])
log.close()
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    log = open_log(path)
    assert [r.body for r in log.scan("raw.")] == [b"first", b"second"]
    assert log.check() == []
    log.close()


def test_readers_of_this_and_another_process_see_whole_transactions_only(log: Log, tmp_path: Path) -> None:
    code = f"""
import pathlib
from carbon254.stores.log import open_log
log = open_log(pathlib.Path({str(tmp_path / "log.db")!r}))
while (seen := len(log.read("c", "raw.a", 1_000))) < 80:
    assert seen % 2 == 0, seen
"""
    torn: list[int] = []

    def watch() -> None:
        while (seen := len(log.read("c", "raw.a", 1_000))) < 80:
            if seen % 2:
                torn.append(seen)

    other = subprocess.Popen([sys.executable, "-c", code])
    readers = [threading.Thread(target=watch) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(40):
        with log.transaction() as txn:
            txn.append([record()])
            txn.append([record()])
    for reader in readers:
        reader.join()
    assert (torn, other.wait(60)) == ([], 0)


@pytest.mark.parametrize("megabytes", [0, 24])
def test_a_fork_that_dies_in_a_transaction_leaves_nothing_of_it(tmp_path: Path, megabytes: int) -> None:
    """Also where the transaction is larger than the engine's cache, so that half of it is on disk already."""
    path, body = tmp_path / "log.db", bytes(1 << 20)
    first = open_log(path)
    first.append([record(key="first")])
    first.close()
    child = os.fork()
    if child == 0:
        log = open_log(path)
        with log.transaction() as txn:
            txn.append([record(key="second"), *(record(body=body) for _ in range(megabytes))])
            txn.commit("c", "raw.a", 1)
            txn.put_state("s", "k", b"v")
            txn.add_letter(letter())
            spilled = (path.with_name("log.db-wal")).stat().st_size
            os._exit(9 if spilled >= (megabytes << 19) else 8)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    log = open_log(path)
    assert [r.key for r in log.scan("")] == ["first"]
    assert (log.offsets("c"), log.get_state("s", "k"), log.letters(), log.check()) == ({}, None, [], [])
    assert log.append([record(key="second")]) == [2]
    log.close()


def test_the_same_keys_from_threads_and_a_process_are_stored_once(log: Log, tmp_path: Path) -> None:
    code = f"""
import pathlib
from carbon254.stores.log import open_log, NewRecord
log = open_log(pathlib.Path({str(tmp_path / "log.db")!r}))
for n in range(40): print(log.append([NewRecord("raw.a", str(n), {{}}, b"x")])[0])
"""
    given: list[list[int]] = []
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)

    def work() -> None:
        given.append([log.append([record(key=str(n))])[0] for n in range(40)])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    given.append([int(line) for line in other.communicate(timeout=60)[0].split()])
    stored = {int(r.key or -1): r.offset for r in log.scan("raw.a")}
    assert len(given) == 4 and all(one == [stored[n] for n in range(40)] for one in given)


def test_a_read_sees_all_topics_of_a_transaction_or_none(log: Log) -> None:
    torn: list[list[str]] = []

    def watch() -> None:
        while len(seen := [r.topic for r in log.read("c", "raw.", 1_000)]) < 240:
            if len(seen) % 3:
                torn.append(seen)

    readers = [threading.Thread(target=watch) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(80):
        log.append([record("raw.a"), record("raw.b"), record("raw.c")])
    for reader in readers:
        reader.join(30)
    assert not torn


@pytest.mark.slow
def test_processes_may_open_a_new_log_at_once(tmp_path: Path) -> None:
    for attempt in range(6):
        path, (ready, go) = tmp_path / f"{attempt}.db", os.pipe()
        children = []
        for _ in range(8):
            if (child := os.fork()) == 0:
                os.close(go)
                os.read(ready, 1)
                status = 1
                try:
                    opened = open_log(path)
                    opened.append([record()])
                    opened.close()
                    status = 0
                finally:
                    os._exit(status)
            children.append(child)
        os.close(go)
        os.close(ready)
        assert {os.waitpid(child, 0)[1] for child in children} == {0}
        log = open_log(path)
        assert len(log.read("c", "raw.")) == 8
        log.close()


def test_opening_waits_for_a_process_that_writes_before_the_file_is_in_wal_mode(tmp_path: Path) -> None:
    """SQLite does not wait here by itself, whatever its busy timeout."""
    other = apsw.Connection(str(tmp_path / "log.db"))
    other.execute("CREATE TABLE first (a); BEGIN IMMEDIATE")
    release = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    release.start()
    log = open_log(tmp_path / "log.db")
    assert log.append([record()]) == [1]
    log.close()
    release.join()


def test_a_log_that_another_process_keeps_to_itself_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_BUSY_MS", 50)
    other = apsw.Connection(str(tmp_path / "log.db"))
    other.execute("CREATE TABLE first (a); BEGIN EXCLUSIVE")
    with pytest.raises(WorkspaceError, match=r"log\.db"):
        open_log(tmp_path / "log.db")
    other.execute("COMMIT")
    open_log(tmp_path / "log.db").close()
