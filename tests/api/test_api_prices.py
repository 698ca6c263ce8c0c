"""Prices as readers get them: newest, spans, as known then, formats, clocks, staleness."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pyarrow as pa
import pytest
from desk import HOUR, MINUTES_5, NOON, moving, prices, store, ticks
from fastapi.testclient import TestClient

from carbon254.api.rooms import Rooms
from carbon254.clock import ManualClock
from carbon254.errors import QueryRefused
from carbon254.model import Flag


def turn(rooms: Rooms, by: timedelta) -> None:
    assert isinstance(rooms.clock, ManualClock)
    rooms.clock.sleep(by.total_seconds())


def test_an_empty_store_answers_with_no_rows(client: TestClient) -> None:
    assert client.get("/v1/prices/latest").json() == {"count": 0, "total": 0, "rows": []}
    assert client.get("/v1/prices", params={"market": "SPP"}).json()["rows"] == []
    assert client.get("/v1/bars", params={"location": "NORTH_HUB"}).json()["rows"] == []
    assert client.get("/v1/ticks").json()["rows"] == []


def test_latest_comes_from_the_cache_with_what_a_reader_must_know(client: TestClient, rooms: Rooms) -> None:
    rooms.cache.put(prices(NOON, flags=Flag.ASSUMED_KNOWN_AT | Flag.INCOMPLETE_COMPONENTS, basis="assumed"))
    [row] = client.get("/v1/prices/latest").json()["rows"]
    assert row["interval_start"] == "2025-11-03T17:55:00Z" and row["interval_end"] == "2025-11-03T18:00:00Z"
    assert row["lmp"] == 25.5 and row["energy"] is None
    assert row["flags"] == 5 and row["flag_names"] == ["assumed_known_at", "incomplete_components"]
    assert row["known_at"] == "2025-11-03T18:01:00Z" and row["known_basis"] == "assumed" and row["age_s"] == -60.0


def test_latest_of_a_fresh_start_is_filled_from_sql(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", prices(NOON, count=3, names=("NORTH_HUB", "SOUTH_HUB")), "one")
    store(rooms, "interval_prices", prices(NOON - timedelta(days=40), "NYISO", "RTD", names=("N.Y.C.",)), "old")
    store(rooms, "market_ticks", ticks(NOON), "tick")
    # A batch that came first must not hide what only the store holds.
    rooms.cache.put(prices(NOON + MINUTES_5, names=("NORTH_HUB",), lmp=99.0))
    rows = client.get("/v1/prices/latest").json()["rows"]
    assert [(row["location"], row["lmp"]) for row in rows] == [
        ("N.Y.C.", 25.5),
        ("NORTH_HUB", 99.0),
        ("SOUTH_HUB", 27.5),
    ]
    assert rooms.cache.get_ticks() is not None


def test_the_newest_version_of_a_revised_price_fills_the_cache(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", prices(NOON), "one")
    later = prices(NOON, lmp=31.0, payload="f" * 64)
    later = later.with_columns(known_at=later["known_at"] + HOUR, received_at=later["received_at"] + HOUR)
    store(rooms, "interval_prices", later, "two")
    assert [row["lmp"] for row in client.get("/v1/prices/latest").json()["rows"]] == [31.0]


def test_filters_and_limit_of_latest(client: TestClient, rooms: Rooms) -> None:
    for frame in (
        prices(NOON, names=("NODE_1", "NODE_2"), kind="node"),
        prices(NOON, names=("NORTH_HUB",)),
        prices(NOON, "NYISO", "RTD", names=("N.Y.C.",), kind="zone"),
    ):
        rooms.cache.put(frame)
        store(rooms, "interval_prices", frame, frame["location"][0])
    places = lambda **asked: [row["location"] for row in client.get("/v1/prices/latest", params=asked).json()["rows"]]  # noqa: E731
    assert places() == ["NORTH_HUB", "N.Y.C.", "NODE_1", "NODE_2"]
    assert places(market="NYISO") == ["N.Y.C."] == places(run="RTD") == places(location="N.Y.C.")
    assert places(limit=1) == ["NORTH_HUB"]
    assert client.get("/v1/prices/latest", params={"limit": 1}).json()["total"] == 4


def test_a_real_time_price_grows_stale_by_its_card(client: TestClient, rooms: Rooms) -> None:
    """End 18:00 + 5 min resolution + 5 min delay + 1 min level of service: due at 18:11."""
    rooms.cache.put(prices(NOON))
    row = lambda: client.get("/v1/prices/latest").json()["rows"][0]  # noqa: E731
    turn(rooms, timedelta(minutes=11))
    assert (row()["stale"], row()["stale_at"], row()["age_s"]) == (False, "2025-11-03T18:11:00Z", 600.0)
    turn(rooms, timedelta(seconds=1))
    assert row()["stale"] is True


def test_a_day_ahead_price_grows_stale_when_its_market_day_ends(client: TestClient, rooms: Rooms) -> None:
    """The 25-hour day of 2 November 2025 in Chicago ends at 06:00 UTC on the 3rd."""
    rooms.cache.put(prices(NOON - timedelta(days=1), run="DAM", step=HOUR))
    row = client.get("/v1/prices/latest").json()["rows"][0]
    assert (row["stale_at"], row["stale"]) == ("2025-11-03T06:00:00Z", True)


def test_a_price_without_a_card_is_not_judged(client: TestClient, rooms: Rooms) -> None:
    rooms.cache.put(prices(NOON - timedelta(days=9), "ELSEWHERE", "X"))
    row = client.get("/v1/prices/latest").json()["rows"][0]
    assert row["stale"] is None and row["stale_at"] is None


def test_times_are_told_in_the_zone_asked_for(client: TestClient, rooms: Rooms) -> None:
    rooms.cache.put(prices(NOON))
    rooms.cache.put(prices(NOON, "NYISO", "RTD", names=("N.Y.C.",)))
    ends = lambda **asked: [row["interval_end"] for row in client.get("/v1/prices/latest", params=asked).json()["rows"]]  # noqa: E731
    assert ends(tz="market") == ["2025-11-03T13:00:00-05:00", "2025-11-03T12:00:00-06:00"]
    assert ends(market="SPP", tz="market") == ["2025-11-03T12:00:00-06:00"]
    assert ends(market="SPP", tz="Asia/Tokyo") == ["2025-11-04T03:00:00+09:00"]


def test_the_repeated_hour_keeps_its_two_passes(client: TestClient, rooms: Rooms) -> None:
    day_end = NOON.replace(day=2, hour=8)
    store(rooms, "interval_prices", prices(day_end, run="DAM", step=HOUR, count=4), "autumn")
    asked = {"market": "SPP", "tz": "market", "start": "2025-11-02", "end": "2025-11-03"}
    starts = [row["interval_start"] for row in client.get("/v1/prices", params=asked).json()["rows"]]
    assert starts == ["2025-11-02T00:00:00-05:00", "2025-11-02T01:00:00-05:00", "2025-11-02T01:00:00-06:00"]


def test_prices_current_as_of_and_strict(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", prices(NOON), "one")
    later = prices(NOON, lmp=31.0, payload="f" * 64, basis="assumed", flags=1)
    store(rooms, "interval_prices", later.with_columns(known_at=later["known_at"] + HOUR), "two")
    asked = {"market": "SPP", "end": "2025-11-04T00:00:00+00:00"}
    lmp = lambda **more: [row["lmp"] for row in client.get("/v1/prices", params=asked | more).json()["rows"]]  # noqa: E731
    assert lmp() == [31.0]
    assert lmp(as_of="2025-11-03T18:30:00Z") == [25.5]
    assert lmp(as_of="2025-11-03T18:00:30Z") == []
    assert lmp(strict="true") == [25.5]
    assert lmp(location=["NORTH_HUB", "north_hub"]) == [31.0] and lmp(run="DAM") == []
    assert client.get("/v1/prices", params=asked | {"location": ["NOWHERE", "NORTH_HUB"]}).status_code == 422


def test_formats_say_the_same(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", prices(NOON, count=2, names=("=1+1",), lmp=-31.2), "one")
    asked = {"market": "SPP", "end": "2025-11-04T00:00:00Z", "tz": "America/Chicago"}
    json = client.get("/v1/prices", params=asked).json()
    assert (json["count"], json["truncated"], json["time_zone"]) == (2, False, "America/Chicago")
    lines = list(csv.DictReader(io.StringIO(client.get("/v1/prices", params=asked | {"format": "csv"}).text)))
    assert [float(line["lmp"]) for line in lines] == [row["lmp"] for row in json["rows"]] == [-31.2, -30.2]
    assert [line["interval_start"] for line in lines] == [row["interval_start"] for row in json["rows"]]
    assert lines[0]["location"] == "'=1+1" and lines[0]["energy"] == ""
    with pa.ipc.open_stream(client.get("/v1/prices", params=asked | {"format": "arrow"}).content) as stream:
        table = stream.read_all()
    assert str(table.schema.field("interval_start").type) == "timestamp[us, tz=America/Chicago]"
    assert table["lmp"].to_pylist() == [-31.2, -30.2] and table["location"].to_pylist() == ["=1+1", "=1+1"]


def test_a_cut_answer_says_so(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", prices(NOON, count=5), "one")
    asked = {"market": "SPP", "end": "2025-11-04T00:00:00Z", "limit": 3}
    json = client.get("/v1/prices", params=asked).json()
    assert (json["count"], json["truncated"]) == (3, True) and "first 3 rows" in json["message"]
    answer = client.get("/v1/prices", params=asked | {"format": "csv"})
    assert answer.headers["x-truncated"] == "true" and len(answer.text.splitlines()) == 4


def test_bars_and_ticks(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", moving(NOON - HOUR * 30, 30), "moving")
    rows = client.get("/v1/bars", params={"location": "NORTH_HUB"}).json()["rows"]
    assert len(rows) == 24 and rows[-1]["bar_start"] == "2025-11-03T17:00:00Z"
    assert rows[0]["high"] > rows[0]["open"] > rows[0]["low"] and rows[0]["volume"] is None
    assert client.get("/v1/bars", params={"location": "NORTH_HUB", "width": "1m"}).json()["rows"] == []
    for number in range(3):
        store(
            rooms,
            "market_ticks",
            ticks(NOON - HOUR * number - MINUTES_5, sequence=number, price=70.0 + number),
            f"t{number}",
        )
    found = client.get("/v1/ticks", params={"instrument": "BRN-1M", "limit": 2}).json()
    assert [row["price"] for row in found["rows"]] == [70.0, 71.0] and found["truncated"] is True


BAD = [
    ("/v1/prices", {"market": "SPP", "start": "someday"}, "2025-11-02T06:00:00Z"),
    ("/v1/ticks", {"tz": "market"}, "/v1/feeds"),
    ("/v1/prices", {"market": "SPP", "limit": "100001"}, "arrow"),
]


def test_bad_questions_say_what_to_write(client: TestClient) -> None:
    for path, params, word in BAD:
        answer = client.get(path, params=params)
        assert answer.status_code == 400 and word in answer.json()["detail"], (params, answer.text)


def test_a_zone_that_is_none_comes_with_one_that_is(client: TestClient) -> None:
    for zone in ("Mars/Olympus", "../../etc/passwd", "Amerika/Chicago"):
        answer = client.get("/v1/prices", params={"market": "SPP", "tz": zone})
        assert answer.status_code == 422 and "America/Chicago" in answer.json()["detail"], (zone, answer.text)


def test_missing_and_unknown_parameters_are_named(client: TestClient) -> None:
    for path, word in (("/v1/prices", "market"), ("/v1/bars?location=X&width=7m", "width")):
        answer = client.get(path)
        assert answer.status_code == 422 and word in str(answer.json()["detail"])
        assert isinstance(answer.json()["detail"], str)


def test_values_never_become_sql(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", prices(NOON), "one")
    hostile = "x' OR 1=1 OR location='\\"
    asked = {"market": "SPP", "end": "2025-11-04T00:00:00Z", "location": hostile}
    # What is no name is refused before it gets near a statement; a name that was stored stands in one, escaped.
    assert client.get("/v1/prices", params=asked).status_code == 422
    assert client.get("/v1/bars", params={"location": hostile, "market": "SPP"}).status_code == 422
    store(rooms, "interval_prices", prices(NOON, names=(hostile,), lmp=7.0), "two")
    assert [row["lmp"] for row in client.get("/v1/prices", params=asked).json()["rows"]] == [7.0]
    assert client.get("/v1/bars", params={"location": hostile, "market": "SPP"}).json()["count"] == 1


def test_a_hot_store_in_trouble_does_not_hide_the_cache(
    client: TestClient, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(sql: str) -> pa.Table:
        raise QueryRefused("the engine is away")

    rooms.cache.put(prices(NOON))
    store(rooms, "interval_prices", prices(NOON, names=("SOUTH_HUB",)), "one")
    with monkeypatch.context() as away:
        away.setattr(rooms.hot, "fetch", refuse)
        assert client.get("/v1/prices/latest").json()["total"] == 1
    assert client.get("/v1/prices/latest").json()["total"] == 2
