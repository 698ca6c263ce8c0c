"""Receipts over HTTP: in a header and a JSON field, verified by a route, refused with a reason."""

from __future__ import annotations

import json

import polars as pl
import pytest
from desk import MINUTES_5, NOON, prices
from fastapi.testclient import TestClient

from carbon254.api.rooms import Rooms
from carbon254.model import dataset
from carbon254.model.arrow import conform
from carbon254.proof import receipt_of
from carbon254.stores.log import NewRecord

RT = "iso.rt.lmp.spp"
ASKED = "SELECT location, interval_start, lmp FROM current_prices ORDER BY location, interval_start"
SPAN = "/v1/prices?market=SPP&start=2025-11-03T00:00Z&end=2025-11-04T00:00Z&receipt=true"


def arrive(rooms: Rooms, lmp: float, payload: str) -> None:
    """A payload of twelve prices as the consumers leave it: in the raw log, carried, in the hot store."""
    number = rooms.log.end_offset() + 1
    received = NOON + number * MINUTES_5
    headers = {"sha256": payload * 64, "name": payload, "subject": "s", "received_at": received.isoformat()}
    (offset,) = rooms.log.append([NewRecord(f"raw.{RT}", None, headers, b"")])
    with rooms.log.transaction() as txn:
        txn.commit("normalise", f"raw.{RT}", offset)
    frame = prices(NOON + number * MINUTES_5, count=12, lmp=lmp, payload=payload * 64)
    table = conform(frame.with_columns(pl.lit(received).alias("received_at")), dataset("interval_prices"))
    rooms.hot.insert("interval_prices", table, payload)


@pytest.mark.slow
def test_an_answer_carries_its_receipt_and_it_holds_after_more_arrived(client: TestClient, rooms: Rooms) -> None:
    arrive(rooms, 25.5, "a")
    answers = {
        "sql": client.post("/v1/sql", json={"sql": ASKED, "receipt": True}),
        "arrow": client.post("/v1/sql", json={"sql": ASKED, "receipt": True, "format": "arrow"}),
        "prices": client.get(SPAN),
        "csv": client.get(SPAN + "&format=csv"),
    }
    receipts = {name: receipt_of(answer.headers["X-Receipt"]) for name, answer in answers.items()}
    assert {receipt.rows.count for receipt in receipts.values()} == {12}
    assert receipts["sql"].rows.hash == receipts["arrow"].rows.hash
    assert receipts["prices"].licences == {RT: "terms (restricted)"}
    whole = answers["sql"].json()["receipt"]
    assert whole["rows"]["hash"] == receipts["sql"].rows.hash and len(whole["rows"]["each"]) == 12
    assert answers["sql"].json()["row_count"] == 12
    arrive(rooms, 99.0, "b")
    assert client.post("/v1/sql", json={"sql": ASKED}).json()["row_count"] == 13
    for given in (whole, *(json.loads(receipt.to_json()) for receipt in receipts.values())):
        said = client.post("/v1/receipts/verify", json=given)
        assert (said.status_code, said.json()["equal"], said.json()["differs"]) == (200, True, []), said.text


def test_a_receipt_that_does_not_hold_says_where_and_an_edited_one_is_refused(client: TestClient, rooms: Rooms) -> None:
    arrive(rooms, 25.5, "a")
    given = client.post("/v1/sql", json={"sql": ASKED, "receipt": True}).json()["receipt"]
    rooms.hot.command("TRUNCATE TABLE store.interval_prices")
    said = client.post("/v1/receipts/verify", json=given).json()
    assert said["equal"] is False and said["differs"][0] == "12 rows then, 0 now"
    edited = client.post("/v1/receipts/verify", json=given | {"query": "SELECT 1"})
    assert edited.status_code == 400 and "changed after it was issued" in edited.json()["detail"]
    assert client.post("/v1/receipts/verify", json={"a": 1}).status_code == 400


@pytest.mark.parametrize("statement", ["SELECT now() FROM interval_prices", "SELECT score FROM verdicts"])
def test_a_receipt_that_could_not_be_kept_is_not_given(client: TestClient, statement: str) -> None:
    assert client.post("/v1/sql", json={"sql": statement, "receipt": True}).status_code == 400
    assert client.post("/v1/sql", json={"sql": statement}).status_code == 200
