"""Faults a provider can make, through the whole flow: no wrong price reaches a reader; recovery publishes itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from cli.shell import clean, typed
from flow.faults import DA, FAULTS, PLACES, RT, csv, day_rows, true_rows

from carbon254.api.known import Known
from carbon254.api.vintages import Span, of_prices
from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.engine.quarantine import Release
from carbon254.engine.releasing import NothingHeld
from carbon254.ingest import Arrived
from carbon254.model import Flag
from carbon254.settings import Settings

DAY, NEXT = date(2025, 7, 1), date(2025, 7, 2)
OUT = datetime(2025, 6, 30, 19, tzinfo=UTC)
# What a gate can know of a batch, and what only the day as a whole tells. A cut file is not wrong: it lacks prices.
LIVE = {
    "flatline": "stuck", "frozen": "frozen", "wrong_sign": "identity", "unit_slip": "range.lmp",
    "shifted_hour": "aligned", "duplicates": "unique", "spikes": "spikes", "nulls": "nulls.lmp",
    "swapped": "share.loss",
}  # fmt: skip
FINAL = {"truncated": "intervals", "missing_nodes": "complete"}
Published = dict[tuple[str, datetime], float | None]


def published(node: Node, topic: str = DA) -> Published:
    found = node.hot.query(f"SELECT location, interval_end, lmp FROM current_prices WHERE feed = '{topic}'").to_pylist()
    return {(row["location"], row["interval_end"].astimezone(UTC)): row["lmp"] for row in found}


def truth(rows: pl.DataFrame) -> Published:
    return {(place, end): lmp for place, end, lmp in rows.select("location", "end", "lmp").iter_rows()}


def wrong(seen: Published, true: Published) -> list[tuple[str, datetime]]:
    return [cell for cell, lmp in seen.items() if cell not in true or lmp != pytest.approx(true[cell], abs=1e-9)]


def statuses(node: Node) -> dict[str, int]:
    found = node.hot.query("SELECT status, count() AS n FROM quarantine GROUP BY status").to_pylist()
    return {row["status"]: row["n"] for row in found}


def bring(node: Node, topic: str, rows: pl.DataFrame, at: datetime, name: str = "") -> None:
    node.clock.instant = at  # type: ignore[attr-defined]
    kind = "DA-LMP-SL" if topic == DA else "RTBM-LMP-SL"
    node.pipeline.inbox.accept(Arrived(topic, csv(rows), f"{kind}-{name or at.isoformat()}.csv", at, name))
    node.runner.drain()


def judge_day(node: Node, at: datetime) -> dict[str, str]:
    """Verdicts by market day once the clock stands at `at`."""
    node.clock.instant = at  # type: ignore[attr-defined]
    for _ in node.pipeline.days.finals(at):
        pass
    return {str(row["market_day"]): row["status"] for row in node.hot.query("SELECT * FROM verdicts").to_pylist()}


@pytest.mark.slow
def test_no_wrong_price_reaches_a_reader_and_the_correction_publishes_itself(node: Node) -> None:
    for number, fault in enumerate(LIVE):
        day, at = DAY + timedelta(days=2 * number), OUT + timedelta(days=2 * number)
        assert_held_and_recovered(node, fault, day_rows(day), at)
    assert node.log.letters() == [], "held rows are no letters"
    found = node.hot.query("SELECT count() AS n FROM quarantine WHERE status = 'resolved'")["n"][0].as_py()
    # Each row came to the lake twice: when it was held, and when it was resolved.
    assert node.lake.count("quarantine") == 2 * found + len(PLACES)


def assert_held_and_recovered(node: Node, fault: str, rows: pl.DataFrame, at: datetime) -> None:
    bad, before = FAULTS[fault](rows), published(node)
    assert bad.cells, f"{fault} must make something wrong"
    bring(node, DA, bad.rows, at, fault)
    assert wrong(published(node), before | truth(rows)) == [], fault
    arrived = f"held_at = fromUnixTimestamp64Micro({int(at.timestamp()) * 1_000_000}, 'UTC')"
    sql = "SELECT check_id, location_id, interval_end FROM quarantine WHERE status = 'held' AND "
    held = node.hot.fetch(sql + arrived)
    cells = {(row["location_id"], row["interval_end"].astimezone(UTC)) for row in held.to_pylist()}
    told, true = truth(bad.rows), truth(rows)
    assert {cell for cell in bad.cells if told[cell] != true.get(cell)} <= cells, fault
    assert LIVE[fault] in held["check_id"].to_pylist(), fault
    bring(node, DA, rows, at + timedelta(hours=1), f"{fault} fixed")
    assert published(node) == before | true, fault
    # Labels an hour late named an hour of the next day, which this file does not bring.
    shifted = len(PLACES) if "shifted_hour" in list(LIVE)[: list(LIVE).index(fault) + 1] else 0
    assert statuses(node).get("held", 0) == shifted, fault


@pytest.mark.slow
@pytest.mark.parametrize("fault", FINAL)
def test_what_only_the_day_tells_gets_a_held_verdict_and_a_mark(node: Node, fault: str) -> None:
    bring(node, DA, day_rows(DAY), OUT, "before")
    assert judge_day(node, OUT + timedelta(days=2)) == {"2025-07-01": "published"}
    rows = day_rows(NEXT)
    bring(node, DA, FAULTS[fault](rows).rows, OUT + timedelta(days=1), "cut")
    assert wrong(published(node), truth(day_rows(DAY)) | truth(rows)) == []
    assert judge_day(node, OUT + timedelta(days=3))["2025-07-02"] == "held"
    (verdict,) = node.hot.query("SELECT * FROM verdicts WHERE market_day = '2025-07-02'").to_pylist()
    assert FINAL[fault] in verdict["failed_checks"] and verdict["why"] and verdict["completeness"] < 0.95
    noon = datetime(2025, 7, 2, 17, tzinfo=UTC)
    question = of_prices(Span("SPP", noon, noon + timedelta(hours=2)), Known(), noon)
    assert "2025-07-02: the day's verdict is held" in question.note(node.hot.query, 1)
    bring(node, DA, rows, OUT + timedelta(days=3, hours=1), "fixed")
    assert judge_day(node, OUT + timedelta(days=4)) == {"2025-07-01": "published", "2025-07-02": "published"}
    assert question.note(node.hot.query, 1) == ""
    turned = [act.what for act in node.ledger.trail(DA, "2025-07-02") if act.who == "gate"]
    assert turned == ["verdict published", "verdict held"]


@pytest.mark.slow
def test_old_prices_under_a_new_date_are_held_until_the_true_ones_come(node: Node) -> None:
    bring(node, DA, day_rows(DAY), OUT, "one")
    rows = day_rows(NEXT)
    old = day_rows(DAY).with_columns(pl.col("end") + timedelta(days=1))
    bring(node, DA, old, OUT + timedelta(days=1), "two")
    assert published(node) == truth(day_rows(DAY))
    assert statuses(node) == {"held": old.height}
    assert node.hot.query("SELECT DISTINCT check_id FROM quarantine")["check_id"].to_pylist() == ["stale"]
    bring(node, DA, rows, OUT + timedelta(days=1, hours=1), "two")
    assert published(node) == truth(day_rows(DAY)) | truth(rows)
    assert statuses(node) == {"resolved": old.height}


@pytest.mark.slow
def test_a_wrong_correction_leaves_the_last_good_version(node: Node) -> None:
    rows = day_rows(DAY)
    bring(node, DA, rows, OUT)
    before = node.hot.hash("interval_prices")
    bring(node, DA, FAULTS["wrong_sign"](rows).rows, OUT + timedelta(hours=1), "again")
    assert published(node) == truth(rows)
    assert node.hot.query("SELECT count() AS n FROM current_prices WHERE lmp IS NULL")["n"][0].as_py() == 0
    rewritten = FAULTS["missing_nodes"](rows).rows.with_columns(pl.col("lmp") + 0.0)
    bring(node, DA, rewritten.reverse(), OUT + timedelta(hours=2), "cut")
    assert published(node) == truth(rows), "a cut file withdraws nothing"
    assert "withdrawn" in node.hot.query("SELECT DISTINCT check_id FROM quarantine")["check_id"].to_pylist()
    assert before == node.hot.hash("interval_prices") or len(published(node)) == rows.height


def interval(end: datetime) -> pl.DataFrame:
    return true_rows(RT, end - timedelta(minutes=5), end)


@pytest.mark.slow
def test_live_intervals_go_out_alone_and_a_shifted_one_does_not(node: Node) -> None:
    end = datetime(2025, 7, 1, 12, 5, tzinfo=UTC)
    bring(node, RT, interval(end), end + timedelta(minutes=5))
    assert published(node, RT) == truth(interval(end))
    late = interval(end + timedelta(minutes=5)).with_columns(pl.col("end") + timedelta(hours=1))
    bring(node, RT, late, end + timedelta(minutes=10))
    assert published(node, RT) == truth(interval(end))
    assert statuses(node) == {"held": len(PLACES)}
    newest = node.pipeline.reasker.wanted(_stream(RT), end + timedelta(minutes=30))
    assert (end, end + timedelta(minutes=20)) in newest, "what has not come is asked for again"


@pytest.mark.slow
def test_the_poller_asks_again_a_few_times_and_then_leaves_the_provider_alone(node: Node) -> None:
    rows, reasker, stream = day_rows(DAY), node.pipeline.reasker, _stream(DA)
    bring(node, DA, FAULTS["spikes"](rows).rows, OUT)
    now, asked = OUT, []
    while now < datetime(2025, 7, 1, 1, tzinfo=UTC):
        asked += [(now, span) for span in reasker.spans(stream, now)]
        now += timedelta(minutes=5)
    by_span: dict[datetime, list[datetime]] = {}
    for at, (start, _) in asked:
        by_span.setdefault(start, []).append(at)
    assert len(by_span) == 2 and all(len(times) == 6 for times in by_span.values())
    waits = [(b - a) for a, b in zip(by_span[min(by_span)], by_span[min(by_span)][1:], strict=False)]
    assert waits == [timedelta(minutes=5 * 2**n) for n in range(5)]
    bring(node, DA, rows, OUT + timedelta(hours=3), "fixed")
    assert reasker.wanted(stream, OUT + timedelta(hours=3)) == []


@pytest.mark.slow
def test_a_person_releases_with_a_reason_and_the_trail_says_so(node: Node) -> None:
    rows = day_rows(DAY)
    bad = FAULTS["spikes"](rows)
    bring(node, DA, bad.rows, OUT)
    pipeline = node.pipeline
    with pytest.raises(ValueError, match="reason"):
        pipeline.release(DA, DAY, [], Release(OUT, "ann", " "))
    with pytest.raises(NothingHeld):
        pipeline.release(DA, NEXT, [], Release(OUT, "ann", "because"))
    at = OUT + timedelta(hours=2)
    done = pipeline.release(DA, DAY, [], Release(at, "ann", "the operator confirmed them"))
    assert (done.rows, done.payloads) == (2, 1)
    assert published(node) == truth(bad.rows)
    assert statuses(node) == {"released": 2}
    found = node.hot.query("SELECT flags, known_at, received_at FROM current_prices WHERE lmp > 2000").to_pylist()
    assert len(found) == 2 and all(row["flags"] & Flag.RELEASED and row["known_at"] == at for row in found)
    assert all(row["received_at"] == OUT for row in found)
    (act,) = [act for act in node.ledger.trail(DA, str(DAY)) if act.what == "release"]
    assert (act.who, act.at) == ("ann", at) and "the operator confirmed them" in act.why
    before = node.hot.hash("interval_prices")
    pipeline.replay(DA, OUT - timedelta(days=1), OUT + timedelta(days=3), at)
    assert node.hot.hash("interval_prices") == before, "a rebuild brings the released rows back"
    bring(node, DA, rows, OUT + timedelta(hours=4), "fixed")
    assert published(node) == truth(rows)


@pytest.mark.slow
def test_a_receipt_leaves_out_what_a_person_released_later(node: Node) -> None:
    asked = f"SELECT lmp FROM current_prices WHERE feed = '{DA}' ORDER BY location, interval_end"
    bring(node, DA, FAULTS["spikes"](day_rows(DAY)).rows, OUT)
    table, receipt = node.notary().answer(asked)
    held = statuses(node)["held"]
    out = node.pipeline.release(DA, DAY, (), Release(OUT + timedelta(hours=1), "ann", "seen on the operator's page"))
    assert out.rows == held > 0
    assert node.notary().verify(receipt).equal
    node.clock.instant = OUT + timedelta(hours=2)  # type: ignore[attr-defined]
    later, second = node.notary().answer(asked)
    assert later.num_rows == table.num_rows + held and node.notary().verify(second).equal


@pytest.mark.slow
def test_a_rebuild_that_would_be_worse_stays_out_until_it_is_released(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, after = day_rows(DAY), OUT + timedelta(days=2)
    bring(node, DA, rows, OUT)
    before, lake = node.hot.hash("interval_prices"), node.lake.count("interval_prices")
    from carbon254.feeds.spp import parse as module

    reader = module.parse

    def lossy(payload):  # a parser that loses every other row
        for part in reader(payload):
            yield type(part)(part.frame.gather_every(2), part.rejects)

    monkeypatch.setattr(module, "parse", lossy)
    done = node.pipeline.replay(DA, OUT - timedelta(days=1), OUT + timedelta(days=2), after)
    assert done.held == (str(DAY),) and done.partitions == ()
    assert (node.hot.hash("interval_prices"), node.lake.count("interval_prices")) == (before, lake)
    assert published(node) == truth(rows)
    (entry,) = node.ledger.entries(DA, str(DAY))
    assert entry.state == "failed" and "stays out" in entry.error
    node.pipeline.release(DA, DAY, [], Release(after, "ann", "half is enough for the test"))
    done = node.pipeline.replay(DA, OUT - timedelta(days=1), OUT + timedelta(days=2), after + timedelta(hours=1))
    assert done.held == () and len(published(node)) == rows.height // 2


@pytest.mark.slow
def test_a_replay_by_other_rules_moves_rows_into_quarantine_and_back(node: Node) -> None:
    rows, normaliser = day_rows(DAY), node.pipeline.normaliser
    bad, ruled = FAULTS["spikes"](rows), dict(normaliser._sources)
    lax = ruled | {DA: replace(ruled[DA], rules=None)}
    normaliser._sources = lax
    bring(node, DA, bad.rows, OUT)
    assert published(node) == truth(bad.rows) and statuses(node) == {}
    span = OUT - timedelta(days=1), OUT + timedelta(days=2)
    whole = len(rows)
    for known, seen, left in ((ruled, whole - 2, "held"), (lax, whole, "resolved"), (lax, whole, "resolved")):
        normaliser._sources = known
        node.pipeline.rebuilder.rebuild(known[DA], *span, OUT + timedelta(hours=1))
        node.runner.drain()
        assert len(published(node)) == seen and statuses(node) == {left: 2}
    assert published(node) == truth(bad.rows)


@pytest.mark.slow
def test_unknown_holds_nothing(node: Node) -> None:
    rows = day_rows(DAY).with_columns(pl.lit(None, pl.Float64).alias("loss"))
    bring(node, DA, rows, OUT)
    assert published(node) == truth(rows) and statuses(node) == {}


def _stream(topic: str):
    from carbon254.feeds import feed

    return feed(topic).stream


@pytest.mark.slow
def test_commands_list_and_release(tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    with open_node(Settings(workspace=folder), {}, ManualClock(OUT)) as node:
        bring(node, DA, FAULTS["spikes"](day_rows(DAY)).rows, OUT)
    here = ["--workspace", str(folder)]
    listed = json.loads(typed("quality", "held", *here, "--json").out)
    assert [(one["feed"], one["check"], one["rows"]) for one in listed] == [(DA, "spikes", 2)]
    clean(typed("quality", "release", DA, str(DAY), *here), 2, "--reason")
    clean(typed("quality", "release", DA, "2025-08-01", "--reason", "x", *here), 1, "c254 quality held")
    one = listed[0]["id_of_the_first"]
    done = typed("quality", "release", DA, "--id", one[:12], "--reason", "seen on the portal", *here)
    assert done.code == 0 and "1 rows of 1 payloads" in done.out
    rest = json.loads(typed("quality", "held", *here, "--json").out)
    assert [one["rows"] for one in rest] == [1]
    trail = typed("feeds", "history", "--feed", DA, *here).out
    assert "release" in trail and "seen on the portal" in trail
    assert "ohlc_bars" in typed("feeds", "lineage", DA, str(DAY), *here).out
