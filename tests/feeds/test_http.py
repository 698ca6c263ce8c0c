"""Polite fetching, against a real server on this machine and a clock turned by hand."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from carbon254.clock import ManualClock
from carbon254.errors import CircuitOpen, FetchFailed, NotPublished, TransientError
from carbon254.feeds import Request, feed, http
from carbon254.feeds.budget import open_budget
from carbon254.feeds.http import Fetcher
from carbon254.model import Access

NOW = datetime(2025, 7, 1, tzinfo=UTC)
SPP = feed("iso.rt.lmp.spp").stream.provider
KEYED = replace(
    SPP,
    id="keyed",
    base_url="https://keyed.invalid",
    access=Access("query", ("KEYED_API_KEY",), "api_key", "https://keyed.invalid/register"),
)
Script = Callable[["Desk"], None]


class Desk(BaseHTTPRequestHandler):
    """Answers each call with the next of the server's scripts; the last one stays."""

    def do_GET(self) -> None:
        scripts = self.server.scripts  # type: ignore[attr-defined]
        self.server.calls.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        (scripts.pop(0) if len(scripts) > 1 else scripts[0])(self)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def says(status: int, body: bytes = b"", length: int | None = None, **headers: str) -> Script:
    def answer(desk: Desk) -> None:
        desk.send_response(status)
        for name, value in headers.items():
            desk.send_header(name.replace("_", "-"), value)
        desk.send_header("Content-Length", str(len(body) if length is None else length))
        desk.end_headers()
        desk.wfile.write(body)

    return answer


class Server(ThreadingHTTPServer):
    """A loopback server with a script."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.scripts: list[Script] = [says(200, b"ok")]
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    threading.Thread(target=started.serve_forever, daemon=True).start()
    yield started
    started.shutdown()
    started.server_close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def fetcher(server: Server, clock: ManualClock, tmp_path: Path) -> Iterator[Fetcher]:
    stands_in = {"spp": server.url, "keyed": server.url}
    made = Fetcher(stands_in, {}, clock, open_budget(tmp_path / "budget.db"), 5, attempts=4, wait_initial_s=0.001)
    yield made
    made.close()


ASK = Request("/file", "subject", {"path": "/a b.csv"})


def test_an_answer_comes_with_its_address_and_the_clocks_time(fetcher: Fetcher, server: Server) -> None:
    answer = fetcher.get(SPP, ASK)
    assert (answer.data, answer.status, answer.received_at) == (b"ok", 200, NOW)
    assert answer.url.startswith(f"{server.url}/file?path=")


def test_404_is_not_published_and_never_opens_the_circuit(fetcher: Fetcher, server: Server) -> None:
    server.scripts = [says(404)]
    for _ in range(8):
        with pytest.raises(NotPublished):
            fetcher.get(SPP, ASK)
    server.scripts = [says(200, b"there")]
    assert fetcher.get(SPP, ASK).data == b"there"
    assert len(server.calls) == 9


def test_a_refused_key_names_the_variable_and_where_to_get_one(fetcher: Fetcher, server: Server) -> None:
    server.scripts = [says(401, b"no")]
    with pytest.raises(FetchFailed, match=r"KEYED_API_KEY.*keyed\.invalid/register"):
        fetcher.get(KEYED, ASK)
    assert len(server.calls) == 1


def test_a_missing_key_is_said_before_anybody_is_called(clock: ManualClock, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="KEYED_API_KEY"):
        Fetcher({}, {}, clock, open_budget(tmp_path / "b.db")).get(KEYED, ASK)


def test_a_key_travels_and_is_never_kept(server: Server, clock: ManualClock, tmp_path: Path) -> None:
    secrets = {"KEYED_API_KEY": "s3cret"}
    answer = Fetcher({"keyed": server.url}, secrets, clock, open_budget(tmp_path / "b.db")).get(KEYED, ASK)
    assert "api_key=s3cret" in server.calls[0][0]
    assert "s3cret" not in answer.url
    assert b"s3cret" not in (tmp_path / "b.db").read_bytes()


def test_retry_after_is_honoured(fetcher: Fetcher, server: Server, clock: ManualClock) -> None:
    server.scripts = [says(429, b"slow down", Retry_After="7"), says(200, b"ok")]
    assert fetcher.get(SPP, ASK).data == b"ok"
    assert (clock.now() - NOW).total_seconds() == 7


@pytest.mark.parametrize("trouble", [says(500), says(503), says(200, b"half", length=400)])
def test_what_may_pass_is_tried_again(fetcher: Fetcher, server: Server, trouble: Script) -> None:
    server.scripts = [trouble, trouble, says(200, b"whole")]
    assert fetcher.get(SPP, ASK).data == b"whole"
    assert len(server.calls) == 3


def test_attempts_are_bounded(fetcher: Fetcher, server: Server) -> None:
    server.scripts = [says(500, b"broken")]
    with pytest.raises(TransientError, match="500: broken"):
        fetcher.get(SPP, ASK)
    assert len(server.calls) == 4


def test_five_failures_open_the_circuit_and_a_minute_heals_it(
    fetcher: Fetcher, server: Server, clock: ManualClock
) -> None:
    server.scripts = [says(500)]
    for _ in range(2):
        with pytest.raises(TransientError):
            fetcher.get(SPP, ASK)
    calls = len(server.calls)
    with pytest.raises(CircuitOpen, match="left alone"):
        fetcher.get(SPP, ASK)
    assert len(server.calls) == calls
    server.scripts = [says(200, b"healed")]
    clock.sleep(61)
    assert fetcher.get(SPP, ASK).data == b"healed"


def test_only_a_stored_answer_is_asked_for_conditionally(fetcher: Fetcher, server: Server) -> None:
    server.scripts = [says(200, b"v1", ETag='"1"')]
    answer = fetcher.get(SPP, ASK)
    fetcher.get(SPP, ASK)
    assert "If-None-Match" not in server.calls[1][1]
    fetcher.remember(answer)
    server.scripts = [says(304)]
    assert fetcher.get(SPP, ASK).not_modified
    assert server.calls[2][1]["If-None-Match"] == '"1"'


def test_redirects_without_end_and_bodies_without_end_are_cut(
    fetcher: Fetcher, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.scripts = [says(302, Location="/again")]
    with pytest.raises(FetchFailed, match="redirects"):
        fetcher.get(SPP, ASK)
    monkeypatch.setattr(http, "MAX_BYTES", 10)
    server.scripts = [says(200, b"x" * 1_000)]
    with pytest.raises(FetchFailed, match="exceeds"):
        fetcher.get(SPP, ASK)


def test_other_refusals_carry_the_providers_words(fetcher: Fetcher, server: Server) -> None:
    server.scripts = [says(400, b"startdatetime is missing")]
    with pytest.raises(FetchFailed, match="startdatetime is missing"):
        fetcher.get(SPP, ASK)
    assert len(server.calls) == 1


def test_the_budget_spaces_calls_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "budget.db"
    waits = [open_budget(path).take("host", 5.0, 1, 1_000.0) for _ in range(4)]
    assert waits == [0.0, 5.0, 10.0, 15.0]
    assert open_budget(path).take("host", 5.0, 1, 1_100.0) == 0.0


def test_a_burst_is_allowed_and_then_spaced(tmp_path: Path) -> None:
    budget = open_budget(tmp_path / "budget.db")
    assert [budget.take("host", 5.0, 3, 1_000.0) for _ in range(5)] == [0.0, 0.0, 0.0, 5.0, 10.0]


def test_processes_together_never_exceed_the_budget(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from carbon254.feeds.budget import open_budget\n"
        f"b = open_budget(pathlib.Path({str(tmp_path / 'budget.db')!r}))\n"
        "for _ in range(20): print(b.take('host', 5.0, 1, 1000.0))"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    waits = sorted(float(line) for worker in workers for line in worker.communicate(timeout=60)[0].split())
    assert waits == [5.0 * n for n in range(60)]
