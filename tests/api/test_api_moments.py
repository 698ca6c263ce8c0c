"""Naive times over HTTP that the asked zone skips or shows twice: refused by every route and parameter alike."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

ZONE = "America/New_York"
ASKED = {
    "market": "SPP", "location": "WESTERN HUB", "width": "1h", "from_rung": "S7", "to_rung": "S53", "instrument": "NG",
    "start": "2025-01-01", "end": "2025-12-01",
}  # fmt: skip
MOMENTS = ("start", "end", "as_of")
DATES = [("/v1/benchmarks", "start"), ("/v1/benchmarks", "end")]


def asked_of(client: TestClient, path: str) -> dict[str, str]:
    """What a route may be asked of the above: it refuses what it does not have."""
    own = {one["name"] for one in client.get("/openapi.json").json()["paths"][path]["get"]["parameters"]}
    return {name: value for name, value in ASKED.items() if name in own}


def asking(client: TestClient) -> list[tuple[str, str]]:
    """(route, parameter) wherever a moment is asked for and read in `tz`."""
    paths = client.get("/openapi.json").json()["paths"]
    found = []
    for path, methods in paths.items():
        names = {one["name"] for one in methods.get("get", {}).get("parameters", [])}
        found += [(path, name) for name in MOMENTS if {name, "tz"} <= names]
    return [one for one in found if one not in DATES]


@pytest.mark.slow
def test_a_naive_time_in_a_repeated_or_skipped_hour_is_refused_wherever_one_is_asked_for(client: TestClient) -> None:
    asked_for = asking(client)
    assert {path for path, _ in asked_for} >= {
        "/v1/prices",
        "/v1/prices/change",
        "/v1/bars",
        "/v1/ticks",
        "/v1/forecasts",
    }
    for path, name in asked_for:
        for written, told in (
            ("2025-11-02T01:30", ["comes twice", "2025-11-02T05:30:00Z", "2025-11-02T06:30:00Z", "-04:00", "-05:00"]),
            ("2025-03-09T02:30", ["does not exist", "from 02:00 to 03:00", "2025-03-09T07:00:00Z"]),
        ):
            answer = client.get(path, params=asked_of(client, path) | {"tz": ZONE, name: written})
            assert answer.status_code == 400, (path, name, answer.text)
            assert all(text in answer.json()["detail"] for text in told), (path, name, answer.text)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "written", ["2025-11-02T01:30-04:00", "2025-11-02T01:30-05:00", "2025-11-02", "2025-03-09T03:00"]
)
def test_the_same_with_an_offset_is_answered(client: TestClient, written: str) -> None:
    answer = client.get("/v1/prices", params=asked_of(client, "/v1/prices") | {"tz": ZONE, "start": written})
    assert answer.status_code == 200, answer.text


def test_a_zone_without_the_change_takes_the_same_time(client: TestClient) -> None:
    for zone in ("UTC", "America/Phoenix"):
        asked = asked_of(client, "/v1/prices") | {"tz": zone, "start": "2025-11-02T01:30"}
        answer = client.get("/v1/prices", params=asked)
        assert answer.status_code == 200, answer.text
