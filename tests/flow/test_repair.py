"""A correction changes what depends on it and nothing else: beside recomputing everything and comparing."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from flow.faults import PLACES, RT, csv, true_rows

from carbon254.app import Node
from carbon254.engine.repair import dependents
from carbon254.ingest import Arrived
from carbon254.pipeline import sources

pytestmark = pytest.mark.slow

START = datetime(2025, 7, 1, 3, 40, tzinfo=UTC)
HOURS = 3
_KEY = ["width", "location_id", "bar_start"]
_SAID = ["open", "high", "low", "close", "mean", "weight", "count", "flags"]


def file_of(end: datetime, rows: pl.DataFrame) -> bytes:
    return csv(rows.filter(pl.col("end") == end))


def stored(node: Node) -> pl.DataFrame:
    found = pl.DataFrame(node.hot.query(f"SELECT {', '.join([*_KEY, *_SAID, 'build'])} FROM ohlc_bars"))
    return found.with_columns(
        pl.col(pl.Categorical).cast(pl.String), pl.col("bar_start").cast(pl.Datetime("us", "UTC"))
    )


def brute(node: Node) -> dict[tuple[str, str, datetime], tuple[float, ...]]:
    """Every bar from the current prices with plain Python: a slow twin of the statement."""
    prices = node.hot.query(
        "SELECT location_id, interval_start, lmp, flags FROM current_prices ORDER BY interval_start"
    )
    groups: dict[tuple[str, str, datetime], list[tuple[float, int]]] = {}
    for row in prices.to_pylist():
        start = row["interval_start"].astimezone(UTC)
        for width in ("5m", "15m", "1h", "1d"):
            groups.setdefault((width, row["location_id"], _window(start, width)), []).append((row["lmp"], row["flags"]))
    found = {}
    for key, told in groups.items():
        lmps = [lmp for lmp, _ in told]
        flags = 0
        for _, bits in told:
            flags |= bits
        found[key] = (
            lmps[0],
            max(lmps),
            min(lmps),
            lmps[-1],
            sum(lmps) / len(lmps),
            300.0 * len(lmps),
            len(lmps),
            flags,
        )
    return found


def current(node: Node) -> dict[tuple[str, datetime], tuple[float, int]]:
    found = node.hot.query("SELECT location_id, interval_start, lmp, flags FROM current_prices").to_pylist()
    return {(row["location_id"], row["interval_start"].astimezone(UTC)): (row["lmp"], row["flags"]) for row in found}


def _window(start: datetime, width: str) -> datetime:
    if width == "1d":
        # Chicago in July is five hours behind.
        return datetime(*(start - timedelta(hours=5)).timetuple()[:3], 5, tzinfo=UTC)
    minutes = {"5m": 5, "15m": 15, "1h": 60}[width]
    return start.replace(minute=start.minute // minutes * minutes)


def differing(before: dict, after: dict) -> set:
    return {
        key
        for key in before.keys() | after.keys()
        if key not in before or key not in after or after[key] != pytest.approx(before[key], rel=1e-12, abs=1e-12)
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_a_correction_rebuilds_exactly_what_recomputing_everything_finds_changed(node: Node, seed: int) -> None:
    rng = random.Random(seed)
    rows = true_rows(RT, START, START + timedelta(hours=HOURS))
    ends = rows["end"].unique().sort().to_list()
    node.clock.instant = ends[-1] + timedelta(minutes=6)  # type: ignore[attr-defined]
    node.pipeline.inbox.accept(Arrived(RT, csv(rows), "RTBM-LMP-SL-day.csv", node.clock.now(), "day"))
    node.runner.drain()
    assert_equal(stored(node), brute(node))
    for number in range(6):
        before, bars, prices = brute(node), stored(node), current(node)
        node.clock.instant += timedelta(minutes=7)  # type: ignore[attr-defined]
        rows, cells = corrected(rows, rng, number)
        chosen = sorted({end for _, end in cells}) or [ends[0]]
        for end in chosen:
            data = file_of(end, rows) + (b"" if cells else b"\n" * (number + 1))
            node.pipeline.inbox.accept(Arrived(RT, data, f"RTBM-LMP-SL-{number}.csv", node.clock.now(), str(end)))
        node.runner.drain()
        after, now_prices = brute(node), current(node)
        expected = differing(before, after)
        now = stored(node)
        assert_equal(now, after)
        others = now.join(bars, on=[*_KEY, *_SAID], how="anti", nulls_equal=True)
        assert set(others.select(_KEY).iter_rows()) == expected, f"seed {seed}, correction {number}"
        repriced = {cell for cell in now_prices if prices.get(cell, (None,))[0] != now_prices[cell][0]}
        assert depending(repriced) <= expected <= depending({c for c in now_prices if prices.get(c) != now_prices[c]})
        assert bool(repriced) == bool(cells)
    acts = [act for act in node.ledger.trail(RT, limit=100) if act.what == "repair"]
    assert acts and all("bars rebuilt: 5m×" in act.why for act in acts)


def depending(cells: set[tuple[str, datetime]]) -> set[tuple[str, str, datetime]]:
    schema = {"location_id": pl.String, "interval_start": pl.Datetime("us", "UTC")}
    return dependents(sources()[RT], pl.DataFrame(sorted(cells), schema=schema, orient="row"))


def corrected(rows: pl.DataFrame, rng: random.Random, number: int) -> tuple[pl.DataFrame, list[tuple[str, datetime]]]:
    """A few cells with another congestion; now and then none, in a file of other bytes."""
    if number == 3:
        return rows, []
    ends = rows["end"].unique().sort().to_list()
    cells = list({(rng.choice(PLACES), rng.choice(ends)) for _ in range(rng.randint(1, 4))})
    hit = pl.struct("location", "end").is_in([{"location": place, "end": end} for place, end in cells])
    by = round(rng.uniform(1, 20), 2)
    moved = rows.with_columns(
        pl.when(hit).then((pl.col(name) + by).round(4)).otherwise(name).alias(name) for name in ("lmp", "congestion")
    )
    return moved, cells


def assert_equal(bars: pl.DataFrame, twin: dict) -> None:
    said = {tuple(row[:3]): row[3:] for row in bars.select(*_KEY, *_SAID).iter_rows()}
    assert said.keys() == twin.keys()
    for key, values in twin.items():
        assert said[key] == pytest.approx(values, rel=1e-7), key


def test_lineage_tells_payloads_rows_and_bars(node: Node) -> None:
    rows = true_rows(RT, START, START + timedelta(minutes=30))
    node.clock.instant = START + timedelta(minutes=40)  # type: ignore[attr-defined]
    node.pipeline.inbox.accept(Arrived(RT, csv(rows), "RTBM-LMP-SL-a.csv", node.clock.now(), "a"))
    node.runner.drain()
    node.clock.instant += timedelta(minutes=7)  # type: ignore[attr-defined]
    rows, cells = corrected(rows, random.Random(3), 0)
    node.pipeline.inbox.accept(Arrived(RT, csv(rows), "RTBM-LMP-SL-b.csv", node.clock.now(), "a"))
    node.runner.drain()
    found = node.pipeline.repair.lineage(sources()[RT], date(2025, 6, 30))
    assert [(one.name, one.standing) for one in found.payloads][1][0] == "RTBM-LMP-SL-b.csv"
    assert sum(one.standing for one in found.payloads) == rows.height
    assert [(one.table, one.partition) for one in found.nodes] == [
        ("interval_prices", "2025-07"), ("ohlc_bars", "5m, 6 windows"), ("ohlc_bars", "15m, 3 windows"),
        ("ohlc_bars", "1h, 2 windows"), ("ohlc_bars", "1d, 1 windows"),
    ]  # fmt: skip
    assert [one.made_of for one in found.nodes] == ["payloads", "current_prices", "5m", "15m", "1h"]
    assert len(found.repairs) == 1 and "payload" in found.repairs[0].why and cells
