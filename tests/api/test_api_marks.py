"""Quality marks as readers see them: beside the newest prices, and in the note of a span."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import polars as pl
import pytest
from desk import MINUTES_5, NOON, prices, store
from fastapi.testclient import TestClient

from carbon254.api.rooms import Rooms
from carbon254.errors import QueryRefused

_UTC = pl.Datetime("us", "UTC")


@pytest.fixture(autouse=True)
def empty(rooms: Rooms) -> Iterator[None]:
    yield
    for name in ("quarantine", "verdicts"):
        rooms.hot.command(f"TRUNCATE TABLE store.{name}")


def hold(rooms: Rooms, place: str, status: str = "held", row_id: str = "a1") -> None:
    row = {
        "feed": "iso.rt.lmp.spp", "row_id": row_id, "status": status, "check_id": "range.lmp",
        "reason": "beyond the cap",
        "market_day": date(2025, 11, 3), "market": "SPP", "market_run": "RTBM", "location_id": place,
        "interval_start": NOON, "interval_end": NOON + MINUTES_5, "row": "{}", "held_at": NOON,
        "changed_at": NOON + timedelta(minutes=1 if status == "held" else 2), "payload": "b" * 64,
    }  # fmt: skip
    wide = {
        "interval_start": _UTC,
        "interval_end": _UTC,
        "held_at": _UTC,
        "changed_at": _UTC,
    }
    store(rooms, "quarantine", pl.DataFrame([row], schema_overrides=wide), f"{row_id}{status}")


def test_the_last_good_price_says_that_a_newer_one_is_held(client: TestClient, rooms: Rooms) -> None:
    rooms.cache.put(prices(NOON, names=("NORTH_HUB", "SOUTH_HUB")))
    hold(rooms, "NORTH_HUB")
    rows = client.get("/v1/prices/latest").json()["rows"]
    assert {row["location"]: row["quality"] for row in rows} == {"NORTH_HUB": "held", "SOUTH_HUB": "ok"}
    rooms.cache.put(prices(NOON + 2 * MINUTES_5, names=("NORTH_HUB",)))
    rows = client.get("/v1/prices/latest").json()["rows"]
    assert {row["location"]: row["quality"] for row in rows} == {"NORTH_HUB": "ok", "SOUTH_HUB": "ok"}


def test_without_an_answer_quality_is_unknown_and_not_good(
    client: TestClient, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms.cache.put(prices(NOON))

    def refuse(*_: object) -> None:
        raise QueryRefused("the engine is away")

    monkeypatch.setattr(rooms.hot, "fetch", refuse)
    (row,) = client.get("/v1/prices/latest").json()["rows"]
    assert row["quality"] is None and row["lmp"] == 25.5


@pytest.mark.slow
def test_a_span_with_held_rows_or_a_held_day_says_so_in_every_format(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", prices(NOON, count=3), "one")
    asked = {"market": "SPP", "start": "2025-11-03T17:00Z", "end": "2025-11-03T19:00Z"}
    assert "note" not in client.get("/v1/prices", params=asked).json()
    hold(rooms, "NORTH_HUB")
    verdict = {
        "feed": "iso.rt.lmp.spp", "market_day": date(2025, 11, 3), "status": "held", "score": 0.8, "completeness": 0.5,
        "failed_checks": "complete", "why": "complete: 5 rows for 10 due", "market": "SPP", "market_run": "RTBM",
        "build": 1, "checksum": "c", "judged_at": NOON,
    }  # fmt: skip
    store(rooms, "verdicts", pl.DataFrame([verdict], schema_overrides={"judged_at": _UTC}), "v")
    note = client.get("/v1/prices", params=asked).json()["note"]
    assert "1 newer rows are held (beyond the cap)" in note and "verdict is held (complete: 5 rows" in note
    assert client.get("/v1/prices", params={**asked, "format": "csv"}).headers["X-Note"] == note
    then = {**asked, "as_of": "2025-11-03T18:30Z"}
    assert "note" not in client.get("/v1/prices", params=then).json(), "marks are of the present"
    hold(rooms, "NORTH_HUB", "resolved")
    assert "newer rows" not in client.get("/v1/prices", params=asked).json()["note"]
