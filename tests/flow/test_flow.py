"""Wire bytes to every reader: once, again, revised, withdrawn, malformed, and rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flow.conftest import NOW, spp

from carbon254.api import queries
from carbon254.api.known import known
from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.errors import PayloadRefused, WorkspaceError
from carbon254.ingest import Arrived
from carbon254.model import Flag
from carbon254.settings import Settings

RT = "iso.rt.lmp.spp"
PLACES = {f"LOC_{i}": 20.0 + i for i in range(10)}
Bring = Callable[..., bool]


def rows(node: Node, sql: str) -> list[tuple]:
    table = node.hot.query(sql)
    return [tuple(row.values()) for row in table.to_pylist()]


def count(node: Node, table: str = "interval_prices") -> int:
    return rows(node, f"SELECT count() FROM {table}")[0][0]


def test_a_file_reaches_every_reader(node: Node, bring: Bring) -> None:
    assert bring(RT, spp(PLACES), "RTBM-LMP-SL-202507010705.csv")
    assert count(node) == count(node, "current_prices") == 10
    found = rows(node, "SELECT lmp, energy, known_basis, flags, feed FROM current_prices WHERE location = 'LOC_3'")
    assert found == [(23.0, 20.0, "received", 0, RT)]
    assert rows(node, "SELECT width, count() FROM ohlc_bars GROUP BY width ORDER BY width") == [
        ("15m", 10), ("1d", 10), ("1h", 10), ("5m", 10),
    ]  # fmt: skip
    latest = node.cache.get("SPP")
    assert latest is not None and latest.height == 10
    assert node.lake.count("interval_prices") == 10
    assert node.ledger.entries(RT)[0].rows == 10
    assert node.log.lag("lake", "rows.") == 0


@pytest.mark.slow
def test_the_same_payload_twice_adds_nothing(node: Node, bring: Bring) -> None:
    assert bring(RT, spp(PLACES), "a.csv")
    before = node.hot.hash("interval_prices")
    assert not bring(RT, spp(PLACES), "a.csv", NOW + timedelta(hours=1))
    assert not bring(RT, spp(PLACES), "another name.csv", NOW + timedelta(hours=1))
    assert node.hot.hash("interval_prices") == before


@pytest.mark.slow
def test_a_revised_price_adds_one_row_and_changes_the_present_only(node: Node, bring: Bring) -> None:
    bring(RT, spp(PLACES), "a.csv", NOW)
    later = NOW + timedelta(hours=5)
    assert bring(RT, spp(PLACES | {"LOC_3": 99.0}), "a.csv", later)
    assert (count(node), count(node, "current_prices")) == (11, 10)
    current = "SELECT lmp FROM current_prices WHERE location = 'LOC_3'"
    assert rows(node, current) == [(99.0,)]
    day = (NOW - timedelta(days=1), NOW + timedelta(days=1))
    then = queries.prices("SPP", *day, ["LOC_3"], known=known(later - timedelta(seconds=1)))
    assert rows(node, f"SELECT lmp FROM ({then})") == [(23.0,)]
    assert rows(node, "SELECT close FROM ohlc_bars WHERE location = 'LOC_3' AND width = '1h'") == [(99.0,)]


@pytest.mark.slow
def test_a_price_that_goes_back_is_current_again(node: Node, bring: Bring) -> None:
    for hours, price in enumerate((23.0, 99.0, 23.0)):
        bring(RT, spp(PLACES | {"LOC_3": price}), "a.csv", NOW + timedelta(hours=hours))
    assert rows(node, "SELECT lmp FROM current_prices WHERE location = 'LOC_3'") == [(23.0,)]
    assert count(node) == 12


@pytest.mark.slow
def test_a_backfill_revised_later_does_not_change_what_was_known(node: Node, bring: Bring) -> None:
    months_on = NOW + timedelta(days=90)
    bring(RT, spp(PLACES), "first.csv", months_on)
    bring(RT, spp(PLACES | {"LOC_3": 99.0}), "second.csv", months_on + timedelta(days=1))
    wide = (NOW - timedelta(days=1), NOW + timedelta(days=1), ["LOC_3"])
    for at, price in ((NOW + timedelta(days=1), 23.0), (months_on + timedelta(days=2), 99.0)):
        assert rows(node, f"SELECT lmp FROM ({queries.prices('SPP', *wide, known=known(at))})") == [(price,)]
    strict = queries.prices("SPP", *wide, known=known(NOW + timedelta(days=1), strict=True))
    assert rows(node, strict) == []


@pytest.mark.slow
def test_a_place_missing_from_a_complete_correction_is_withdrawn(node: Node, bring: Bring) -> None:
    bring(RT, spp(PLACES), "a.csv", NOW)
    kept = {place: price for place, price in PLACES.items() if place != "LOC_3"}
    bring(RT, spp(kept), "a.csv", NOW + timedelta(hours=1))
    (found,) = rows(node, "SELECT lmp, flags FROM current_prices WHERE location = 'LOC_3'")
    assert found[0] is None and found[1] & Flag.RETRACTED
    assert rows(node, "SELECT count, close FROM ohlc_bars WHERE location = 'LOC_3' AND width = '5m'") == [(0, None)]


@pytest.mark.slow
def test_two_bad_rows_of_ten_are_two_letters_and_eight_rows(node: Node, bring: Bring) -> None:
    bad = spp(PLACES | {"LOC_3": "n/a", "LOC_7": "--"})
    bring(RT, bad, "a.csv")
    letters = node.log.letters(status="open")
    assert [(letter.line, letter.reason) for letter in letters] == [
        (5, "LMP: 'n/a' is not a number"),
        (9, "LMP: '--' is not a number"),
    ]
    assert count(node) == 8
    assert all(letter.raw.startswith("07/01/2025") for letter in letters)


@pytest.mark.slow
def test_an_empty_file_is_not_published_yet_and_makes_no_letter(node: Node, bring: Bring) -> None:
    bring(RT, b"", "a.csv")
    assert not node.log.letters(status="open") and count(node) == 0


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"<html>maintenance</html>", b"PK\x03\x04broken", b"a,b\n1,2\n"])
def test_an_unreadable_payload_is_one_letter_with_its_reason(node: Node, bring: Bring, data: bytes) -> None:
    bring(RT, data, "a.csv")
    (letter,) = node.log.letters(status="open")
    assert letter.line is None and letter.reason
    assert count(node) == 0


@pytest.mark.slow
def test_reprocessing_after_a_fix_stores_what_was_rejected_once(
    node: Node, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    from carbon254.feeds.spp import parse as module

    reader = module.parse

    def strict(payload):  # a parser that does not know one place yet
        for batch in reader(payload):
            raise PayloadRefused("this version knows no such file")
            yield batch

    monkeypatch.setattr(module, "parse", strict)
    bring(RT, spp(PLACES), "a.csv", NOW + timedelta(days=30))
    assert count(node) == 0
    monkeypatch.setattr(module, "parse", reader)
    for _ in range(2):
        node.pipeline.reprocess(node.log.letters(), "newer parser")
        node.runner.drain()
        assert count(node) == 10
    assert [letter.status for letter in node.log.letters()] == ["resolved"]
    assert rows(node, "SELECT DISTINCT known_basis FROM interval_prices") == [("assumed",)]


@pytest.mark.slow
def test_replay_rebuilds_the_same_rows_and_never_appends(node: Node, bring: Bring) -> None:
    bring(RT, spp(PLACES), "a.csv", NOW)
    bring(RT, spp(PLACES | {"LOC_3": 99.0}), "a.csv", NOW + timedelta(hours=5))
    tables = ("interval_prices", "ohlc_bars")
    before = {table: node.hot.hash(table) for table in tables}
    for _ in range(2):
        done = node.pipeline.replay(RT, NOW - timedelta(days=1), NOW + timedelta(days=1), NOW)
        assert done.payloads == 2
        assert {table: node.hot.hash(table) for table in tables} == before
    assert node.lake.count("interval_prices") == 20
    assert node.ledger.entries(RT)[0].build == 3


@pytest.mark.slow
def test_pushed_ticks_become_rows_and_bars(node: Node, bring: Bring) -> None:
    one = b'{"instrument":"NG","time":"2025-07-01T12:00:0%dZ","price":%s,"quantity":2,"source":"x","sequence":%d}'
    bring("market.ticks", b"\n".join(one % (i, p, i) for i, p in enumerate((b"3.5", b"2.5", b"3.0"))), "t.ndjson")
    bring("market.ticks", one % (1, b"2.5", 1), "again.ndjson")
    assert count(node, "market_ticks") == 3
    assert rows(node, "SELECT open, high, low, close, volume FROM ohlc_bars WHERE width = '1m'") == [
        (3.5, 3.5, 2.5, 3.0, 6.0)
    ]


@pytest.mark.slow
def test_a_workspace_over_its_budget_takes_no_more_and_loses_nothing(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path / "ws", disk_budget_gb=1e-6)
    with open_node(settings, {}, ManualClock(NOW)) as node:
        first = Arrived(RT, spp(PLACES), "a.csv", NOW)
        node.pipeline.inbox.accept(first)
        node.runner.drain()
        with pytest.raises(WorkspaceError, match="C254_DISK_BUDGET_GB"):
            node.pipeline.inbox.accept(Arrived(RT, spp({"LOC_1": 1.0}), "b.csv", NOW))
        assert count(node) == 10


@pytest.mark.slow
def test_carried_rows_leave_the_log_after_their_retention_and_raw_records_stay(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path / "ws", log_retention_days=0)
    with open_node(settings, {}) as node:
        node.pipeline.inbox.accept(Arrived(RT, spp(PLACES), "a.csv", NOW))
        node.runner.drain()
        assert [topic.topic for topic in node.log.topics()] == [f"raw.{RT}"]
        node.pipeline.replay(RT, NOW - timedelta(days=1), NOW + timedelta(days=1), NOW)
        assert count(node) == 10
