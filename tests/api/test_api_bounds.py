"""What can be exhausted, over a real server: turns, time, bytes, connections, streams."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import httpx2 as httpx
import pytest
from desk import MINUTES_5, NOON, prices
from serving import WAIT_S, connected, served, until

from carbon254.api.changes import Changes
from carbon254.api.connections import Patience
from carbon254.api.rooms import Rooms
from carbon254.api.turns import Allowed
from carbon254.stores.hot import Limits

ENDLESS = "SELECT sum(sipHash64(number)) AS x FROM numbers(1000000000000)"


def running(rooms: Rooms) -> int:
    """Statements of readers that the engine works on."""
    sql = "SELECT count() AS n FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%processes%'"
    return rooms.hot.fetch(sql)["n"][0].as_py()


def ask(url: str, sql: str, **more: object) -> httpx.Response:
    return httpx.post(f"{url}/v1/sql", json={"sql": sql, **more}, timeout=WAIT_S * 2)


@pytest.fixture
def url(rooms: Rooms) -> Iterator[str]:
    rooms.allowed = Allowed(running=2, waiting=4, seconds=12.0, streams=4, streams_each=3)
    with served(rooms) as found:
        yield found


@pytest.mark.slow
def test_many_slow_statements_have_turns_and_nothing_else_waits_for_them(rooms: Rooms, url: str) -> None:
    assert ask(url, "SELECT 1 AS x").json()["rows"] == [[1]]
    said: list[httpx.Response] = []
    asking = [threading.Thread(target=lambda: said.append(ask(url, ENDLESS))) for _ in range(30)]
    for thread in asking:
        thread.start()
    until(lambda: running(rooms) > 0)
    for path in ("/health", "/ready", "/metrics", "/v1/datasets", "/v1/feeds"):
        assert httpx.get(url + path, timeout=WAIT_S).status_code == 200, path
    assert running(rooms) <= 2
    for thread in asking:
        thread.join(WAIT_S * 2)
    told = Counter(answer.status_code for answer in said)
    assert set(told) == {400, 429} and told[429] >= 20, told
    for answer in said:
        if answer.status_code == 429:
            assert int(answer.headers["Retry-After"]) > 0
        else:
            assert "C254_QUERY_SECONDS" in answer.json()["detail"]
    until(lambda: running(rooms) == 0)
    assert ask(url, "SELECT 1 AS x").json()["rows"] == [[1]]


def test_a_statement_may_ask_for_less_time(rooms: Rooms, url: str) -> None:
    answer = ask(url, ENDLESS, seconds=0.5)
    assert answer.status_code == 400 and "0.5 s" in answer.json()["detail"]
    until(lambda: running(rooms) == 0)


def test_what_nobody_waits_for_any_more_is_stopped(rooms: Rooms) -> None:
    rooms.allowed = Allowed(seconds=600.0)
    with served(rooms) as url:
        body = json.dumps({"sql": ENDLESS}).encode()
        opened = connected(url)
        head = (
            f"POST /v1/sql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        opened.sendall(head.encode() + b"\r\n\r\n" + body)
        until(lambda: running(rooms) == 1)
        opened.close()
        until(lambda: running(rooms) == 0)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
def test_an_answer_beyond_the_bound_says_so(rooms: Rooms, url: str, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(rooms.hot._readers, "limits", Limits(answer_bytes=3 << 20, memory_bytes=1 << 29))
    for sql in ("SELECT range(100000000) AS x", "SELECT range(3000000) AS x",
                "SELECT repeat('x', 1000000) AS x FROM numbers(70000)",
                "SELECT number, repeat('x', 1000) AS x FROM numbers(9000)"):  # fmt: skip
        answer = ask(url, sql, format=form)
        assert answer.status_code == 400, (sql, answer.status_code)
        assert "C254_ANSWER_MB" in answer.text or "memory limit" in answer.text, answer.text
    assert ask(url, "SELECT number FROM numbers(1000)", format=form).status_code == 200


@pytest.mark.slow
def test_a_head_that_does_not_come_is_not_waited_for(rooms: Rooms) -> None:
    with served(rooms, Patience(head_s=0.5, silence_s=0.5)) as url:
        for begun in (b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "):
            with connected(url) as opened:
                opened.sendall(begun)
                assert opened.recv(1000).startswith(b"HTTP/1.1 408"), begun
                assert opened.recv(1000) == b""
        with connected(url) as opened:
            head = b"POST /v1/sql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            opened.sendall(head + b"Content-Length: 90\r\n\r\n{")
            assert opened.recv(1000) == b""
        with connected(url) as opened:
            opened.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b"200 OK" in opened.recv(4000)


def test_connections_are_bounded(rooms: Rooms) -> None:
    with served(rooms, Patience(connections=3)) as url:
        opened = [connected(url) for _ in range(3)]
        with connected(url) as one_more:
            said = one_more.recv(1000)
            assert said.startswith(b"HTTP/1.1 503") and b"Retry-After" in said
        for one in opened:
            one.close()
        until(lambda: httpx.get(f"{url}/health", timeout=WAIT_S).status_code == 200)


def ended(opened: socket.socket) -> bool:
    try:
        return opened.recv(1 << 20) == b""
    except ConnectionResetError:
        return True


@pytest.mark.slow
def test_a_reader_that_takes_nothing_is_cut_off(rooms: Rooms) -> None:
    rooms.cache.put(prices(NOON, names=tuple(f"NODE_{n}" for n in range(20_000)), kind="node"))
    with served(rooms, Patience(reading_s=0.5)) as url, connected(url) as opened:
        opened.sendall(b"GET /v1/stream/prices HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        opened.recv(100)
        threading.Event().wait(2.0)
        # A stream has no end of its own: whichever way it ends, it was cut off.
        until(lambda: ended(opened))


def test_streams_are_bounded_for_one_reader_and_in_all(rooms: Rooms, url: str) -> None:
    with httpx.Client(base_url=url, timeout=WAIT_S) as one:
        opened = [one.stream("GET", "/v1/stream/prices") for _ in range(3)]
        lines = [stream.__enter__().iter_lines() for stream in opened]
        assert [next(one) for one in lines] == ["event: reset"] * 3
        refused = one.get("/v1/stream/prices")
        assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 0
        for stream in opened:
            stream.__exit__(None, None, None)


def heard(answer: httpx.Response) -> Iterator[tuple[str, str, object]]:
    """(id, event, data) of each event."""
    found = {"id": "", "event": "", "data": ""}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name in found:
            found[name] = value
        elif not line and found["event"]:
            yield found["id"], found["event"], json.loads(found["data"])
            found = {"id": "", "event": "", "data": ""}


def test_a_reader_goes_on_from_its_last_id(rooms: Rooms, url: str) -> None:
    with httpx.stream("GET", f"{url}/v1/stream/prices", timeout=WAIT_S) as answer:
        events = heard(answer)
        assert [next(events)[1] for _ in range(3)] == ["reset", "prices", "ticks"]
        rooms.cache.put(prices(NOON))
        last, _, _ = next(events)
    for step in range(1, 4):
        rooms.cache.put(prices(NOON + MINUTES_5 * step, lmp=float(step)))
    with httpx.stream("GET", f"{url}/v1/stream/prices", headers={"Last-Event-ID": last}, timeout=WAIT_S) as answer:
        told: list[float] = []
        for _, name, rows in heard(answer):
            assert name == "prices", "what was missed is told, and nothing anew"
            told += [row["lmp"] for row in rows]
            if told[-1] == 3.0:
                break
    assert told == sorted(told)
    for unknown in ("0-1", "nonsense", f"{last}999"):
        with httpx.stream(
            "GET", f"{url}/v1/stream/prices", headers={"Last-Event-ID": unknown}, timeout=WAIT_S
        ) as answer:
            assert next(heard(answer))[1:] == ("reset", {"missed": True})


def test_a_change_is_written_once_for_each_filter(rooms: Rooms, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Changes] = []
    follow = Changes.follow
    monkeypatch.setattr(Changes, "follow", lambda self, woken: kept.append(self) or follow(self, woken))
    with httpx.Client(base_url=url, timeout=WAIT_S) as one:
        opened = [one.stream("GET", "/v1/stream/prices", params=asked) for asked in ({}, {}, {"market": "SPP"})]
        all_events = [heard(stream.__enter__()) for stream in opened]
        for events in all_events:
            assert [next(events)[1] for _ in range(3)] == ["reset", "prices", "ticks"]
        rooms.cache.put(prices(NOON))
        assert len({next(events)[0] for events in all_events}) == 1
        [change] = kept[0].after(0) or []
        assert change.written == 2
        for stream in opened:
            stream.__exit__(None, None, None)
    until(lambda: kept[0].followers == 0)


def test_a_reader_far_behind_is_told_what_was_lost(rooms: Rooms) -> None:
    from carbon254.api.board import Board

    changes = Changes(rooms, Board(rooms), kept=4)
    for _ in range(6):
        changes._add([("prices", prices(NOON))])
    assert changes.after(0) is None and changes.after(1) is None
    assert [change.number for change in changes.after(2) or []] == [3, 4, 5, 6]
    assert changes.after(6) == []
