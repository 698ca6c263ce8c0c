"""The ledger's contract, over every backend: what it says of a partition follows from its payloads, however often.

A backend that does not offer an operation skips its tests by name, with the reason its own capability record gives.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from carbon254.stores.hot import HotStore, open_hot
from carbon254.stores.ledger import (
    Act,
    Build,
    Counts,
    IllegalTransition,
    LeaseLost,
    Ledger,
    Noted,
    NotOffered,
    open_history,
    open_ledger,
    ship,
)
from carbon254.stores.ledger.folding import FOLD_AT
from carbon254.stores.ledger.port import NEXT, OPERATIONS, STATES
from carbon254.stores.postgres import open_engine

NOW = datetime(2025, 7, 1, tzinfo=UTC)
FEED, DAY = "iso.rt.lmp.spp", "2025-07-01"
MINUTE = timedelta(minutes=1)
BACKENDS = ("sqlite", "postgres", "pgbouncer", "clickhouse")
SERVERS = {"postgres": ("postgres",), "pgbouncer": ("postgres", "pgbouncer")}
Open = Callable[[str], Any]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HotStore]:
    store = open_hot(f"chdb://{tmp_path_factory.mktemp('ledger') / 'hot'}")
    yield store
    store.close()


@pytest.fixture
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a ledger by its name on the backend of this run; names are this test's own."""
    backend = request.param
    if backend == "sqlite":
        yield lambda name: open_ledger(f"sqlite:///{tmp_path / name}.db")
    elif backend == "clickhouse":
        engine = request.getfixturevalue("engine")
        engine.command("DROP DATABASE IF EXISTS ledger SYNC")
        yield lambda _: open_history(engine)
    elif backend == "pgbouncer":
        made = defaultdict[str, str](request.getfixturevalue("pooled"))
        yield lambda name: open_ledger(made[name])
    else:
        url = request.getfixturevalue("database")()
        admin = open_engine(url, "C254_LEDGER_URL")

        def opened(name: str) -> Ledger:
            with admin.begin() as db:
                db.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {name}"))
            return open_ledger(f"{url}?options=-csearch_path%3D{name}")

        yield opened
        admin.dispose()


@pytest.fixture
def ledger(opener: Open) -> Iterator[Any]:
    opened = opener("ledger")
    yield opened
    opened.close()


def on(*operations: str) -> Callable[..., Any]:
    """Run a test on every backend; visibly skip it on one whose capability lacks an operation."""
    from carbon254.stores.ledger.clickhouse import CAPABILITY

    params = []
    for backend in BACKENDS:
        gaps = [CAPABILITY.gaps[name] for name in operations if backend == "clickhouse" and not CAPABILITY.offers(name)]
        marks = [pytest.mark.skip(reason=f"{backend} does not offer {operations}: {gaps[0]}")] if gaps else []
        marks += [pytest.mark.servers(*SERVERS[backend])] if backend in SERVERS else []
        params.append(pytest.param(backend, marks=marks))
    return pytest.mark.parametrize("opener", params, indirect=True)


def noted(number: int, day: str = DAY, feed: str = FEED) -> Noted:
    at = (NOW + timedelta(minutes=5 * number)).isoformat()
    return Noted(feed, day, f"sha{number}:0", 10, at, at)


@on("note", "entries")
def test_noting_twice_in_any_order_changes_nothing(ledger: Any, opener: Open) -> None:
    parts = [noted(n) for n in range(6)]
    for part in random.Random(1).sample(parts * 2, 12):
        ledger.complete([part], NOW)
    (entry,) = ledger.entries(FEED)
    assert (entry.state, entry.rows, entry.payloads, entry.build) == ("completed", 60, 6, 1)
    assert entry.watermark == ledger.watermark(FEED) == NOW + timedelta(minutes=25)
    assert (entry.first_received, entry.last_received) == (NOW, NOW + timedelta(minutes=25))
    before = (ledger.entries(), ledger.history(FEED, DAY), ledger.totals())
    ledger.complete([noted(2), noted(1), replace(noted(1), rows=99)], NOW + timedelta(hours=1))
    assert (ledger.entries(), ledger.history(FEED, DAY), ledger.totals()) == before
    again = opener("ledger")
    assert again.entries(FEED)[0].checksum == entry.checksum
    again.close()


@on("note", "entries")
def test_the_checksum_is_of_the_payloads_whatever_their_order_or_batches(ledger: Any) -> None:
    parts = [noted(1), noted(10), noted(2)]
    for number, order in enumerate(permutations(parts)):
        day = f"2025-08-{number + 1:02d}"
        ledger.complete([replace(part, partition=day) for part in order[: number % 4]], NOW)
        ledger.complete([replace(part, partition=day) for part in order], NOW)
    assert {(entry.payloads, entry.rows) for entry in ledger.entries()} == {(3, 30)}
    (one,) = {entry.checksum for entry in ledger.entries()}
    ledger.complete([replace(noted(1), partition="less"), replace(noted(10), partition="less")], NOW)
    assert ledger.entries(partition="less")[0].checksum != one


@on("note", "entries", "totals", "watermark")
def test_entries_totals_and_watermarks_are_narrowed_and_each_feeds_own(ledger: Any) -> None:
    other = "iso.da.lmp.spp"
    ledger.complete([noted(1, f"2025-07-{day:02d}") for day in range(1, 8)], NOW)
    ledger.complete([noted(3), noted(50, feed=other)], NOW)
    assert [entry.partition for entry in ledger.entries(FEED, limit=2)] == ["2025-07-07", "2025-07-06"]
    assert len(ledger.entries(state="completed")) == 8
    assert ledger.entries(state="failed") == []
    at = {number: NOW + timedelta(minutes=5 * number) for number in (1, 3, 50)}
    assert ledger.totals() == {FEED: (8, 80, at[3]), other: (1, 10, at[50])}
    assert (ledger.watermark(FEED), ledger.watermark(FEED, "2025-07-02")) == (at[3], at[1])
    assert (ledger.watermark(other, "2025-07-02"), ledger.watermark("nothing")) == (None, None)


@on("counts", "prune")
def test_counts_are_forgotten_by_when_they_were_counted_not_by_when_their_payload_was_received(ledger: Any) -> None:
    old = Counts(FEED, 7, "", "ab" * 32, (NOW - timedelta(days=400)).isoformat(), records=3, rejected=3)
    ledger.count([old], NOW)
    ledger.prune(NOW)
    assert ledger.counts(FEED) == [old]
    ledger.count([old], NOW + MINUTE)
    ledger.prune(NOW + MINUTE)
    assert ledger.counts(FEED) == [old], "counted again, the last count stands"
    ledger.prune(NOW + 2 * MINUTE)
    assert ledger.counts(FEED) == []


@on("audit", "prune", "history")
def test_the_trail_says_who_what_when_and_why_and_only_what_is_old_is_pruned(ledger: Any) -> None:
    acts = [
        Act(NOW, "dana", "replay", FEED, DAY, "it's a 5% \\ slip"),
        Act(NOW + timedelta(days=1), "c254", "prune", why="90 days"),
    ]
    ledger.record(acts)
    assert ledger.trail() == acts[::-1]
    assert ledger.trail(FEED, DAY) == acts[:1]
    assert ledger.trail(limit=1) == acts[1:]
    ledger.complete([noted(1)], NOW - timedelta(microseconds=1))
    standing = ledger.entries() if ledger.capability.offers("transitions") else None
    assert (ledger.prune(NOW), ledger.prune(NOW)) == (1, 0)
    assert ledger.history(FEED, DAY) == []
    assert ledger.prune(NOW + timedelta(hours=1)) == 1
    assert ledger.trail() == acts[1:]
    # What stands is never pruned.
    assert ledger.totals()[FEED][:2] == (1, 10)
    assert standing is None or ledger.entries() == standing


@on("transitions")
def test_states_move_as_they_may_and_are_remembered(ledger: Ledger) -> None:
    ledger.begin(FEED, DAY, NOW)
    ledger.fail(FEED, DAY, NOW, "the provider said no")
    ledger.begin(FEED, DAY, NOW)
    ledger.complete([noted(1)], NOW)
    ledger.begin(FEED, DAY, NOW, "replaying")
    ledger.rebuilt(FEED, DAY, NOW, "code-2")
    (entry,) = ledger.entries(FEED, DAY)
    assert (entry.state, entry.attempts, entry.build, entry.error) == ("completed", 3, 2, "")
    assert entry.code == "code-2"
    states = [state for state, _, _ in ledger.history(FEED, DAY)]
    assert states == ["running", "failed", "running", "completed", "replaying", "completed"]
    assert ledger.history(FEED, DAY)[1][2] == "the provider said no"
    ledger.settle(FEED, "2025-07-02", NOW)
    assert ledger.entries(FEED, "2025-07-02")[0].payloads == 0


# What brings a partition to each state, and what may follow it: written again here, not taken from the code.
PATHS = {
    "pending": (["pending"], {"running", "completed", "failed"}),
    "running": (["running"], {"pending", "running", "completed", "failed"}),
    "completed": (["running", "completed"], {"running", "replaying", "completed", "failed"}),
    "failed": (["running", "failed"], {"running", "replaying", "completed", "failed"}),
    "replaying": (["running", "completed", "replaying"], {"replaying", "completed", "failed"}),
}


@on("transitions")
def test_only_what_may_follow_a_state_follows_it_and_a_refusal_changes_nothing(ledger: Ledger) -> None:
    for number, (state, following) in enumerate((s, f) for s in PATHS for f in STATES):
        path, allowed = PATHS[state]
        day = f"day-{number}"
        for step in path:
            ledger.begin(FEED, day, NOW, step)
        before = (ledger.entries(FEED, day), ledger.history(FEED, day))
        if following in allowed:
            ledger.begin(FEED, day, NOW, following)
            assert ledger.entries(FEED, day)[0].state == following
        else:
            with pytest.raises(IllegalTransition, match=f"{FEED} {day}: {following} cannot follow {state}"):
                ledger.begin(FEED, day, NOW, following)
            assert (ledger.entries(FEED, day), ledger.history(FEED, day)) == before
    assert set(NEXT) - {""} == set(PATHS)


@on("transitions")
def test_batches_are_noted_all_or_none(ledger: Ledger) -> None:
    refused = replace(noted(2, "2025-07-02"), rows=None)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        ledger.complete([noted(1), refused], NOW)
    assert (ledger.entries(), ledger.totals(), ledger.history(FEED, DAY)) == ([], {}, [])


@on("leases")
def test_one_holder_at_a_time_and_the_next_one_fences_the_last(ledger: Ledger) -> None:
    lease = ledger.acquire("run:spp", "anna", NOW, MINUTE)
    assert lease is not None and lease.token == 1
    assert ledger.acquire("run:spp", "ben", NOW + MINUTE / 2, MINUTE) is None
    assert ledger.acquire("run:pjm", "ben", NOW, MINUTE) is not None
    lease = ledger.renew(lease, NOW + MINUTE / 2, MINUTE)
    assert ledger.acquire("run:spp", "ben", NOW + MINUTE, MINUTE) is None
    ledger.begin(FEED, DAY, NOW, fence=lease)
    taken = ledger.acquire("run:spp", "ben", NOW + 2 * MINUTE, MINUTE)
    assert taken is not None and taken.token == 2
    before = (ledger.entries(), ledger.history(FEED, DAY))
    for write in (
        lambda: ledger.begin(FEED, DAY, NOW, fence=lease),
        lambda: ledger.fail(FEED, DAY, NOW, "late", fence=lease),
        lambda: ledger.settle(FEED, DAY, NOW, fence=lease),
        lambda: ledger.rebuilt(FEED, DAY, NOW, fence=lease),
        lambda: ledger.complete([noted(1)], NOW, fence=lease),
        lambda: ledger.renew(lease, NOW, MINUTE),
    ):
        with pytest.raises(LeaseLost, match="ben has it with token 2"):
            write()
    ledger.release(lease, NOW)
    assert (ledger.entries(), ledger.history(FEED, DAY), ledger.totals()) == (*before, {})
    ledger.complete([noted(1)], NOW, fence=taken)
    ledger.release(taken, NOW + 2 * MINUTE)
    again = ledger.acquire("run:spp", "anna", NOW + 2 * MINUTE, MINUTE)
    assert again is not None and again.token == 3


@on("leases")
def test_racers_get_one_lease_and_tokens_never_repeat(ledger: Ledger) -> None:
    won: list[int] = []

    def race(name: str) -> None:
        for turn in range(5):
            lease = ledger.acquire("run", name, NOW + turn * MINUTE, MINUTE)
            won.extend([lease.token] if lease else [])

    threads = [threading.Thread(target=race, args=(f"racer {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(1, len(won) + 1)) and won


@on("cells")
def test_cells_of_a_partition_are_the_union_of_its_parts(ledger: Ledger) -> None:
    ledger.keep_places({"ab": ["A", "B"], "c": ["C"]})
    ledger.keep_places({"ab": ["never", "taken"]})
    ledger.complete([replace(noted(1), cells=(("ab", "5"),)), replace(noted(2), cells=(("ab", "2"), ("c", "8")))], NOW)
    ledger.complete([replace(noted(1), cells=(("ab", "ff"),))], NOW)
    assert ledger.cells(FEED, DAY) == {"ab": 7, "c": 8}
    assert ledger.places(["ab", "c", "nobody's"]) == {"ab": frozenset("AB"), "c": frozenset("C")}


@on("transitions")
def test_thousands_of_payloads_of_a_day_are_one_row_and_none_is_forgotten(ledger: Ledger, opener: Open) -> None:
    day = [replace(noted(n % 50), payload=f"sha{n}:0", cells=(("ab", f"{1 << n % 24:x}"),)) for n in range(3 * FOLD_AT)]
    random.Random(2).shuffle(day)
    for start in range(0, len(day), 100):
        ledger.complete(day[start : start + 100], NOW)
    other = opener("other")
    other.complete(day[::-1], NOW)
    for one in (ledger, other):
        (entry,) = one.entries(FEED)
        assert (entry.payloads, entry.rows) == (len(day), 10 * len(day))
        assert entry.watermark == one.watermark(FEED) == NOW + timedelta(minutes=245)
        assert one.totals()[FEED] == (len(day), 10 * len(day), entry.watermark)
        assert one.cells(FEED, DAY) == {"ab": (1 << 24) - 1}
        with one._engine.connect() as db:
            assert db.execute(sa.text("SELECT count(*) FROM parts")).scalar_one() < FOLD_AT
    assert other.entries(FEED)[0].checksum == ledger.entries(FEED)[0].checksum
    before = ledger.entries(FEED)
    ledger.complete(day[:700], NOW)
    assert ledger.entries(FEED) == before
    ledger.complete([replace(noted(1), payload="new:0")], NOW)
    assert ledger.entries(FEED)[0].payloads == len(day) + 1
    other.close()


@on("builds")
def test_builds_keep_what_they_were_proven_to_hold(ledger: Ledger) -> None:
    first = Build(FEED, DAY, 1, "code-1", 2, 20, "ab" * 32, NOW)
    second = replace(first, build=2, hash="cd" * 32)
    for build in (first, second, second):
        ledger.proven(build)
    assert ledger.builds(FEED) == ledger.builds(FEED, DAY) == [second, first]
    ledger.proven(replace(second, rows=21))
    assert ledger.builds(FEED)[0].rows == 21
    assert ledger.builds("nothing") == []


@pytest.mark.parametrize("opener", ["clickhouse"], indirect=True)
def test_what_clickhouse_lacks_is_said_by_its_record(opener: Open, tmp_path: Path) -> None:
    history = opener("history")
    lacking = [name for name in OPERATIONS if not history.capability.offers(name)]
    assert lacking == ["cells", "builds", "transitions", "leases", "counts"]
    with pytest.raises(NotOffered, match=r"clickhouse does not do leases: .*compare-and-set"):
        history.capability.require("leases")
    with pytest.raises(KeyError, match="no ledger does 'fly'"):
        history.capability.offers("fly")
    full = open_ledger(f"sqlite:///{tmp_path / 'full.db'}")
    assert all(full.capability.offers(name) for name in OPERATIONS)
    full.begin(FEED, DAY, NOW)
    full.settle(FEED, DAY, NOW + MINUTE)
    full.fail(FEED, DAY, NOW + MINUTE, "no")
    full.record([Act(NOW, "dana", "replay", FEED, DAY, "asked")])
    for _ in range(2):
        ship(full, history, NOW)
        assert history.history(FEED, DAY) == full.history(FEED, DAY)
        assert history.trail() == full.trail()
        assert [entry.state for entry in history.entries(FEED, state="failed")] == ["failed"]
    assert ship(full, history, NOW + MINUTE * 2) == 0
    full.close()


def test_a_ledger_of_an_older_version_is_widened(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sa.create_engine(f"sqlite:///{path}").begin() as db:
        db.execute(sa.text("CREATE TABLE runs (feed, partition, state, attempts, build, changed_at, error)"))
        db.execute(sa.text(f"INSERT INTO runs VALUES ('{FEED}', '{DAY}', 'completed', 1, 2, '{NOW.isoformat()}', '')"))
        db.execute(sa.text("CREATE TABLE parts (feed, partition, payload, rows, watermark, received_at)"))
        db.execute(sa.text(f"INSERT INTO parts VALUES ('{FEED}', '{DAY}', 'a:0', 7, '{NOW.isoformat()}', 'x')"))
        db.execute(sa.text("UPDATE parts SET received_at = watermark"))
    for _ in range(2):
        old = open_ledger(f"sqlite:///{path}")
        (entry,) = old.entries(FEED)
        assert (entry.rows, entry.build, entry.code, old.cells(FEED, DAY)) == (7, 2, "", {})
        old.close()


def _child(path: Path, work: str) -> subprocess.Popen[str]:
    code = f"""
import os
from datetime import UTC, datetime
from carbon254.stores.ledger import Ledger, Noted, open_ledger
NOW = datetime.fromisoformat({NOW.isoformat()!r})
ledger = open_ledger("sqlite:///{path}")
{work}
"""
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_processes_that_note_the_same_agree(tmp_path: Path) -> None:
    work = f"""
for n in range(40):
    ledger.complete([Noted({FEED!r}, {DAY!r}, f"sha{{n}}:0", 10, NOW.isoformat(), NOW.isoformat())], NOW)
    ledger.begin({FEED!r}, "2025-07-02", NOW)
"""
    children = [_child(tmp_path / "ledger.db", work) for _ in range(2)]
    for child in children:
        assert child.wait(60) == 0, child.stderr and child.stderr.read()[-500:]
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    later, first = ledger.entries(FEED)
    assert (first.payloads, first.rows) == (40, 400)
    assert later.attempts == 80
    ledger.close()


def test_a_process_that_dies_in_the_middle_leaves_nothing_half_noted(tmp_path: Path) -> None:
    work = f"""
parts = [Noted({FEED!r}, f"2025-07-0{{n + 1}}", f"sha{{n}}:0", 10, NOW.isoformat(), NOW.isoformat()) for n in range(4)]
ledger.complete(parts[:2], NOW)
moves = []
move = Ledger._move
Ledger._move = lambda *a, **k: os._exit(9) if moves else moves.append(move(*a, **k))
ledger.complete(parts, NOW)
"""
    assert _child(tmp_path / "ledger.db", work).wait(60) == 9
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert [entry.partition for entry in ledger.entries(FEED)] == ["2025-07-02", "2025-07-01"]
    ledger.close()


@on("transitions")
def test_threads_share_one_ledger(ledger: Ledger) -> None:
    threads = [threading.Thread(target=lambda: [ledger.complete([noted(n)], NOW) for n in range(10)]) for _ in range(4)]
    threads += [threading.Thread(target=lambda: [ledger.entries() for _ in range(20)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.entries(FEED)[0].payloads == 10


@on("leases")
def test_what_is_done_within_the_fence_is_done_before_anybody_takes_over_or_not_at_all(
    ledger: Ledger, opener: Open
) -> None:
    lease = ledger.acquire("run", "anna", NOW, MINUTE)
    other, done = opener("ledger"), list[str]()

    def take_over() -> None:
        assert other.acquire("run", "ben", NOW + 2 * MINUTE, MINUTE) is not None
        done.append("taken over")

    taker = threading.Thread(target=take_over)
    with ledger.fenced(lease):
        taker.start()
        taker.join(0.5)
        done.append("swapped")
    taker.join(30)
    assert done == ["swapped", "taken over"]
    with pytest.raises(LeaseLost, match="ben has it with token 2"), ledger.fenced(lease):
        done.append("swapped again")
    assert done == ["swapped", "taken over"]
    other.close()


@on("leases")
def test_an_unlocked_lease_is_free_and_its_holder_refused(ledger: Ledger) -> None:
    lease = ledger.acquire("run", "anna", NOW, timedelta(hours=6))
    assert ledger.acquire("run", "ben", NOW + MINUTE, MINUTE) is None
    found = ledger.unlock("run", "unlocked by cleo", NOW + MINUTE)
    assert found is not None and (found.holder, found.token) == ("anna", 1)
    assert ledger.unlock("run", "unlocked by cleo", NOW + MINUTE) is None
    assert ledger.unlock("nothing", "unlocked by cleo", NOW) is None
    with pytest.raises(LeaseLost, match="unlocked by cleo has it"), ledger.fenced(lease):
        pass
    taken = ledger.acquire("run", "ben", NOW + MINUTE, MINUTE)
    assert taken is not None and taken.token == 3


_HOLDS = """
import sys
from datetime import UTC, datetime, timedelta
from carbon254.stores.ledger import open_ledger
ledger = open_ledger(sys.argv[1])
assert ledger.acquire("run", "anna", datetime.fromisoformat(sys.argv[2]), timedelta(hours=6))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_in_a_ledger_of_its_own_file_a_lease_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = open_ledger(url)
    for turn in range(2):
        holder = subprocess.Popen(
            [sys.executable, "-c", _HOLDS, url, NOW.isoformat()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert ledger.acquire("run", "ben", NOW + MINUTE, MINUTE) is None
        holder.kill()
        holder.communicate()
        taken = ledger.acquire("run", "ben", NOW + MINUTE, MINUTE)
        assert taken is not None and taken.token == 2 * turn + 2
        ledger.release(taken, NOW)
    ledger.close()
    assert list((tmp_path / "ledger.db.leases").iterdir()) == []


def test_a_lease_that_an_older_version_left_in_a_file_blocks_nobody(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    later = (NOW + timedelta(hours=6)).isoformat(timespec="microseconds")
    with ledger._engine.begin() as db:
        db.execute(sa.text("INSERT INTO leases VALUES ('run', 'c254 4711', 7, :later)"), {"later": later})
    taken = ledger.acquire("run", "ben", NOW, MINUTE)
    assert taken is not None and taken.token == 8
    ledger.close()
