"""What must not get in: other hosts' names, other sites' pages, bodies that are not JSON, SQL that is not reading."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk import NOON, prices, store
from fastapi.testclient import TestClient

from carbon254.api import pushed
from carbon254.api.rooms import Rooms

SQL = {"sql": "SELECT 1 AS one"}


HOSTS = ["127.0.0.1", "127.0.0.1:9999", "localhost:8254", "LOCALHOST", "[::1]:8254"]
OTHERS = [
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8254", "10.0.0.5:8254", "0.0.0.0:8254",
    "127.0.0.1@evil.example", "127.0.0.1:8254/x", "[::1", "", "127.0.0.1:8254\t.evil", "127.0.0.1:8254:1",
]  # fmt: skip


def test_loopback_names_are_served(client: TestClient) -> None:
    for host in HOSTS:
        assert client.get("/health", headers={"Host": host}).status_code == 200, host


def test_other_host_names_are_refused(client: TestClient) -> None:
    for host in OTHERS:
        for path in ("/", "/health", "/v1/prices/latest", "/static/portal/style.css"):
            answer = client.get(path, headers={"Host": host})
            assert answer.status_code == 421, (host, path)
            assert "127.0.0.1" in answer.json()["detail"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8254"])
def test_pages_of_other_sites_are_refused(client: TestClient, origin: str) -> None:
    for answer in (
        client.post("/v1/sql", json=SQL, headers={"Origin": origin}),
        client.post("/v1/ingest/market.ticks", json=[], headers={"Origin": origin}),
        client.get("/v1/prices/latest", headers={"Origin": origin}),
    ):
        assert answer.status_code == 403


def test_the_nodes_own_page_is_served(client: TestClient) -> None:
    assert client.post("/v1/sql", json=SQL, headers={"Origin": "http://127.0.0.1:8254"}).status_code == 200


def test_a_body_must_be_declared_as_json(client: TestClient) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "text/plain; application/json",
    ):
        for path in ("/v1/sql", "/v1/ingest/market.ticks"):
            answer = client.post(path, content=b'{"sql":"SELECT 1"}', headers={"Content-Type": kind})
            assert answer.status_code == 415, (path, kind)
            assert "application/json" in answer.json()["detail"]


def test_lines_are_for_pushing_only(client: TestClient) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    assert client.post("/v1/sql", content=b"{}", headers=headers).status_code == 415
    assert client.post("/v1/ingest/market.ticks", content=b"{}", headers=headers).status_code == 202


WRITING = [
    "INSERT INTO store.interval_prices (market) VALUES ('X')", "DROP VIEW current_prices",
    "CREATE TABLE t (a Int8) ENGINE = Memory", "ALTER TABLE store.interval_prices DELETE WHERE 1",
    "TRUNCATE TABLE store.interval_prices", "SYSTEM FLUSH LOGS", "SET max_memory_usage = 0",
    "SELECT * FROM file('/etc/passwd', 'RawBLOB')", "SELECT file('/etc/passwd')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'RawBLOB')", "SELECT * FROM s3('http://127.0.0.1:1/x')",
    "SELECT 1; SELECT 2", "SELECT 1 INTO OUTFILE '/tmp/c254-test-outfile'",
]  # fmt: skip


def test_sql_can_only_read(client: TestClient, rooms: Rooms) -> None:
    store(rooms, "interval_prices", prices(NOON), "one")
    for statement in WRITING:
        answer = client.post("/v1/sql", json={"sql": statement})
        assert answer.status_code == 400, (statement, answer.text)
        assert "root:" not in answer.text and answer.json()["detail"]
    assert rooms.hot.count("interval_prices") == 1
    assert not Path("/tmp/c254-test-outfile").exists()


def test_every_answer_is_marked(client: TestClient) -> None:
    for path in ("/", "/v1/prices/latest", "/nowhere", "/docs"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "script-src 'self';" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert client.get("/v1/prices/latest").headers["cache-control"] == "no-store"
    assert client.get("/static/portal/style.css").headers["cache-control"] == "no-cache"


def test_no_page_runs_a_script_of_its_own_or_of_others(client: TestClient) -> None:
    for path in ("/", "/docs"):
        page = client.get(path).text
        assert "<script>" not in page and "//cdn" not in page and 'src="http' not in page and 'href="http' not in page


def test_files_beside_the_pages_are_not_served(client: TestClient) -> None:
    for path in ("/v1/ingest/..%2f..%2fetc", "/static/portal/..%2fpage.py", "/static/portal/%2e%2e/page.py"):
        assert client.get(path).status_code in (404, 405), path


def test_a_body_beyond_the_bound_is_refused_and_nothing_is_kept(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi import FastAPI

    app = FastAPI()
    app.include_router(pushed.router(rooms, max_body=1 << 20))
    small = TestClient(app)
    headers = {"Content-Type": "application/json"}
    assert small.post("/v1/ingest/market.ticks", content=b"[" + b" " * (1 << 20), headers=headers).status_code == 413
    chunks = (b"[" + b" " * 400_000 for _ in range(4))
    assert small.post("/v1/ingest/market.ticks", content=chunks, headers=headers).status_code == 413
    assert rooms.log.topics() == []
