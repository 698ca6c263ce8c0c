"""A batch is in the lake once, whichever log brought it how often; counted on the files that the catalog names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from contract.outside import metadata_of, rows_in
from given_rows import HOUR, T0, price, prices, shaped

from carbon254.stores.lake import Again, Following, Lake, Position, open_lake

NAME = "interval_prices"
A, B = (Following(name * 32, lambda: 100) for name in "ab")
ONE, TWO = "1" * 64, "2" * 64
PLAIN, READ = Again(), Again(replaces=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def own(folder: Path) -> Iterator[Lake]:
    opened = open_lake(folder)
    yield opened
    opened.close()


def batch(batch_id: str, *values: float, payload: str = ONE, at: int = 1, **other: Any) -> pa.Table:
    """A row a day: places P0, P1 … with these prices, of one arrival `at` hours after the start."""
    return prices(
        *(
            price(
                f"P{n}",
                T0 + 24 * n * HOUR,
                value,
                payload=payload,
                batch_id=batch_id,
                received_at=T0 + at * HOUR,
                **other,
            )
            for n, value in enumerate(values)
        )
    )


def stored(folder: Path) -> list[tuple[str, float, str]]:
    found = rows_in(folder, NAME).to_pylist()
    return sorted((row["location_id"], row["lmp"], row["batch_id"]) for row in found)


def put(lake: Lake, rows: pa.Table, offset: int, log: Following = A, again: Again | None = None) -> int:
    return lake.append({NAME: rows}, {NAME: offset}, None, log, again)


def test_the_offset_and_its_log_are_in_the_commit_that_adds_the_rows(own: Lake, folder: Path) -> None:
    assert put(own, batch("x", 1.0), 7) == 1
    told = metadata_of(folder, NAME)["properties"]
    assert (told["c254.offset"], told["c254.log"]) == ("7", A.log) and "c254.doubt-until" not in told
    assert own.position(NAME) == Position(7, A.log, None) == own.position(NAME, A)
    assert put(own, batch("x", 1.0), 7) == 0, "done again after a crash"


def test_an_offset_of_another_log_counts_as_none_and_the_same_batch_is_there_once(own: Lake, folder: Path) -> None:
    put(own, batch("x", 1.0, 2.0), 7)
    assert own.position(NAME, B) == Position(0, B.log, T0 + HOUR)
    assert put(own, batch("x", 1.0, 2.0), 3, B) == 0
    assert put(own, batch("y", 5.0, payload=TWO), 4, B) == 1
    assert stored(folder) == [("P0", 1.0, "x"), ("P0", 5.0, "y"), ("P1", 2.0, "x")]
    told = own.position(NAME)
    assert (told.offset, told.log, told.doubt) == (4, B.log, T0 + HOUR)


def test_doubt_ends_with_the_last_arrival_that_stood(own: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(own, batch("x", 1.0), 7)
    put(own, batch("x", 1.0), 3, B)
    looked: list[int] = []
    monkeypatch.setattr("carbon254.stores.lake.appending.missing", lambda *a, **k: looked.append(1) or a[2])
    put(own, batch("z", 3.0, payload=TWO, at=2), 5, B)
    assert looked == [], "what arrived later cannot stand already"
    put(own, batch("w", 3.0, payload=TWO, at=1), 6, B)
    assert looked == [1]


def test_nothing_is_looked_up_on_the_ordinary_path(own: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carbon254.stores.lake.appending.missing", None)
    monkeypatch.setattr("carbon254.stores.lake.appending.replaced", None)
    for n in range(1, 4):
        put(own, batch(f"x{n}", float(n), at=1), n)


def test_the_offset_of_a_lake_from_before_counts_where_the_log_reaches_so_far(own: Lake, folder: Path) -> None:
    own.append({NAME: batch("7-0", 1.0)}, {NAME: 7})
    assert own.position(NAME, A) == Position(7, A.log, None)
    shorter = Following(A.log, lambda: 6)
    assert own.position(NAME, shorter) == Position(0, A.log, T0 + HOUR)
    assert put(own, batch("x", 1.0), 1, shorter) == 0, "a row of an older version is found by what it says"
    assert put(own, batch("x", 1.0, 2.0), 2, shorter) == 1
    assert stored(folder) == [("P0", 1.0, "7-0"), ("P1", 2.0, "x")]


def test_a_batch_of_an_older_version_is_not_taken_for_another_of_its_name(own: Lake, folder: Path) -> None:
    own.append({NAME: batch("1-0", 1.0)}, {NAME: 200})
    assert put(own, batch("1-0", 1.5), 1) == 1
    assert stored(folder) == [("P0", 1.0, "1-0"), ("P0", 1.5, "1-0")]


def test_what_is_read_again_is_not_stored_again_and_other_content_stays_beside(own: Lake, folder: Path) -> None:
    put(own, batch("x", 1.0, 2.0), 1)
    for offset in (2, 3):
        assert put(own, batch("x", 1.0, 2.0), offset, again=PLAIN) == 0
    assert put(own, batch("released", 3.0), 4, again=PLAIN) == 1
    assert stored(folder) == [("P0", 1.0, "x"), ("P0", 3.0, "released"), ("P1", 2.0, "x")]
    assert own.offset(NAME) == 4


def test_one_content_that_arrives_twice_is_there_twice(own: Lake, folder: Path) -> None:
    """A, then B, then A under one subject are three changes, though the first and the last say the same."""
    put(own, batch("x", 1.0, at=1), 1)
    put(own, batch("y", 2.0, payload=TWO, at=2), 2)
    assert put(own, batch("x", 1.0, at=3), 3, again=PLAIN) == 1
    assert stored(folder) == [("P0", 1.0, "x"), ("P0", 1.0, "x"), ("P0", 2.0, "y")]


def test_another_reading_takes_the_place_of_what_its_arrival_said(own: Lake, folder: Path) -> None:
    """Also where it said another day, and never of what another arrival or feed said."""
    put(own, batch("x", 1.0, 2.0, 3.0), 1)
    put(own, batch("y", 9.0, payload=TWO), 2)
    put(own, batch("z", 8.0, feed="iso.da.lmp.spp"), 3)
    assert put(own, batch("mended", 1.5), 4, again=READ) == 1
    rest = [("P0", 8.0, "z"), ("P0", 9.0, "y")]
    assert stored(folder) == sorted([("P0", 1.5, "mended"), *rest])
    assert put(own, batch("mended", 1.5), 5, again=READ) == 0
    assert stored(folder) == sorted([("P0", 1.5, "mended"), *rest])


def test_the_parts_of_one_reading_do_not_take_each_other_away(own: Lake, folder: Path) -> None:
    put(own, batch("x", 1.0, 2.0), 1)
    put(own, prices(price("A", payload=ONE, batch_id="m1")), 2, again=READ)
    put(own, prices(price("B", payload=ONE, batch_id="m2")), 3, again=READ)
    assert [batch_id for *_, batch_id in stored(folder)] == ["m1", "m2"]
    put(own, batch("later", 1.0, payload=TWO, at=5), 4)
    assert "c254.reading" not in metadata_of(folder, NAME)["properties"]
    put(own, prices(price("C", payload=ONE, batch_id="n1")), 5, again=READ)
    assert [batch_id for *_, batch_id in stored(folder)] == ["n1", "later"]


def test_a_reading_takes_the_place_of_one_that_an_older_version_stored(own: Lake, folder: Path) -> None:
    own.append({NAME: batch("4-0", 1.0, 2.0)}, {NAME: 4})
    assert put(own, batch("mended", 1.0, 2.5), 5, again=READ) == 2
    assert stored(folder) == [("P0", 1.0, "mended"), ("P1", 2.5, "mended")]


def test_rows_chosen_before_another_writer_came_are_not_stored_in_this_log_either(own: Lake, folder: Path) -> None:
    stood = own.position(NAME, A)
    put(own, batch("x", 1.0), 3)
    assert own.append({NAME: batch("y", 2.0)}, {NAME: 5}, {NAME: stood}, A) == 0
    assert own.append({NAME: batch("y", 2.0)}, {NAME: 5}, {NAME: own.position(NAME, A)}, A) == 1


def test_an_offset_without_rows_is_not_written_over_a_later_one(own: Lake, folder: Path) -> None:
    """Two carry doubtful rows that stand already: who looked first must not set the other's offset back."""
    from carbon254 import faults

    put(own, batch("x", 1.0), 1)
    other = open_lake(folder)

    def first(reached: str) -> None:
        if reached == "lake.committing":
            with faults.armed(lambda _: None):
                put(other, batch("y", 2.0, payload=TWO), 9)

    with faults.armed(first):
        assert put(own, batch("x", 1.0), 5, again=PLAIN) == 0
    assert own.offset(NAME) == 9 and len(stored(folder)) == 2
    other.close()


def test_compaction_keeps_what_stands_once_and_where_it_stands(own: Lake, folder: Path) -> None:
    for n in range(1, 5):
        put(own, batch(f"x{n}", float(n), at=n, payload=str(n) * 64), n)
    list(own.compact(NAME, T0 + timedelta(days=400)))
    before = stored(folder)
    assert own.position(NAME) == Position(4, A.log, None)
    for n in range(1, 5):
        assert put(own, batch(f"x{n}", float(n), at=n, payload=str(n) * 64), n, B) == 0
    assert stored(folder) == before and len(before) == 4


def test_held_rows_are_there_once_in_another_log(own: Lake, folder: Path) -> None:
    row = {
        "feed": "f", "row_id": "r", "status": "held", "check_id": "c", "reason": "why", "row": "{}", "held_at": T0,
        "changed_at": T0, "payload": ONE, "payload_offset": 5, "market_day": None, "market": None, "market_run": None,
        "location_id": None, "interval_start": None, "interval_end": None, "resolved_by": None, "why": None,
    }  # fmt: skip
    for offset, log in ((5, A), (2, B)):
        own.append({"quarantine": shaped("quarantine", [row])}, {"quarantine": offset}, None, log)
    assert rows_in(folder, "quarantine").num_rows == 1
    changed = shaped("quarantine", [{**row, "status": "released", "changed_at": T0 + HOUR}])
    own.append({"quarantine": changed}, {"quarantine": 3}, None, B)
    assert sorted(rows_in(folder, "quarantine")["status"].to_pylist()) == ["held", "released"]
