"""Replay with proof, receipts, and harm of every kind found and named: real files of a real workspace are harmed."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from flow.conftest import NOW, spp

from carbon254.api.notary import Notary, upto
from carbon254.app import Node, open_node
from carbon254.cli.proving import soundness
from carbon254.clock import ManualClock
from carbon254.engine.feedrun import FeedRunner
from carbon254.engine.rebuilder import How
from carbon254.engine.wanting import MissingRaw
from carbon254.errors import QueryRefused, TransientError
from carbon254.feeds import feed
from carbon254.ingest import Arrived
from carbon254.proof import ReceiptChanged, differences, receipt_of
from carbon254.settings import Settings
from carbon254.stores.ledger import completeness, open_ledger
from carbon254.stores.ledger.completeness import starts_of

RT = "iso.rt.lmp.spp"
PLACES = {f"LOC_{i}": 20.0 + i for i in range(6)}
WIDE = (NOW - timedelta(days=40), NOW + timedelta(days=1))
Bring = Callable[..., bool]


def end_of(number: int) -> str:
    """The end of the number-th five-minute interval back from noon, twelve hours apart."""
    return f"{NOW.replace(minute=5, second=0) - timedelta(hours=12 * number):%m/%d/%Y %H:%M:%S}"


def fill(node: Node, payloads: int, corrected: bool = True) -> None:
    """So many intervals, twelve hours apart; the newest one is corrected later."""
    for number in range(payloads):
        at = NOW - timedelta(hours=12 * number)
        node.pipeline.inbox.accept(Arrived(RT, spp(PLACES, end_of(number)), f"p{number}.csv", at))
    if corrected:
        later = spp(PLACES | {"LOC_3": 99.0}, end_of(0))
        node.pipeline.inbox.accept(Arrived(RT, later, "p0.csv", NOW + timedelta(hours=5)))
    node.runner.drain()


def root(node: Node) -> str:
    return node.pipeline.prove(RT, *WIDE).root


def replay(node: Node, how: How | None = None) -> str:
    node.pipeline.replay(RT, *WIDE, node.clock.now(), how=how)
    return root(node)


@pytest.mark.slow
def test_thirty_days_have_one_root_whatever_the_workers_and_the_order(node: Node, tmp_path: Path) -> None:
    fill(node, 60, corrected=True)
    before = root(node)
    hows = [How(1, random.Random(1)), How(4, random.Random(2), "dana", "asked by the desk")]
    assert {replay(node, how) for how in hows} == {before}
    proof = node.pipeline.prove(RT, *WIDE)
    assert len(proof.partitions) == 31 and sum(one.rows for one in proof.partitions) == 361
    (act, *_) = node.ledger.trail(RT, "2025-07-01")
    assert (act.who, act.what, act.why) == ("dana", "replay", "asked by the desk")
    node.pipeline.prover.note(proof, NOW)
    build = node.ledger.builds(RT, "2025-07-01")[0]
    assert (build.build, build.hash) == (3, proof.partitions[-1].hash)
    # A part of a day is proven as the whole day.
    assert node.pipeline.prove(RT, NOW, NOW + timedelta(minutes=1)).partitions == proof.partitions[-1:]


@pytest.mark.slow
def test_another_value_code_or_payload_is_another_root_and_the_partition_is_named(node: Node, bring: Bring) -> None:
    fill(node, 4)
    before = node.pipeline.prove(RT, *WIDE)
    (last,) = [one for one in before.partitions if one.partition == "2025-07-01"]
    for changed, told in (
        (replace(last, payloads=(*last.payloads[:-1], "0" * 64)), "payloads"),
        (replace(last, code="another"), "code"),
        (replace(last, hash="0" * 64), "values of its"),
    ):
        after = replace(before, partitions=tuple(changed if one is last else one for one in before.partitions))
        (found,) = differences(before, after)
        assert after.root != before.root
        assert str(found).startswith(f"{RT} 2025-07-01: {told}")
    bring(RT, spp(PLACES | {"LOC_5": 1.0}, end_of(0)), "p0.csv", NOW + timedelta(hours=6))
    (found,) = differences(before, node.pipeline.prove(RT, *WIDE))
    assert (found.feed, found.partition) == (RT, "2025-07-01") and found.what == ("payloads 2 → 3", "rows 7 → 9")


@pytest.mark.slow
def test_a_value_changed_in_the_hot_store_is_named_by_the_proof_and_mended_by_the_replay(node: Node) -> None:
    fill(node, 4)
    sound = root(node)
    where = f"location = 'LOC_2' AND interval_start < '{NOW - timedelta(hours=30):%Y-%m-%d %H:%M:%S}'"
    node.hot.command(f"ALTER TABLE store.interval_prices UPDATE flags = 4 WHERE {where} SETTINGS mutations_sync = 2")
    before = node.pipeline.prove(RT, *WIDE)
    assert before.root != sound
    assert replay(node) == sound
    (found,) = differences(before, node.pipeline.prove(RT, *WIDE))
    assert (found.feed, found.partition, found.what) == (RT, "2025-06-29", ("values of its 6 rows",))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["missing", "harmed"])
def test_a_replay_over_unsound_raw_names_it_offers_the_refetch_and_changes_nothing(node: Node, kind: str) -> None:
    fill(node, 4)
    before, standing = root(node), node.ledger.entries(RT)
    victim = next(iter(node.pipeline.prover.payloads(_source(), *WIDE)["2025-06-30"]))
    path = node.workspace.path("raw") / victim[:2] / f"{victim}.zst"
    path.unlink() if kind == "missing" else _flip(path, 20, 3)
    with pytest.raises(MissingRaw) as told:
        replay(node, How(2))
    message = str(told.value)
    assert f"{RT} 2025-06-30: p1.csv ({victim[:12]}…) is {kind}" in message
    assert f"c254 feeds run --feed {RT} --from 2025-06-30 --to 2025-07-01 --afresh" in message
    assert (f"{victim}.zst" in message) is (kind == "harmed")
    assert (root(node), node.ledger.entries(RT)) == (before, standing)


@pytest.mark.slow
def test_one_rebuild_of_a_feed_at_a_time(node: Node) -> None:
    fill(node, 2)
    assert node.ledger.acquire(f"rebuild:{RT}", "another", NOW, timedelta(hours=1))
    with pytest.raises(TransientError, match="another process is rebuilding"):
        replay(node)
    node.clock.sleep(3_700)
    replay(node)


@pytest.mark.slow
def test_a_failed_rebuild_is_written_down(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(node, 2)

    def refuses(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(node.lake, "replace_span", refuses)
    with pytest.raises(OSError, match="no space"):
        replay(node)
    assert {entry.state for entry in node.ledger.entries(RT)} == {"failed"}
    monkeypatch.undo()
    replay(node)
    assert {entry.state for entry in node.ledger.entries(RT)} == {"completed"}


# Receipts


ASKED = (
    "SELECT location, interval_start, lmp FROM current_prices WHERE market = 'SPP' ORDER BY location, interval_start"
)


@pytest.mark.slow
def test_a_receipt_holds_after_corrections_withdrawals_and_backfills(node: Node, bring: Bring) -> None:
    fill(node, 4, corrected=False)
    table, receipt = node.notary().answer(ASKED)
    assert receipt_of(receipt.to_json()) == receipt
    assert (receipt.rows.count, receipt.units) == (24, {"interval_start": "UTC", "lmp": "USD/MWh"})
    scores = {one.score for one in node.quality.between(RT, "", "~")}
    assert receipt.quality is not None and min(scores) <= receipt.quality <= max(scores)
    assert receipt.licences == {RT: "SPP portal terms of use (restricted)"}
    assert receipt.known_at == "2025-07-01T12:10:30Z"
    bring(RT, spp(PLACES | {"LOC_3": 99.0}, end_of(0)), "p0.csv", NOW + timedelta(days=30))
    bring(RT, spp({"LOC_1": 21.0}, end_of(1)), "p1.csv", NOW + timedelta(days=31))
    bring(RT, spp(PLACES, end_of(9)), "late.csv", NOW + timedelta(days=90))
    assert not node.hot.query(ASKED).equals(table)
    verdict = node.notary().verify(receipt_of(receipt.to_json()))
    assert (verdict.equal, verdict.differs, verdict.rows) == (True, (), 24)
    assert any("came since" in note for note in verdict.notes)
    replay(node)
    assert node.notary().verify(receipt).equal
    later, second = node.notary().answer(ASKED)
    assert second.root != receipt.root and second.rows.hash != receipt.rows.hash
    assert later.equals(node.hot.query(ASKED))


@pytest.mark.slow
def test_a_changed_value_fails_the_receipt_and_its_row_is_shown(node: Node) -> None:
    fill(node, 2)
    _, receipt = node.notary().answer(ASKED)
    change = "ALTER TABLE store.interval_prices UPDATE location = 'LOC_X' WHERE location = 'LOC_4'"
    node.hot.command(f"{change} SETTINGS mutations_sync = 2")
    verdict = node.notary().verify(receipt)
    assert not verdict.equal
    assert (
        verdict.differs[0] == "columns that differ: interval_start, location, lmp" or "location" in verdict.differs[0]
    )
    assert any("LOC_X" in line and "lmp=24.0" in line for line in verdict.differs)


@pytest.mark.slow
def test_a_receipt_that_was_edited_or_is_of_another_workspace_is_refused(node: Node) -> None:
    fill(node, 2)
    _, receipt = node.notary().answer(ASKED)
    raw = json.loads(receipt.to_json())
    for edited in (raw | {"known_at": "2025-01-01T00:00:00Z"}, raw | {"rows": raw["rows"] | {"count": 1}}):
        with pytest.raises(ReceiptChanged, match="was changed after it was issued"):
            receipt_of(json.dumps(edited))
    for text in ("{}", "no receipt", json.dumps(raw | {"format": "other/9"}), json.dumps({"format": raw["format"]})):
        with pytest.raises(ReceiptChanged):
            receipt_of(text)
    node.pipeline.inbox.accept(Arrived(RT, spp(PLACES, end_of(3)), "p3.csv", NOW))
    node.runner.drain()
    stranger = Notary(node.hot, _Cut(node.log), {RT: feed(RT).stream}, {}, node.clock, lambda _: None)  # pyright: ignore[reportArgumentType]
    verdict = stranger.verify(receipt)
    assert not verdict.equal and "not those of the receipt (1 here)" in verdict.differs[0]


class _Cut:
    """A log that has lost a payload."""

    def __init__(self, log) -> None:
        self._log = log

    def __getattr__(self, name: str):
        return getattr(self._log, name)

    def scan(self, prefix: str, after: int = 0):
        yield from list(self._log.scan(prefix, after))[1:2]


REFUSED = {
    "SELECT now() FROM interval_prices": "answers differently each time",
    "SELECT location FROM interval_prices WHERE rand() > 1": "answers differently each time",
    "SELECT location FROM interval_prices LIMIT 3": "ORDER BY",
    "SELECT row FROM quarantine": "keeps its current version only",
    "SELECT score FROM verdicts": "keeps its current version only",
    "SELECT 1": "reads no dataset",
    "DROP TABLE interval_prices": "not a reading statement",
    "SELECT lmp FROM store.interval_prices": "not for readers",
}


@pytest.mark.slow
def test_no_receipt_is_given_where_it_could_not_be_kept(node: Node) -> None:
    for statement, why in REFUSED.items():
        with pytest.raises(QueryRefused, match=why):
            node.notary().answer(statement)


@pytest.mark.slow
def test_receipts_equal_a_store_that_saw_only_what_came_before(node: Node, tmp_path: Path) -> None:
    """At 12 moments of a random history: the frozen answer is that of rows kept by hand."""
    rng, kept, receipts = random.Random(7), [], []
    for step in range(12):
        prices = {place: float(rng.randrange(100)) for place in rng.sample(sorted(PLACES), 4)}
        number = rng.randrange(3)
        node.pipeline.inbox.accept(
            Arrived(RT, spp(PLACES | prices, end_of(number)), f"p{number}.csv", NOW + timedelta(hours=step))
        )
        node.runner.drain()
        table, receipt = node.notary().answer(ASKED)
        kept.append(pl.DataFrame(node.hot.query(ASKED)))
        assert pl.DataFrame(table).equals(kept[-1])
        receipts.append(receipt)
    for receipt, frame in zip(receipts, kept, strict=True):
        assert node.notary().verify(receipt).equal
        frozen = node.hot.query_frozen(ASKED, {RT: upto(receipt.feeds[RT])}, datetime.fromisoformat(receipt.issued_at))
        assert pl.DataFrame(frozen).equals(frame)


# Runs and completeness


@pytest.mark.slow
def test_a_run_is_checked_before_and_written_down_after(node: Node) -> None:
    checks, stream = FeedRunner(node.ledger, node.clock), feed(RT).stream
    span = (NOW - timedelta(minutes=10), NOW)

    def work(*answers: str) -> Iterator[str]:
        assert node.ledger.entries(RT, "2025-07-01")[0].state == "running"
        yield from answers

    assert list(checks.around(stream, *span, work("", ""), str)) == ["", ""]
    assert node.ledger.entries(RT, "2025-07-01")[0].state == "pending"
    assert checks.last[RT].before.watermark is None
    fill(node, 1, corrected=False)
    list(checks.around(stream, *span, work("the provider said no"), str))
    entry = node.ledger.entries(RT, "2025-07-01")[0]
    assert (entry.state, entry.error, entry.rows, entry.attempts) == ("failed", "the provider said no", 6, 2)
    list(checks.around(stream, NOW, NOW + timedelta(minutes=5), work(""), str))
    last = checks.last[RT]
    assert (last.state, last.before.gap) == ("completed", NOW - last.before.watermark)  # type: ignore[operator]

    def breaks() -> Iterator[str]:
        raise RuntimeError("torn")
        yield ""

    with pytest.raises(RuntimeError):
        list(checks.around(stream, *span, breaks(), str))
    assert node.ledger.entries(RT, "2025-07-01")[0].error == "RuntimeError: torn"
    states = [state for state, _, _ in node.ledger.history(RT, "2025-07-01")]
    assert states == [
        "running",
        "pending",
        "completed",
        "running",
        "failed",
        "running",
        "completed",
        "running",
        "failed",
    ]


def test_a_watermark_that_went_back_fails_the_run(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}")
    checks, clock = FeedRunner(ledger, ManualClock(NOW)), feed(RT).stream
    before = replace(checks.before(clock, NOW, NOW + timedelta(minutes=5)), watermark=NOW)
    assert "went back" in checks.after(before, "").error
    assert ledger.entries(RT)[0].state == "failed"
    ledger.close()


@pytest.mark.slow
def test_expected_against_received_is_counted_by_due_intervals_and_known_places(node: Node, bring: Bring) -> None:
    fill(node, 3, corrected=False)
    bring(RT, spp({"LOC_0": 1.0}, end_of(0).replace(":05:", ":10:")), "part.csv", NOW)
    stream, day = feed(RT).stream, "2025-07-01"
    cells = node.ledger.cells(RT, day)
    at = datetime(2025, 7, 1, 12, 16, tzinfo=UTC)
    found = completeness(stream, day, at, cells, node.ledger.places(cells))
    assert found is not None
    # Twin: 05:00Z to 12:10Z ended, each due five minutes after its end, are 86 or 87 intervals of 288.
    due = [s for s in starts_of(stream, day) if s + timedelta(minutes=10) <= at]
    assert (found.expected, found.due, found.places) == (288, len(due), 6)
    assert (found.received, found.received_cells, found.due_cells) == (2, 6 + 1, 6 * len(due))
    assert len(found.missing) == len(due) - 2
    early = completeness(stream, day, datetime(2025, 7, 1, 5, 1, tzinfo=UTC), cells, node.ledger.places(cells))
    assert early is not None and (early.due, early.share, early.missing) == (0, None, ())


@pytest.mark.parametrize(
    ("topic", "day", "intervals"),
    [
        (RT, "2025-03-09", 276), (RT, "2025-11-02", 300), (RT, "2025-07-01", 288),
        ("iso.da.lmp.spp", "2025-03-09", 23), ("iso.da.lmp.spp", "2025-11-02", 25),
        ("iso.da.lmp.miso", "2025-03-09", 24), ("iso.da.lmp.nyiso", "2025-11-02", 25),
    ],
)  # fmt: skip
def test_a_market_day_expects_as_many_intervals_as_it_has(topic: str, day: str, intervals: int) -> None:
    stream = feed(topic).stream
    later = datetime(2026, 1, 1, tzinfo=UTC)
    cells = {"ab": (1 << intervals) - 1, "a": 1}
    full = completeness(stream, day, later, cells, {"ab": frozenset("AB"), "a": frozenset("A")})
    assert full is not None and (full.expected, full.due, full.received, full.share) == (
        intervals,
        intervals,
        intervals,
        1.0,
    )
    one = completeness(stream, day, later, {"ab": ((1 << intervals) - 1) & ~2}, {"ab": frozenset("AB")})
    assert one is not None and one.share == pytest.approx((intervals - 1) / intervals)
    assert one.missing == (starts_of(stream, day)[1],)
    missing = completeness(stream, day, later, cells, {"ab": frozenset("AB")}, frozenset("ABC"))
    assert missing is not None and missing.share == pytest.approx(2 / 3)
    assert completeness(feed("market.ticks").stream, day, later, {}, {}) is None


# Harm


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound workspace, closed."""
    folder = tmp_path_factory.mktemp("made") / "ws"
    with open_node(Settings(workspace=folder), {}, ManualClock(NOW)) as node:
        fill(node, 6)
        assert list(soundness(node).findings()) == []
    shutil.copytree(folder, folder.with_name("kept"), symlinks=True)
    return folder


@pytest.fixture
def workspace(made: Path) -> Iterator[Path]:
    """That workspace to do harm to, put back afterwards: the lake's files name each other by their whole paths."""
    yield made
    shutil.rmtree(made)
    shutil.copytree(made.with_name("kept"), made, symlinks=True)


def _source():
    from carbon254.pipeline import sources

    return sources()[RT]


def _flip(path: Path, at: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1 << bit
    path.write_bytes(bytes(data))


# What the engine keeps for itself beside the data, without which nothing is lost.
_BESIDE = (
    "uuid.txt",
    "metadata_version.txt",
    "default_compression_codec.txt",
    "columns_substreams.txt",
    "txn_version.txt",
)


def _victims(workspace: Path, place: str) -> list[Path]:
    if place == "raw":
        return sorted(workspace.glob("raw/*/*.zst"))
    if place == "lake":
        return sorted(workspace.glob("lake/warehouse/**/interval_prices/data/**/*.parquet"))
    if place == "manifest":
        return sorted(workspace.glob("lake/warehouse/**/interval_prices/metadata/*.avro"))
    if place == "log":
        return [workspace / "log.db"]
    parts = [path.parent for path in workspace.glob("hot/store/*/*/2025*/checksums.txt")]
    return sorted(f for part in parts for f in part.iterdir() if f.is_file() and f.name not in _BESIDE)


def _harm(workspace: Path, place: str, kind: str, rng: random.Random) -> str:
    """Harm one file (two for a swap); returns what was done."""
    victims = _victims(workspace, place)
    path = rng.choice(victims)
    data = path.read_bytes()
    if kind == "flip":
        _flip(path, rng.randrange(len(data)), rng.randrange(8))
    elif kind == "cut":
        path.write_bytes(data[: rng.randrange(len(data))])
    elif kind == "delete":
        path.unlink()
    else:
        other = rng.choice([one for one in victims if one.suffix == path.suffix and one.read_bytes() != data])
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)
    return f"{place} {kind} {path.relative_to(workspace)}"


def _found(workspace: Path) -> list[str]:
    """What `c254 verify` says of it, and with which exit code."""
    from cli.shell import typed

    said = typed("verify", "-w", workspace, "--json")
    told = json.loads(said.out.splitlines()[0])
    assert (said.code == 1) is bool(told["problems"]), said
    return told["problems"]


# The wide tier harms many more files.
MANY = 12 if os.environ.get("C254_TIER") == "N" else 1
CASES = [
    (place, kind, seed)
    for place, kinds, seeds in (
        ("raw", ("flip", "cut", "delete", "swap"), 1),
        ("lake", ("flip", "cut", "delete", "swap"), 1),
        ("manifest", ("flip", "cut", "delete"), 1),
        ("hot", ("flip", "cut", "delete"), 1),
    )
    for kind in kinds
    for seed in range(seeds * MANY)
]


@pytest.mark.slow
@pytest.mark.parametrize(("place", "kind", "seed"), CASES)
def test_harm_is_found_by_verify_and_named(workspace: Path, place: str, kind: str, seed: int) -> None:
    done = _harm(workspace, place, kind, random.Random(f"{place} {kind} {seed}"))
    problems = _found(workspace)
    assert problems, done
    if place in ("raw", "lake"):
        assert any(RT in problem and ("2025-0" in problem) for problem in problems), (done, problems)
        assert all(problem.startswith(place) for problem in problems), (done, problems)


LOG_HARMS = {
    "a record's header": "UPDATE records SET headers = replace(CAST(headers AS TEXT), 'T12', 'T13') WHERE offset = 1",
    "a record's body": "UPDATE records SET body = zeroblob(8) WHERE offset = (SELECT max(offset) FROM records)",
    "a record is gone": "DELETE FROM records WHERE offset = 1",
    "a set of places": "UPDATE state SET value = replace(CAST(value AS TEXT), 'LOC_1', 'LOC_9') WHERE scope = 'places'",
    "a span": "UPDATE state SET value = 'x' || substr(value, 2) WHERE scope LIKE 'span:%'",
}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("what", [*LOG_HARMS, "cut", "delete", "swap", "zeros"])
def test_harm_to_the_log_is_found_by_verify(workspace: Path, what: str) -> None:
    import apsw

    # A copy takes in once what it lacks; from then on it is a workspace like any other.
    open_node(Settings(workspace=workspace), {}).close()
    path = workspace / "log.db"
    if what in LOG_HARMS:
        with apsw.Connection(str(path)) as db:
            db.execute(LOG_HARMS[what])
        db.close()
    elif what == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif what == "delete":
        path.unlink()
    elif what == "zeros":
        data = bytearray(path.read_bytes())
        data[4096:8192] = bytes(4096)
        path.write_bytes(bytes(data))
    else:
        shutil.copy(workspace / "ledger.db", path)
    assert _found(workspace)


@pytest.mark.slow
def test_a_sound_workspace_is_found_sound(workspace: Path) -> None:
    assert _found(workspace) == []
