"""Bad parameters on every route, and values that are hard to write: never a 5xx."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from desk import NOON, prices, store
from fastapi.testclient import TestClient

from carbon254.api.cells import csv_text
from carbon254.api.rooms import Rooms

TEXTS = (
    "",
    " ",
    "'",
    '"',
    "\\",
    "%",
    "x' OR 1=1 --",
    "{a:String}",
    "\x00",
    "\ud7ff",
    "é" * 300,
    "a" * 5_000,
    "-1",
    "0",
    "1e400",
    "nan",
    "null",
    "true",
    "SPP",
    "spp",
    "NORTH_HUB",
    "now",
    "0001-01-01",
    "9999-12-31",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-12:00",
    "10000-01-01",
    "1900-01-01",
    "2262-04-12",
    "2299-12-31T23:59:59Z",
    "2025-11-02",
    "2025-11-02T01:30",
    "2025-03-09T02:30",
    "2025-02-30",
    "market",
    "UTC",
    "Asia/Kathmandu",
    "../../etc/passwd",
    "S14",
    "json",
    "csv",
    "arrow",
    "1h",
    "strict",
    "received",
    "DAM",
    "=cmd|'/c'!A1",
    "99999999999999999999",
    "2025-11-03T18:00Z",
)
LIKELY = {
    "market": ("SPP", "MISO", "PJM"),
    "start": ("2025-11-03", "0001-01-01", "1900-01-01"),
    "from_rung": ("S7",),
    "end": ("2025-11-04", "9999-12-31", "2300-01-01"),
    "location": ("NORTH_HUB",),
    "to_rung": ("S105",),
}


def asked(route: dict[str, Any], source: random.Random) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for parameter in route.get("parameters", []):
        name = parameter["name"]
        if parameter["in"] == "query" and (parameter.get("required") or source.random() < 0.5):
            given[name] = source.choice(LIKELY.get(name, TEXTS) if source.random() < 0.5 else TEXTS)
    return given


@pytest.mark.slow
def test_no_route_fails_at_bad_parameters(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", prices(NOON, count=3), "one")
    source, tried = random.Random(24), 0
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        if "get" not in methods or path.startswith("/v1/stream"):
            continue
        for _ in range(40):
            at = path.replace("{market}", source.choice(("SPP", "MISO", "x", "%00", "..", "é")))
            answer = client.get(at, params=asked(methods["get"], source))
            assert answer.status_code < 500, (at, str(answer.request.url), answer.text)
            tried += 1
    assert tried > 400


@pytest.mark.slow
def test_no_route_fails_at_bad_bodies(client: TestClient) -> None:
    kinds = ("application/json", "application/x-ndjson")
    bodies = [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"null",
        b"1e999",
        b'{"sql":',
        b'{"sql": 1}',
        b'{"sql": "SELECT 1", "format": 3}',
        b'{"sql": "\\ud800"}',
        b"[" * 5_000,
        b'{"query": "SELECT 1"}',
        b'{"sql": "SELECT 1", "seconds": -1}',
        b'{"sql": "SELECT 1", "seconds": 1e999}',
        b'{"sql":"SELECT 1\\u0000"}',
        json.dumps({"sql": "SELECT 1", "receipt": True}).encode(),
    ]
    for path in ("/v1/sql", "/v1/receipts/verify", "/v1/ingest/market.ticks", "/v1/ingest/%00"):
        for body in bodies:
            for kind in kinds:
                answer = client.post(path, content=body, headers={"Content-Type": kind})
                assert answer.status_code < 500, (path, body, answer.text)


HARD = {
    "bytes": "'\\xff\\xfe' AS x",
    "bytes in a list": "['\\xff'] AS x",
    "bytes in a map": "map('a', '\\xff') AS x",
    "bytes in a tuple": "('\\xff', 1) AS x",
    "fixed": "toFixedString('ab', 4) AS x",
    "fixed in a list": "[toFixedString('a', 2)] AS x",
    "first day": "toDate32('1900-01-01') AS x",
    "last moment": "toDateTime64('2299-12-31 23:59:59', 6, 'UTC') AS x",
    "nanoseconds": "toDateTime64('2200-12-31 23:59:59.123456789', 9, 'UTC') AS x",
    "seconds": "[now()] AS x",
    "moments in a list": "[now64(3)] AS x",
    "moment in a tuple": "(now64(3), 1) AS x",
    "moment in a map": "map('a', now64(3)) AS x",
    "not a number": "nan AS x",
    "infinity": "[inf, -inf, nan] AS x",
    "wide": "toInt256(-5) AS x",
    "widest": "toUInt256(7) AS x",
    "unsigned": "toUInt64(18446744073709551615) AS x",
    "decimal": "toDecimal128('-1.25', 4) AS x",
    "id": "generateUUIDv4() AS x",
    "wide decimal": "CAST('1.5', 'Decimal256(3)') AS x",
    "address": "toIPv4('1.2.3.4') AS x",
    "address 6": "toIPv6('::1') AS x",
    "none": "NULL AS x",
    "nothing": "[] AS x",
    "enum": "CAST('a', 'Enum8(\\'a\\' = 1)') AS x",
    "json": "CAST('{\"a\":1}', 'JSON') AS x",
    "variant": "1::Variant(UInt8, String) AS x",
    "nested": "[(1, ['a', 'b'], map('k', 1))] AS x",
    "bool": "true AS x",
    "interval": "INTERVAL 1 DAY AS x",
    "time": "toTime('10:00:00') AS x",
    "coded": "toLowCardinality('=x') AS x",
    "dynamic": "1::Dynamic AS x",
    "twice": "1 AS x, 1 AS x",
    "empty": "1 AS x WHERE 0",
    "quote": "'a\"b\nc' AS x",
    "half": "toBFloat16(1) AS x",
}


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", HARD)
def test_every_type_can_be_written_in_every_form(client: TestClient, name: str) -> None:
    for form in ("json", "csv", "arrow"):
        answer = client.post("/v1/sql", json={"sql": f"SELECT {HARD[name]}", "format": form})
        assert answer.status_code == 200, answer.text
        if form == "json":
            assert answer.json()["row_count"] == len(answer.json()["rows"]) == (0 if name == "empty" else 1)
        elif form == "csv":
            assert len(list(csv.reader(io.StringIO(answer.content.decode("utf-8"))))) == (1 if name == "empty" else 2)
        else:
            pl.DataFrame(
                pa.ipc.open_stream(answer.content).read_all().slice(0, 0 if name == "twice" else None).select([0])
            )


def cells(client: TestClient, sql: str) -> list[list[str]]:
    answer = client.post("/v1/sql", json={"sql": sql, "format": "csv"})
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.text)))


@pytest.mark.slow
def test_no_text_of_a_csv_is_a_formula(client: TestClient) -> None:
    for start in ("=", "+", "-", "@", "\t", "\r", "\n", "＝"):
        text = f"{start}cmd|' /C calc'!A0".replace("'", "\\'")
        for value in (
            f"'{text}'",
            f"toLowCardinality('{text}')",
            f"toFixedString('{text}', 40)",
            f"['{text}']",
            f"('{text}', 1)",
            f"map('{text}', 1)",
        ):
            [_, [cell, number]] = cells(client, f"SELECT {value} AS x, -2.5 AS y")
            assert cell[0] in "'[{", (value, cell)
            assert number == "-2.5"
    assert cells(client, "SELECT 1 AS `=cmd`, 2 AS `@x`")[0] == ["'=cmd", "'@x"]
    coded = pl.DataFrame({"a": ["=x"]}, schema={"a": pl.Categorical})
    listed = pl.DataFrame({"a": [["=x", "y"]], "b": [-1]})
    assert csv_text(coded, header=False) == "'=x\n"
    assert csv_text(listed, header=False) == '"[""=x"",""y""]",-1\n'


def test_nested_values_are_json_text_in_csv(client: TestClient) -> None:
    [_, row] = cells(
        client, "SELECT [1, 2] AS a, map('k', 1) AS b, (1, 'x') AS c, [toDateTime64('2025-01-01', 3, 'UTC')] AS d"
    )
    assert [json.loads(cell) for cell in row[:3]] == [[1, 2], {"k": 1}, {"1": 1, "2": "x"}]
    assert json.loads(row[3]) == ["2025-01-01T00:00:00Z"]


def test_numbers_stay_exact_and_what_is_no_number_is_null(client: TestClient) -> None:
    sql = (
        "SELECT toUInt64(18446744073709551615) AS a, toDecimal128('0.1', 18) AS b, nan AS c, [inf, 1.5] AS d, "
        "toInt256(-5) AS e"
    )
    [[a, b, c, d, e]] = client.post("/v1/sql", json={"sql": sql}).json()["rows"]
    assert (a, c, d, e) == (18446744073709551615, None, [None, 1.5], "-5") and float(b) == 0.1


@pytest.mark.slow
def test_moments_at_the_ends_of_the_calendar_are_answered(client: TestClient) -> None:
    for start, end in (("0001-01-01", "9999-12-31"), ("1900-01-01", "2262-01-01"), ("9999-12-30", "9999-12-31")):
        for path in ("/v1/prices?market=SPP", "/v1/ticks?", "/v1/bars?location=X", "/v1/benchmarks?", "/v1/forecasts?"):
            for zone in ("UTC", "Pacific/Auckland", "America/Chicago"):
                answer = client.get(f"{path}&start={start}&end={end}&tz={zone}&as_of={end}")
                assert answer.status_code < 500, (answer.request.url, answer.text)
