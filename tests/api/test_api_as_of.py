"""HTTP as known then: moments, rungs, changes, forecasts at the gate, bars, and the reason of an empty answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from desk import HOUR, NOON, prices, store, ticks
from fastapi.testclient import TestClient

from carbon254.api.rooms import Rooms
from carbon254.clock import ManualClock

LATER = timedelta(days=20)
DAY = {"market": "SPP", "start": "2025-11-03", "end": "2025-11-04"}


@pytest.fixture
def revised(rooms: Rooms) -> Rooms:
    """Prices at noon, of which one is corrected twenty days later: after S7 and before S53."""
    store(rooms, "interval_prices", prices(NOON, names=("NORTH_HUB", "SOUTH_HUB"), count=12), "one")
    fixed = prices(NOON, lmp=31.0, payload="f" * 64)
    moved = [pl.col(name) + LATER for name in ("known_at", "received_at")]
    store(rooms, "interval_prices", fixed.with_columns(moved), "two")
    assert isinstance(rooms.clock, ManualClock)
    rooms.clock.sleep(timedelta(days=60).total_seconds())
    return rooms


def last(client: TestClient, path: str = "/v1/prices", **asked: Any) -> dict[str, Any]:
    answer = client.get(path, params=DAY | {"location": "NORTH_HUB"} | asked)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["rows"]
    return rows[-1] if rows else {}


@pytest.mark.slow
def test_prices_at_a_moment_and_at_a_rung(client: TestClient, revised: Rooms) -> None:
    assert last(client)["lmp"] == 31.0
    for asked in ({"as_of": "2025-11-10"}, {"rung": "S7"}, {"rung": "s7", "basis": "received"}):
        assert last(client, **asked)["lmp"] == 36.5, asked
    at_s53 = last(client, rung="S53", basis="strict")
    assert (at_s53["lmp"], at_s53["rung_reached_at"]) == (31.0, "2025-12-27T06:00:00Z")


@pytest.mark.slow
def test_the_change_between_two_rungs(client: TestClient, revised: Rooms) -> None:
    row = last(client, "/v1/prices/change", from_rung="S7", to_rung="S53")
    assert (row["lmp_from"], row["lmp_to"], row["change"], row["changed"]) == (36.5, 31.0, -5.5, 1)
    answer = client.get("/v1/prices/change", params=DAY | {"from_rung": "S7", "to_rung": "S120"}).json()
    assert answer["rows"] == [] and answer["note"] == (
        "SPP S120 is not reached yet from market day 2025-11-02 on (2025-11-02 reaches it at 2026-03-03T06:00:00Z); "
        "rows of those days are left out"
    )


def test_a_rung_is_reached_by_the_nodes_own_clock(client: TestClient, rooms: Rooms) -> None:
    """The prices are there and S7 was reached long ago by the engine's clock; by the node's it is still to come."""
    store(rooms, "interval_prices", prices(NOON), "one")
    answer = client.get("/v1/prices", params=DAY | {"rung": "S7"}).json()
    assert answer["rows"] == [] and "SPP S7 is not reached yet from market day 2025-11-02 on" in answer["note"]


def test_contradictions_answer_400_and_unknown_names_422(client: TestClient, revised: Rooms) -> None:
    for asked, says in (
        ({"rung": "S7", "as_of": "2025-11-10"}, "leave one out"),
        ({"strict": True, "basis": "received"}, "contradict"),
    ):
        answer = client.get("/v1/prices", params=DAY | asked)
        assert answer.status_code == 400 and says in answer.json()["detail"]
    assert client.get("/v1/prices", params=DAY | {"basis": "guessed"}).status_code == 422
    rung = client.get("/v1/prices", params=DAY | {"rung": "S99"})
    assert rung.status_code == 422
    assert rung.json()["detail"] == "SPP has no rung 'S99'; its rungs are: S7, S53, S120"
    ladder = client.get("/v1/ladders/EPEX")
    assert ladder.status_code == 422 and "there are: MISO" in ladder.json()["detail"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
def test_an_empty_answer_has_its_reason_in_every_format(client: TestClient, revised: Rooms, form: str) -> None:
    answer = client.get("/v1/prices", params=DAY | {"as_of": "2025-01-01", "format": form})
    reason = "nothing of it was known at 2025-01-01T00:00:00Z; the first record was known at 2025-11-03T17:06:00Z"
    assert answer.status_code == 200 and answer.headers["X-Note"] == reason
    if form == "json":
        assert answer.json()["note"] == reason and answer.json()["rows"] == []
    full = client.get("/v1/prices", params=DAY | {"as_of": "2025-11-10", "format": form})
    assert "X-Note" not in full.headers
    if form == "arrow":
        assert pa.ipc.open_stream(full.content).read_all().num_rows == 24


def test_bars_as_known_then(client: TestClient, revised: Rooms) -> None:
    bar = last(client, "/v1/bars", width="1h", as_of="2025-11-10")
    assert (bar["close"], bar["count"], bar["expected"]) == (36.5, 12, 12)
    assert last(client, "/v1/bars", width="1h", rung="S53")["close"] == 31.0


def test_ticks_received_until_then(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "market_ticks", ticks(NOON), "tick")
    asked = {"start": "2025-11-03", "end": "2025-11-04"}
    assert len(client.get("/v1/ticks", params=asked | {"as_of": "2025-11-03T18:00:00Z"}).json()["rows"]) == 1
    early = client.get("/v1/ticks", params=asked | {"as_of": "2025-11-03T17:59:59Z"}).json()
    assert early["rows"] == [] and "first record was received at 2025-11-03T18:00:00Z" in early["note"]


def test_forecasts_at_the_gate_and_benchmarks(client: TestClient, rooms: Rooms) -> None:
    period = datetime(2025, 11, 4, 20, tzinfo=UTC)
    rows = [
        {"source": "NWS", "location": "KORD", "forecast_time": period, "forecast_end": period + HOUR,
         "issued_at": issued, "temperature": float(issued.hour),
         "known_at": issued, "known_basis": "received", "revision": 0,
         "received_at": issued, "flags": 0, "feed": "f", "payload": f"{issued.hour:064d}", "batch_id": "1"}
        for issued in (period - timedelta(hours=hours) for hours in (40, 30, 28, 5))
    ]  # fmt: skip
    times = ("forecast_time", "forecast_end", "issued_at", "known_at", "received_at")
    frame = pl.DataFrame(rows, schema_overrides=dict.fromkeys(times, pl.Datetime("us", "UTC")))
    store(rooms, "weather_forecasts", frame, "weather")
    asked = {"start": "2025-11-04", "end": "2025-11-05", "location": "KORD"}

    def issued(**more: Any) -> list[str]:
        rows = client.get("/v1/forecasts", params=asked | more).json()["rows"]
        return [row["issued_at"][:16] for row in rows]

    assert issued() == ["2025-11-04T15:00"]
    # MISO's gate for 4 November closes at 10:30 EST on the 3rd, 15:30 UTC; CAISO's at 10:00 Pacific, 18:00 UTC.
    assert issued(at_gate="MISO") == ["2025-11-03T14:00"] and issued(at_gate="caiso") == ["2025-11-03T16:00"]
    assert issued(as_of="2025-11-03T15:00:00Z", every=True) == ["2025-11-03T04:00", "2025-11-03T14:00"]
    assert client.get("/v1/forecasts", params=asked | {"at_gate": "MISO", "as_of": "2025-11-03"}).status_code == 400
    empty = client.get(
        "/v1/benchmarks", params={"start": "2025-11-01", "end": "2025-11-05", "as_of": "2025-01-01"}
    ).json()
    assert empty["rows"] == [] and "nothing of benchmarks is stored yet" in empty["note"]
    rooms.hot.command("TRUNCATE TABLE store.weather_forecasts")


def test_ladders_as_data(client: TestClient, revised: Rooms) -> None:
    facts = client.get("/v1/ladders/spp", params={"day": "2025-11-03"}).json()
    assert [rung["rung"] for rung in facts["rungs"]] == ["S7", "S53", "S120"]
    assert facts["never_revised_after"] is None
    assert [(rung["rung"], rung["reached"]) for rung in facts["of_day"]] == [
        ("S7", True),
        ("S53", True),
        ("S120", False),
    ]
    assert facts["gate"] == {"days_before": 1, "time": "09:30", "clock": "America/Chicago", "basis": "K"}
