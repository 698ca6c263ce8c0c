"""The node about itself, SQL and pushed data."""

from __future__ import annotations

import math
from datetime import timedelta

import pyarrow as pa
import pytest
from desk import NOON, prices, store
from fastapi.testclient import TestClient

from carbon254.api.rooms import Rooms
from carbon254.errors import QueryRefused
from carbon254.model import catalogue
from carbon254.stores.ledger import Noted
from carbon254.stores.log import Letter, NewRecord


def note(rooms: Rooms, topic: str, watermark: str) -> None:
    rooms.ledger.complete([Noted(topic, "2025-11-03", "a:0", 12, watermark, NOON.isoformat())], NOON)


def feed(client: TestClient, topic: str) -> dict:
    return next(one for one in client.get("/v1/feeds").json()["feeds"] if one["topic"] == topic)


def test_health_and_readiness(client: TestClient, rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/ready").json() == {"status": "ready", "reasons": {}}
    rooms.ready().update(project="OSError: no space left on device")  # type: ignore[attr-defined]
    answer = client.get("/ready")
    assert answer.status_code == 503 and answer.json()["reasons"] == {"project": "OSError: no space left on device"}
    assert client.get("/health").status_code == 200

    def refuse(sql: str) -> pa.Table:
        raise QueryRefused("gone")

    monkeypatch.setattr(rooms.hot, "fetch", refuse)
    assert "gone" in client.get("/ready").json()["reasons"]["hot store"]


def test_metrics_show_each_consumers_lag(client: TestClient, rooms: Rooms) -> None:
    rooms.log.append([NewRecord("raw.market.ticks", None, {}, b""), NewRecord("rows.market.ticks", None, {}, b"")])
    with rooms.log.transaction() as txn:
        txn.commit("lake", "rows.market.ticks", 2)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for consumer, lag in {"normalise": 1, "project": 1, "lake": 0}.items():
        assert f'c254_log_lag_records{{consumer="{consumer}"}} {float(lag)}' in answer.text


def test_feeds_tell_card_ledger_and_freshness(client: TestClient, rooms: Rooms) -> None:
    note(rooms, "iso.rt.lmp.spp", NOON.isoformat())
    note(rooms, "iso.rt.lmp.nyiso", (NOON - timedelta(hours=2)).isoformat())
    note(rooms, "market.ticks", NOON.isoformat())
    with rooms.log.transaction() as txn:
        txn.add_letter(Letter(None, "dlq.iso.rt.lmp.spp", "d" * 64, 3, "no price", "x", "normalise", "1", NOON))
        txn.append([NewRecord("raw.iso.rt.lmp.spp", None, {}, b"")])
    spp = feed(client, "iso.rt.lmp.spp")
    assert (spp["state"], spp["watermark"], spp["rows"]) == ("fresh", "2025-11-03T18:00:00Z", 12)
    assert (spp["lag"], spp["open_letters"], spp["clock"]) == (1, 1, "America/Chicago")
    assert feed(client, "iso.rt.lmp.nyiso")["state"] == "stale"
    assert feed(client, "iso.da.lmp.spp")["state"] == "none"
    assert feed(client, "market.ticks")["state"] == "quiet"
    rooms.ledger.begin("iso.rt.lmp.spp", "2025-11-03", NOON)
    rooms.ledger.fail("iso.rt.lmp.spp", "2025-11-03", NOON, "refused: set SPP_KEY")
    assert (feed(client, "iso.rt.lmp.spp")["state"], feed(client, "iso.rt.lmp.spp")["error"]) == (
        "failed",
        "refused: set SPP_KEY",
    )


def test_datasets_and_dead_letters(client: TestClient, rooms: Rooms) -> None:
    assert [one["name"] for one in client.get("/v1/datasets").json()["datasets"]] == list(catalogue())
    with rooms.log.transaction() as txn:
        for line in range(3):
            txn.add_letter(Letter(None, "dlq.market.ticks", "d" * 64, line, "no price", "{}", "normalise", "1", NOON))
        txn.resolve_letters([2], "by hand")
    found = client.get("/v1/dead-letters", params={"topic": "market.ticks", "status": "open", "limit": 1}).json()
    assert (found["total"], [letter["line"] for letter in found["letters"]]) == (2, [0])
    assert found["letters"][0]["received_at"] == "2025-11-03T18:00:00Z"
    assert client.get("/v1/dead-letters", params={"topic": "iso.rt.lmp.spp"}).json() == {"total": 0, "letters": []}


def test_sql_answers_in_three_formats(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", prices(NOON), "one")
    sql = "SELECT market, lmp, energy, interval_end, nan AS odd, toDecimal64(1.25, 2) AS money FROM current_prices"
    answer = client.post("/v1/sql", json={"sql": sql}).json()
    assert [column["name"] for column in answer["columns"]] == [
        "market",
        "lmp",
        "energy",
        "interval_end",
        "odd",
        "money",
    ]
    [[market, lmp, energy, end, odd, money]] = answer["rows"]
    assert (market, lmp, energy, odd, float(money)) == ("SPP", 25.5, None, None, 1.25)
    assert end.startswith("2025-11-03T18:00:00") and end.endswith("Z")
    assert (answer["row_count"], answer["truncated"]) == (1, False) and answer["elapsed_ms"] >= 0
    text = client.post("/v1/sql", json={"sql": sql, "format": "csv"}).text.splitlines()
    assert text[0].startswith("market,lmp") and text[1].startswith("SPP,25.5,,2025-11-03T18:00:00Z")
    with pa.ipc.open_stream(client.post("/v1/sql", json={"sql": sql, "format": "arrow"}).content) as stream:
        table = stream.read_all()
    twice = client.post("/v1/sql", json={"sql": "SELECT -2 AS a, -2 AS a, '@x,y' AS b", "format": "csv"})
    assert twice.text == 'a,a,b\n-2,-2,"\'@x,y"\n'
    assert table["lmp"].to_pylist() == [25.5] and math.isnan(table["odd"].to_pylist()[0])


def test_sql_says_when_rows_are_missing(client: TestClient) -> None:
    answer = client.post("/v1/sql", json={"sql": "SELECT number FROM numbers(10001)"}).json()
    assert (answer["row_count"], len(answer["rows"]), answer["truncated"]) == (10_000, 10_000, True)
    assert "10,000" in answer["message"]
    exact = client.post("/v1/sql", json={"sql": "SELECT number FROM numbers(10000)"}).json()
    assert exact["truncated"] is False


def test_sql_that_fails_says_why(client: TestClient) -> None:
    answer = client.post("/v1/sql", json={"sql": "SELECT no_such_column FROM current_prices"})
    assert answer.status_code == 400 and "no_such_column" in answer.json()["detail"]
    assert client.post("/v1/sql", json={"sql": ""}).status_code == 422
    assert client.post("/v1/sql", json={"sql": "SELECT 1", "settings": "readonly=0"}).status_code == 422


def test_pushed_bytes_are_on_disk_and_noted_when_answered(client: TestClient, rooms: Rooms) -> None:
    body = b'{"instrument":"BRN-1M","time":"2025-11-03T18:00:00Z","price":71.35,"quantity":1,"source":"d","sequence":1}'
    headers = {"Content-Type": "application/json"}
    first = client.post("/v1/ingest/market.ticks", content=body, headers=headers)
    again = client.post("/v1/ingest/market.ticks", content=body, headers=headers)
    other = client.post("/v1/ingest/market.ticks", content=b"not json at all", headers=headers)
    assert [answer.status_code for answer in (first, again, other)] == [202, 202, 202]
    assert (first.json()["new"], again.json()["new"], other.json()["new"]) == (True, False, True)
    assert first.json()["payload"] == again.json()["payload"]
    noted = [record.headers["sha256"] for record in rooms.log.scan("raw.market.ticks")]
    assert noted == [first.json()["payload"], other.json()["payload"]]


def test_pushes_that_cannot_be_taken(client: TestClient, rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Content-Type": "application/json"}
    assert client.post("/v1/ingest/market.ticks", content=b" \n", headers=headers).status_code == 400
    wrong = client.post("/v1/ingest/iso.rt.lmp.spp", content=b"{}", headers=headers)
    assert wrong.status_code == 404 and "market.ticks" in wrong.json()["detail"]

    def full(arrived: object) -> tuple[str, bool]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rooms.inbox, "accept", full)
    answer = client.post("/v1/ingest/market.ticks", content=b"{}", headers=headers)
    assert answer.status_code == 507 and "send it again" in answer.json()["detail"]


@pytest.mark.slow
def test_errors_are_one_sentence(client: TestClient, rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = client.get("/v1/nowhere")
    assert nowhere.status_code == 404 and "/docs" in nowhere.json()["detail"]

    def burst() -> dict:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(rooms.ledger, "totals", burst)
    answer = client.get("/v1/feeds")
    assert answer.status_code == 500 and "secret" not in answer.text and "c254 logs" in answer.json()["detail"]


def test_docs_and_page_work_with_no_internet(client: TestClient) -> None:
    paths = (
        "/",
        "/docs",
        "/openapi.json",
        "/static/swagger/swagger-ui-bundle.js",
        "/static/swagger/swagger-ui.css",
        "/static/api/docs.js",
        "/static/plotly.min.js",
        "/static/portal/js/main.js",
        "/static/portal/style.css",
    )
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200 and len(answer.content) > 100, path
    described = client.get("/openapi.json").json()["paths"]
    assert {"/v1/prices/latest", "/v1/ticks", "/v1/bars", "/v1/sql", "/v1/ingest/{topic}", "/ready"} <= set(described)
