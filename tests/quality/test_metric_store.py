"""The metric store's contract: what was kept comes back, the highest build stands, damage is seen.

Runs on SQLite, and on a real Postgres where its programs are to be had.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carbon254.errors import CorruptRecord
from carbon254.stores.metrics import Kept, MetricStore, open_metrics

AT = datetime(2025, 7, 2, tzinfo=UTC)
FEED = "iso.da.lmp.spp"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers("postgres"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MetricStore]:
    url = f"sqlite:///{tmp_path / 'quality.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("database")()
    opened = open_metrics(url)
    yield opened
    opened.close()


def kept(day: int, build: int = 1, **changes: object) -> Kept:
    made = Kept(
        FEED, f"2025-07-{day:02d}", build, "source", bytes([day, 0, 255]), 0.5, AT, {"missed": ["late"]},
        {"rows": float(day), "mean.lmp": day / 3, "odd": float("nan")},
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def test_what_was_kept_comes_back(store: MetricStore) -> None:
    store.put(kept(1))
    found = store.get(FEED, "2025-07-01")
    assert found == replace(kept(1), metrics={"rows": 1.0, "mean.lmp": 1 / 3})
    assert store.get(FEED, "2025-07-02") is None and store.get("other", "2025-07-01") is None
    store.put(kept(1, score=None, metrics={"rows": 9.0}))
    again = store.get(FEED, "2025-07-01")
    assert again is not None and (again.score, dict(again.metrics)) == (None, {"rows": 9.0})
    assert store.feeds() == [FEED]


def test_the_highest_build_stands_whatever_the_order(store: MetricStore) -> None:
    for build in (2, 1, 3):
        store.put(kept(1, build, score=build / 10, metrics={"rows": float(build)}))
    store.put(kept(2))
    assert [(one.partition, one.build, one.score) for one in store.between(FEED, "2025-07-01", "2025-07-31")] == [
        ("2025-07-01", 3, 0.3),
        ("2025-07-02", 1, 0.5),
    ]
    assert store.history(FEED, "2025-07-02")["rows"] == [3.0]


def test_the_overall_score_weighs_each_partition_by_its_rows(store: MetricStore) -> None:
    store.put(kept(1, 1, score=0.1, metrics={"rows": 900.0}))
    store.put(kept(1, 2, score=1.0, metrics={"rows": 30.0}))
    store.put(kept(2, score=0.5, metrics={"rows": 10.0}))
    store.put(kept(3, score=None, metrics={"rows": 500.0}))
    assert store.overall([FEED]) == pytest.approx((30 * 1.0 + 10 * 0.5) / 40)
    assert store.overall(["other"]) is None and store.overall([]) is None


def test_history_is_the_last_partitions_oldest_first(store: MetricStore) -> None:
    for day in (5, 1, 4, 2, 3):
        store.put(kept(day))
    store.put(kept(1, feed="other"))
    assert store.history(FEED, "2025-07-05", limit=3)["rows"] == [2.0, 3.0, 4.0]
    assert store.history(FEED, "2025-07-01") == {}


def test_it_outlives_its_process_and_damage_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "quality.db"
    first = open_metrics(f"sqlite:///{path}")
    first.put(kept(1))
    first.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE quality_states SET state = x'00'")
    second = open_metrics(f"sqlite:///{path}")
    with pytest.raises(CorruptRecord, match=r"c254 quality run --feed iso\.da\.lmp\.spp --again"):
        second.get(FEED, "2025-07-01")
    second.close()
