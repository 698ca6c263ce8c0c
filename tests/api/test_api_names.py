"""Names in requests: a typo is refused with the nearest name on every route, and a valid question without rows says
what the store holds. The routes come from the API's own description, so that a new parameter must be entered here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from desk import HOUR, NOON, prices, store, stream, streams, ticks
from fastapi.testclient import TestClient

from carbon254 import portal
from carbon254.api.app import create_app
from carbon254.api.notary import Notary
from carbon254.api.rooms import Rooms
from carbon254.names import Vocabulary
from carbon254.stores.reference import Reference, open_reference

HOME = "http://127.0.0.1:8254"
DAY = {"start": "2025-11-03", "end": "2025-11-04"}
REQUIRED: dict[str, dict[str, str]] = {
    "/v1/prices": {"market": "SPP", **DAY},
    "/v1/prices/change": {"market": "SPP", "from_rung": "S7", "to_rung": "S53", **DAY},
    "/v1/bars": {"location": "NORTH_HUB", **DAY},
    "/v1/benchmarks": DAY,
    "/v1/forecasts": DAY,
    "/v1/ticks": DAY,
}
# parameter → (a typo of it, what the refusal must name)
TYPOS = {
    "market": ("SPPP", "SPP"),
    "at_gate": ("MIS0", "MISO"),
    "run": ("RTB", "RTBM"),
    "location": ("NORTH_HBU", "NORTH_HUB"),
    "series": ("NORTH_HBU", "NORTH_HUB"),
    "instrument": ("BRN-1", "BRN-1M"),
    "tenant": ("publc", "public"),
    "source": ("deks", "desk"),
    "commodity": ("crude_oli", "crude_oil"),
    "rung": ("S77", "S7"),
    "from_rung": ("S77", "S7"),
    "to_rung": ("S533", "S53"),
    "tz": ("America/Chcago", "America/Chicago"),
    "width": ("7m", "'1h'"),
    "basis": ("recieved", "'received'"),
    "format": ("cvs", "'csv'"),
    "status": ("opened", "'open'"),
    "topic": ("iso.rt.lmp.sp", "iso.rt.lmp.spp"),
    "area": ("Chicgo", "Chicago"),
}
# Numbers, moments and switches have no names; moments are tested where they are read.
FREE = {"last-event-id", "limit", "strict", "every", "receipt", "start", "end", "as_of", "day"}
# Bodies and pushes have tests of their own.
WITHOUT_NAMES = {"/v1/sql", "/v1/receipts/verify", "/health", "/ready", "/metrics", "/v1/feeds", "/v1/datasets"}


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[Reference]:
    with open_reference(f"sqlite:///{tmp_path / 'reference.db'}") as opened:
        opened.load("hubs", "SPP", {"location_id": ["NORTH_HUB"], "name": ["North"]}, None, "test")
        opened.load("nodes", "NWS", {"location_id": ["LOT/76,73"], "name": ["Chicago"]}, None, "test")
        yield opened


@pytest.fixture
def filled(rooms: Rooms, reference: Reference, client: TestClient) -> Rooms:
    """Two runs of one hub, real-time prices of a node, ticks, bars."""
    rooms.names = Vocabulary(streams() | _forecasts(), rooms.hot.fetch, reference)
    store(rooms, "interval_prices", prices(NOON, count=12), "rt")
    later = [pl.col(name) + 12 * HOUR for name in ("known_at", "received_at")]
    store(rooms, "interval_prices", prices(NOON, run="DAM", step=HOUR, count=2).with_columns(later), "da")
    store(rooms, "interval_prices", prices(NOON, names=("Node_7",), kind="node"), "node")
    store(rooms, "market_ticks", ticks(NOON), "tick")
    return rooms


def _forecasts() -> dict[str, Any]:
    one = stream("weather.forecast.nws", "NWS", "forecast", "UTC", HOUR, "interval_end", timedelta(0))
    return {one.topic: replace(one, dataset="weather_forecasts")}


def described(client: TestClient) -> list[tuple[str, str, bool]]:
    """(path, parameter, whether it stands in the path) of every route."""
    found = []
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for facts in methods.values():
            found += [(path, one["name"], one["in"] == "path") for one in facts.get("parameters", [])]
    return found


@pytest.mark.slow
def test_a_typo_in_any_parameter_is_refused_with_the_nearest_name(client: TestClient, filled: Rooms) -> None:
    for path, name, inside in described(client):
        if name in FREE:
            continue
        assert name in TYPOS, f"{path} takes {name}: say which typo of it is refused, or that it is free"
        wrong, nearest = TYPOS[name]
        if path == "/v1/forecasts" and name == "location":
            wrong, nearest = TYPOS["area"]
        if path.startswith("/v1/ingest"):
            assert client.post(path.replace("{topic}", wrong), json=[]).status_code == 404
            continue
        more = {"market": "SPP"} if name == "rung" else {}
        asked = {} if inside else REQUIRED.get(path, {}) | more | {name: wrong}
        answer = client.get(path.replace(f"{{{name}}}", wrong) if inside else path, params=asked)
        assert answer.status_code == 422, (path, name, answer.text[:300])
        assert nearest in answer.json()["detail"], (path, name, answer.text)


def test_every_route_takes_only_its_own_parameters(client: TestClient, filled: Rooms) -> None:
    paths = [path for path, methods in client.get("/openapi.json").json()["paths"].items() if "get" in methods]
    for path in paths:
        url = path.replace("{market}", "SPP")
        answer = client.get(url, params=REQUIRED.get(path, {}) | {"lcation": "NORTH_HUB"})
        assert answer.status_code == 422 and "no parameter 'lcation'" in answer.json()["detail"], (path, answer.text)


@pytest.mark.slow
def test_names_are_taken_in_any_case(client: TestClient, filled: Rooms) -> None:
    rows = lambda path, **asked: client.get(path, params=DAY | asked).json()["rows"]  # noqa: E731
    exact = rows("/v1/prices", market="SPP", run="RTBM", location="NORTH_HUB")
    assert len(exact) == 12
    assert rows("/v1/prices", market="spp", run="rtbm", location="north_hub", tz="utc", format="JSON") == exact
    assert len(rows("/v1/bars", location="north_hub", width="1H")) == 3
    assert len(rows("/v1/ticks", instrument="brn-1m", tenant="PUBLIC")) == 1
    assert client.get("/v1/prices/latest", params={"market": "spp", "run": "dam"}).json()["total"] == 1
    assert client.get("/v1/dead-letters", params={"topic": "ISO.RT.LMP.SPP", "status": "Open"}).status_code == 200


def test_a_place_is_known_by_its_listed_name_and_by_what_was_stored(client: TestClient, filled: Rooms) -> None:
    count = lambda name: client.get("/v1/prices", params=DAY | {"market": "SPP", "location": name}).json()["count"]  # noqa: E731
    assert count("North") == count("NORTH") == count("NORTH_HUB") == 14
    assert count("Node_7") == count("NODE_7") == 1
    # A place that was never seen before counts from the moment its first price is stored.
    assert client.get("/v1/prices", params=DAY | {"market": "SPP", "location": "NODE_8"}).status_code == 422
    store(filled, "interval_prices", prices(NOON, names=("NODE_8",), kind="node"), "new node")
    assert count("NODE_8") == 1


def test_a_retired_place_stays_a_name(client: TestClient, filled: Rooms, reference: Reference) -> None:
    reference.load("hubs", "SPP", {"location_id": ["SOUTH_HUB"], "name": ["South"]}, NOON, "next", complete=True)
    assert reference.places("hubs", "SPP")["location_id"].to_list() == ["SOUTH_HUB"]
    asked = DAY | {"market": "SPP", "location": "North", "run": "RTBM"}
    assert client.get("/v1/prices", params=asked).json()["count"] == 12


def test_a_name_that_only_older_rows_bear_finds_the_newer_ones(client: TestClient, filled: Rooms) -> None:
    old = prices(NOON - timedelta(days=30), names=("N9",), kind="node").with_columns(location=pl.lit("Old Name"))
    new = prices(NOON, names=("N9",), kind="node").with_columns(location=pl.lit("New Name"))
    for frame in (old, new):
        store(filled, "interval_prices", frame, frame["location"][0])
    for name in ("Old Name", "new name", "n9"):
        [row] = client.get("/v1/prices", params=DAY | {"market": "SPP", "location": name}).json()["rows"]
        assert row["location"] == "New Name", name


def test_bars_of_pushed_ticks_are_of_the_market_that_their_sender_named(client: TestClient, filled: Rooms) -> None:
    asked = DAY | {"location": "brn-1m", "market": "ice", "run": "TICK", "as_of": "2025-11-04", "width": "1m"}
    assert len(client.get("/v1/bars", params=asked).json()["rows"]) == 1
    assert client.get("/v1/bars", params=asked | {"run": "DAM"}).status_code == 422


def test_an_end_before_its_start_is_refused_on_every_route_with_a_span(client: TestClient, filled: Rooms) -> None:
    spans = {path for path, name, _ in described(client) if name == "end"}
    assert spans == {"/v1/prices", "/v1/prices/change", "/v1/bars", "/v1/ticks", "/v1/benchmarks", "/v1/forecasts"}
    for path in spans:
        for end in ("2025-11-02", DAY["start"]):
            answer = client.get(path, params=REQUIRED[path] | {"end": end})
            assert answer.status_code == 422 and "is not before end" in answer.json()["detail"], (path, answer.text)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
def test_a_valid_question_without_rows_says_what_the_store_holds(client: TestClient, filled: Rooms, form: str) -> None:
    early = {"market": "SPP", "start": "2024-01-01", "end": "2024-01-02", "format": form}
    for asked, says in (
        ({}, "SPP: 2025-11-03 ... 2025-11-03 (DAM 2025-11-03 ... 2025-11-03; RTBM 2025-11-03 ... 2025-11-03)"),
        ({"location": "Node_7"}, "SPP Node_7: 2025-11-03 ... 2025-11-03 (RTBM"),
        ({"location": "Node_7", "run": "DAM"}, "none of DAM"),
        ({"market": "NYISO"}, "no price of NYISO is stored yet"),
    ):
        answer = client.get("/v1/prices", params=early | asked)
        assert answer.status_code == 200 and says in answer.headers["X-Note"], (asked, answer.headers)
    for path, more, says in (
        ("/v1/bars", {"location": "NORTH_HUB", "width": "1h"}, "bars of 1h of NORTH_HUB: 2025-11-03 ... 2025-11-03"),
        ("/v1/ticks", {"instrument": "BRN-1M"}, "BRN-1M: 2025-11-03 ... 2025-11-03"),
        ("/v1/benchmarks", {"commodity": "crude_oil"}, "nothing of crude_oil is stored yet"),
        ("/v1/forecasts", {"location": "Chicago"}, "nothing of forecasts of Chicago is stored yet"),
    ):
        asked = {name: value for name, value in early.items() if name != "market"} | more
        answer = client.get(path, params=asked)
        assert answer.status_code == 200 and says in answer.headers["X-Note"], (path, answer.headers)


@pytest.mark.slow
def test_rows_of_several_market_runs_are_warned_of(client: TestClient, filled: Rooms) -> None:
    both = {"market": "SPP", "location": "NORTH_HUB", **DAY}
    for form in ("json", "csv", "arrow"):
        answer = client.get("/v1/prices", params=both | {"format": form, "limit": 1})
        assert answer.status_code == 200
        assert answer.headers["Warning"].startswith("299 ") and "DAM, RTBM" in answer.headers["Warning"]
        assert "name one as the run" in answer.headers["X-Note"]
    assert "DAM, RTBM" in client.get("/v1/prices", params=both).json()["note"]
    for one in ({"run": "DAM"}, {"run": "RTBM"}, {"location": "Node_7"}):
        assert "Warning" not in client.get("/v1/prices", params=both | one).headers
    # What was known before the day-ahead prices came is of one run.
    assert "Warning" not in client.get("/v1/prices", params=both | {"as_of": "2025-11-03T17:10:00Z"}).headers


def test_a_strict_node_refuses_what_mixes_market_runs(client: TestClient, filled: Rooms) -> None:
    filled.strict = True
    for path, asked in (
        ("/v1/prices", {"market": "SPP"}),
        ("/v1/bars", {"location": "NORTH_HUB"}),
        ("/v1/bars", {"location": "NORTH_HUB", "as_of": "2025-11-04T23:00:00Z"}),
        ("/v1/bars", {"location": "NORTH_HUB", "as_of": "2025-11-04T23:00:00Z", "width": "1d"}),
    ):
        answer = client.get(path, params=DAY | asked)
        assert answer.status_code == 422 and "2 market runs answer: DAM, RTBM" in answer.json()["detail"], answer.text
        assert client.get(path, params=DAY | asked | {"market": "SPP", "run": "DAM"}).status_code == 200


MEANS = [
    ("SELECT avg(lmp) AS m FROM current_prices WHERE market = 'SPP'", True),
    ("SELECT toStartOfDay(interval_start) AS d, quantile(0.5)(lmp) FROM interval_prices GROUP BY d", True),
    ("SELECT market, sum(mean) / count() FROM ohlc_bars GROUP BY market", True),
    ("SELECT market_run, avg(lmp) FROM current_prices GROUP BY market_run", False),
    ("SELECT avg(lmp) FROM current_prices WHERE market_run = 'DAM'", False),
    ("SELECT avg(lmp) FROM current_prices WHERE location = 'Node_7'", False),
    ("SELECT count(lmp) FROM current_prices", False),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("statement", "mixes"), MEANS)
def test_a_mean_over_several_market_runs_is_told_in_sql_too(
    client: TestClient, filled: Rooms, statement: str, mixes: bool
) -> None:
    answer = client.post("/v1/sql", json={"sql": statement})
    assert answer.status_code == 200, answer.text
    assert ("over several market runs: SPP DAM, SPP RTBM" in answer.json().get("note", "")) == mixes, answer.text
    assert ("Warning" in answer.headers) == mixes
    filled.strict = True
    assert client.post("/v1/sql", json={"sql": statement}).status_code == (422 if mixes else 200)


COMPARED = [
    ("SELECT lmp FROM current_prices WHERE market = 'SPPP'", "no market 'SPPP'; nearest: SPP"),
    ("SELECT avg(lmp) FROM current_prices WHERE market = 'spp'", "market = 'spp' finds nothing; it is written SPP"),
    ("SELECT count() FROM interval_prices WHERE location IN ('NORTH_HBU')", "nearest: NORTH_HUB"),
    ("SELECT lmp FROM current_prices WHERE market = 'SPP' AND market_run = 'RTB'", "no market run 'RTB'"),
    ("SELECT lmp FROM current_prices WHERE market = 'SPP' AND lmp > 1000000", ""),
    ("SELECT count() FROM current_prices WHERE market = 'SPP'", ""),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("statement", "says"), COMPARED)
def test_a_typo_in_sql_that_finds_nothing_is_named(
    client: TestClient, filled: Rooms, statement: str, says: str
) -> None:
    answer = client.post("/v1/sql", json={"sql": statement}).json()
    assert says in answer.get("note", "") and bool(says) == ("note" in answer), answer


def test_bars_of_a_name_at_two_markets_ask_for_the_market(client: TestClient, filled: Rooms) -> None:
    store(filled, "interval_prices", prices(NOON, "NYISO", "RTD", count=12), "other market")
    answer = client.get("/v1/bars", params=DAY | {"location": "NORTH_HUB"})
    assert "several markets answer: NYISO RTD, SPP DAM, SPP RTBM" in answer.headers["Warning"]


def test_the_board_and_the_stream_refuse_a_typo_before_they_answer(client: TestClient, filled: Rooms) -> None:
    for path in ("/v1/prices/latest", "/v1/stream/prices"):
        answer = client.get(path, params={"market": "SPQ"})
        assert answer.status_code == 422 and "nearest: SPP" in answer.json()["detail"]


def test_every_market_of_the_cards_may_be_asked_of_an_empty_store(client: TestClient, rooms: Rooms) -> None:
    for market in ("SPP", "NYISO"):
        answer = client.get("/v1/prices", params={"market": market, **DAY})
        assert answer.status_code == 200 and f"no price of {market} is stored yet" in answer.json()["note"]


def test_a_node_of_emulated_data_says_so_in_every_answer(rooms: Rooms) -> None:
    rooms.emulated = True
    app = create_app(rooms)
    portal.mount(app)
    client = TestClient(app, base_url=HOME)
    for path in ("/", "/health", "/v1/feeds", "/v1/prices?market=SPP", "/v1/prices?market=SPP&format=csv"):
        assert client.get(path).headers["X-Emulated"] == "true", path
    asked = "?location=NORTH_HUB&start=2025-11-03&end=2025-11-04&as_of=2025-11-04"
    store(rooms, "interval_prices", prices(NOON), "one")
    for path in ("/v1/feeds", "/v1/datasets", "/v1/prices?market=SPP", "/v1/prices/latest", f"/v1/bars{asked}"):
        assert client.get(path).json()["emulated"] is True, path
    assert 'id="emulated"' in client.get("/").text
    notary = Notary(rooms.hot, rooms.log, rooms.streams, {}, rooms.clock, lambda _: None, emulated=True)
    _, receipt = notary.answer("SELECT lmp FROM interval_prices ORDER BY lmp")
    assert set(receipt.licences.values()) <= {"emulated data, not of SPP operator"}


def test_routes_without_names_are_all_there(client: TestClient) -> None:
    paths = set(client.get("/openapi.json").json()["paths"])
    assert paths >= WITHOUT_NAMES


@pytest.mark.usefixtures("filled")
def test_the_app_is_served_as_described(rooms: Rooms) -> None:
    assert create_app(rooms).openapi()["paths"]
