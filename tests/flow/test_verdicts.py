"""A verdict follows from arrivals: whenever and however often the audit ran, and however often the node was opened."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from flow.faults import DA, FAULTS, csv, day_rows

from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.engine.cutoffs import closed_at, cutoffs
from carbon254.feeds import feed
from carbon254.ingest import Arrived
from carbon254.settings import Settings

pytestmark = pytest.mark.slow

FIRST = date(2025, 7, 1)
OUT = datetime(2025, 6, 30, 19, tzinfo=UTC)
END = OUT + timedelta(days=14)
HOUR, ONE = timedelta(hours=1), timedelta(days=1)
Given = list[tuple[object, ...]]


def arriving() -> list[tuple[datetime, str, bytes]]:
    """Nine days, one each day; one cut and mended later, one that comes before its predecessor, one corrected twice."""
    found = []
    for number in range(9):
        rows, at = day_rows(FIRST + number * ONE), OUT + number * ONE
        if number == 3:
            found.append((at, "cut", csv(FAULTS["truncated"](rows).rows)))
            at += 5 * ONE
        if number == 6:
            at += 2 * ONE + 3 * HOUR
        found.append((at, f"day {number}", csv(rows)))
        if number == 4:
            for late, by in ((40.1, 1.5), (40.2, -2.5), (90, 0.25)):
                more = rows.with_columns(pl.col("lmp", "congestion") + by)
                found.append((at + late * HOUR, f"{number} again {late}", csv(more)))
    return sorted(found)


def after_each(_: Node, audit: Callable[[datetime], None], at: datetime, until: datetime) -> None:
    audit(at)
    audit(until)


def never(_: Node, audit: Callable[[datetime], None], at: datetime, until: datetime) -> None:
    del audit, at, until


def at_random(node: Node, audit: Callable[[datetime], None], at: datetime, until: datetime) -> None:
    chance = random.Random(f"{at}")
    for _ in range(chance.randint(0, 3)):
        audit(at + (until - at) * chance.random())
    # What a node remembers is gone when it died.
    node.pipeline.days._done.clear()
    node.pipeline.days._arrived.clear()


def given(folder: Path, when: Callable[..., None]) -> tuple[list[dict[str, object]], Given]:
    """The verdicts that readers get, and all that were given, once everything arrived and the audit ran."""
    with open_node(Settings(workspace=folder), {}, ManualClock(OUT)) as node:

        def audit(at: datetime) -> None:
            node.clock.instant = max(at, node.clock.instant)  # type: ignore[attr-defined]
            for _ in node.pipeline.days.finals(at):
                pass

        payloads = arriving()
        nexts = [*(at for at, _, _ in payloads[1:]), END]
        for (at, name, data), until in zip(payloads, nexts, strict=True):
            node.clock.instant = at  # type: ignore[attr-defined]
            node.pipeline.inbox.accept(Arrived(DA, data, f"DA-LMP-SL-{name}.csv", at, name.split()[1]
                                               if " " in name else "3"))  # fmt: skip
            for step in ("normalise", "project"):
                while node.pipeline.steps()[step]():
                    pass
            when(node, audit, at, until)
        audit(END)
        rows = node.hot.query("SELECT * FROM verdicts ORDER BY market_day").to_pylist()
        kept = node.pipeline.days._verdicts
        every = [
            (one.partition, one.build, one.score, one.judged_at, one.source, one.state, dict(one.metrics))
            for day in range(9)
            for number in range(1, 6)
            if (one := kept.numbered(DA, (FIRST + day * ONE).isoformat(), number)) is not None
        ]
        return rows, every


def test_verdicts_do_not_depend_on_when_the_audit_ran(tmp_path: Path) -> None:
    expected, every = given(tmp_path / "never", never)
    assert len(expected) == 9
    numbers = {str(row["market_day"]): row["number"] for row in expected}
    assert numbers == {**{str(FIRST + n * ONE): 1 for n in range(9)}, "2025-07-04": 2, "2025-07-05": 3}
    first = {one[0]: one for one in every if one[1] == 1}
    assert first["2025-07-04"][2] < 1.0, "the first verdict judges the cut file"  # type: ignore[operator]
    assert {row["status"] for row in expected} == {"published"}
    for row in expected:
        assert row["received_by"] == row["judged_at"] and row["received_by"] <= END
    for number, when in enumerate((after_each, at_random)):
        rows, again = given(tmp_path / f"audits {number}", when)
        assert rows == expected, when
        assert again == every, when


def test_cutoffs_follow_from_the_card_and_the_arrivals() -> None:
    stream, day = feed(DA).stream, "2025-07-01"
    closed = closed_at(stream, day)
    assert closed == datetime(2025, 7, 2, 5, tzinfo=UTC) + stream.slo
    assert cutoffs(stream, day, []) == []
    assert cutoffs(stream, day, [closed - ONE, closed]) == [closed]
    late = [closed + timedelta(minutes=minutes) for minutes in (1, 60, 61, 600)]
    assert cutoffs(stream, day, late) == [closed + hours * HOUR for hours in (1, 2, 10)]
    assert cutoffs(stream, day, [*late, closed - HOUR]) == [closed + hours * HOUR for hours in (0, 1, 2, 10)]


@pytest.mark.parametrize("pending", [True, False])
def test_nothing_is_judged_before_what_arrived_is_stored(tmp_path: Path, pending: bool) -> None:
    with open_node(Settings(workspace=tmp_path / "ws"), {}, ManualClock(OUT)) as node:
        at, _, data = arriving()[0]
        node.pipeline.inbox.accept(Arrived(DA, data, "DA-LMP-SL-1.csv", at, "1"))
        node.runner.drain()
        if pending:
            node.pipeline.inbox.accept(Arrived(DA, arriving()[1][2], "DA-LMP-SL-2.csv", at + HOUR, "2"))
        node.clock.instant = at + 3 * ONE  # type: ignore[attr-defined]
        assert len(list(node.pipeline.days.finals(node.clock.now()))) == (0 if pending else 1)
