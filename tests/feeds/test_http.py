"""Polite fetching, against a real server on this machine and a clock turned by hand."""

from __future__ import annotations

import gzip
import random
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from loopback import ASK, KEYED, NOW, SPP, Desk, Script, Server, says

from carbon254.clock import ManualClock
from carbon254.errors import CircuitOpen, FetchFailed, NotPublished, TransientError
from carbon254.feeds import http
from carbon254.feeds.budget import open_budget
from carbon254.feeds.http import Fetcher

Packer = Callable[[bytes], bytes]


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


def test_a_host_that_nobody_answers_for_is_tried_again_and_then_left_alone(clock: ManualClock, tmp_path: Path) -> None:
    gone = Server()
    gone.server_close()
    budget = open_budget(tmp_path / "b.db")
    made = Fetcher({"spp": gone.url}, {}, clock, budget, 5, attempts=5, wait_initial_s=0.001)
    with pytest.raises(TransientError, match="ConnectError"):
        made.get(SPP, ASK)
    with pytest.raises(CircuitOpen):
        made.get(SPP, ASK)
    made.close()


def test_an_open_circuit_is_one_hosts_own_and_outlives_a_restart(
    server: Server, clock: ManualClock, tmp_path: Path
) -> None:
    stands_in = {"spp": server.url, "keyed": server.url}
    made = Fetcher(stands_in, {}, clock, open_budget(tmp_path / "b.db"), attempts=5, wait_initial_s=0.001)
    server.scripts = [says(500)]
    with pytest.raises(TransientError):
        made.get(SPP, ASK)
    assert len(server.calls) == 5
    made.close()
    again = Fetcher(stands_in, {}, clock, open_budget(tmp_path / "b.db"), attempts=1)
    server.scripts = [says(200, b"ok")]
    with pytest.raises(CircuitOpen):
        again.get(SPP, ASK)
    assert again.get(KEYED, ASK).data == b"ok"
    assert len(server.calls) == 6
    again.close()


def test_a_circuit_that_is_tried_after_its_rest_opens_again_at_the_first_failure(
    server: Server, clock: ManualClock, tmp_path: Path
) -> None:
    made = Fetcher({"spp": server.url}, {}, clock, open_budget(tmp_path / "b.db"), attempts=1)
    server.scripts = [says(500)]
    for _ in range(5):
        with pytest.raises(TransientError, match="500"):
            made.get(SPP, ASK)
    for rested, calls in ((50, 5), (15, 6), (50, 6), (15, 7)):
        clock.sleep(rested)
        with pytest.raises(TransientError):
            made.get(SPP, ASK)
        assert len(server.calls) == calls
    clock.sleep(61)
    server.scripts = [says(200), says(500)]
    made.get(SPP, ASK)
    # Healed: the count begins anew.
    for _ in range(4):
        with pytest.raises(TransientError, match="500"):
            made.get(SPP, ASK)
    assert len(server.calls) == 12
    made.close()


def test_a_body_that_never_ends_is_cut(fetcher: Fetcher, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()

    def pours(desk: Desk) -> None:
        desk.send_response(200)
        desk.end_headers()
        try:
            while True:
                desk.wfile.write(b"x" * 65_536)
        except OSError:
            stopped.set()

    monkeypatch.setattr(http, "MAX_BYTES", 1 << 20)
    server.scripts = [pours]
    with pytest.raises(FetchFailed, match="exceeds 1,048,576 bytes"):
        fetcher.get(SPP, ASK)
    assert stopped.wait(5) and len(server.calls) == 1


def test_the_validators_are_of_one_address_and_outlive_a_restart(
    server: Server, clock: ManualClock, tmp_path: Path
) -> None:
    stamp = "Tue, 01 Jul 2025 00:00:00 GMT"
    server.scripts = [says(200, b"v1", ETag='"1"', Last_Modified=stamp), says(304)]
    first = Fetcher({"spp": server.url}, {}, clock, open_budget(tmp_path / "b.db"))
    first.remember(first.get(SPP, ASK))
    first.close()
    again = Fetcher({"spp": server.url}, {}, clock, open_budget(tmp_path / "b.db"))
    assert (again.get(SPP, ASK).not_modified, again.get(SPP, ASK).data) == (True, b"")
    again.get(SPP, replace(ASK, params={"path": "/other.csv"}))
    sent = [(call[1].get("If-None-Match"), call[1].get("If-Modified-Since")) for call in server.calls]
    assert sent == [(None, None), ('"1"', stamp), ('"1"', stamp), (None, None)]
    again.close()


def test_the_fetcher_keeps_the_cards_interval_also_across_a_restart(
    server: Server, clock: ManualClock, tmp_path: Path
) -> None:
    provider, moments = replace(SPP, base_url=server.url, min_interval_s=5.0, burst=2), []
    for _ in range(2):
        made = Fetcher({}, {}, clock, open_budget(tmp_path / "b.db"))
        for _ in range(3):
            made.get(provider, ASK)
            moments.append(clock.elapsed_s)
        made.close()
    assert moments == [0.0, 0.0, 5.0, 10.0, 15.0, 20.0]


@pytest.mark.parametrize("trouble", [says(200, b"not gzip", Content_Encoding="gzip"), says(408)])
def test_a_spoilt_answer_is_tried_again(fetcher: Fetcher, server: Server, trouble: Script) -> None:
    server.scripts = [trouble, says(200, b"whole")]
    assert fetcher.get(SPP, ASK).data == b"whole"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "waited"), [("40", 40.0), ("Tue, 01 Jul 2025 00:00:42 GMT", 42.0), ("9999", 300.0), ("soon", 5.0)]
)
def test_the_pause_that_a_provider_asks_for_is_kept(
    fetcher: Fetcher, server: Server, clock: ManualClock, status: int, asked: str, waited: float
) -> None:
    server.scripts = [says(status, Retry_After=asked), says(200, b"ok")]
    fetcher.get(SPP, ASK)
    assert clock.elapsed_s == waited


def test_pauses_grow_and_go_through_the_clock(server: Server, clock: ManualClock, tmp_path: Path) -> None:
    server.scripts = [says(500)]
    made = Fetcher({"spp": server.url}, {}, clock, open_budget(tmp_path / "b.db"), attempts=4, wait_initial_s=10.0)
    began = time.monotonic()
    with pytest.raises(TransientError, match="500"):
        made.get(SPP, ASK)
    assert 10 + 20 + 30 <= clock.elapsed_s <= 1.5 * (10 + 20 + 30)
    assert time.monotonic() - began < 10
    made.close()


def test_the_circuit_stops_a_call_that_is_at_it_and_lets_one_probe_through(
    server: Server, clock: ManualClock, tmp_path: Path
) -> None:
    server.scripts = [says(500)]
    made = Fetcher({"spp": server.url}, {}, clock, open_budget(tmp_path / "b.db"), attempts=20, wait_initial_s=0.001)
    for calls in (5, 6):
        with pytest.raises(CircuitOpen):
            made.get(SPP, ASK)
        assert len(server.calls) == calls
        clock.sleep(61)
    made.close()


def test_an_answer_that_drips_for_ever_is_given_up(fetcher: Fetcher, server: Server, clock: ManualClock) -> None:
    def drip(desk: Desk) -> None:
        desk.send_response(200)
        desk.send_header("Content-Length", "1000000")
        desk.end_headers()
        for _ in range(5):
            desk.wfile.write(b"x" * 100)
            desk.wfile.flush()
            time.sleep(0.05)
            clock.sleep(400)

    server.scripts = [drip]
    with pytest.raises(TransientError, match="not whole after"):
        fetcher.get(SPP, ASK)


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: float) -> None:
        raise AssertionError("a real sleep")

    monkeypatch.setattr(time, "sleep", refused)


def test_every_pause_is_the_clocks_and_is_spread_by_the_random_source_handed_in(
    server: Server, clock: ManualClock, tmp_path: Path, no_sleep: None
) -> None:
    provider, elapsed = replace(SPP, base_url=server.url, min_interval_s=7.0), []
    for number, seed in enumerate((1, 1, 2)):
        server.scripts = [says(500), says(429, Retry_After="40"), says(503), says(200, b"ok")]
        budget, began = open_budget(tmp_path / f"{number}.db"), clock.elapsed_s
        made = Fetcher({}, {}, clock, budget, attempts=4, wait_initial_s=20.0, rng=random.Random(seed))
        assert made.get(provider, ASK).data == b"ok"
        elapsed.append(round(clock.elapsed_s - began, 3))
        made.close()
    source = random.Random(1)
    grown = 20 * source.uniform(1, 1.5) + 30 * source.uniform(1, 1.5)
    assert elapsed[0] == elapsed[1] == pytest.approx(grown + 40, abs=0.01)
    assert elapsed[2] != elapsed[0]


@pytest.mark.parametrize("asked", ["\u00b2", "-5", "1e9", "9" * 400, "Tue, 01 Jul 2025 00:00:09 -0000", "+"])
def test_a_strange_retry_after_is_a_bounded_pause(
    fetcher: Fetcher, server: Server, clock: ManualClock, asked: str, no_sleep: None
) -> None:
    server.scripts = [says(429, Retry_After=asked), says(200, b"ok")]
    assert fetcher.get(SPP, ASK).data == b"ok"
    assert 0 <= clock.elapsed_s <= 300


def test_a_circuit_that_opens_during_a_call_says_what_was_wrong(
    server: Server, clock: ManualClock, tmp_path: Path
) -> None:
    server.scripts = [says(500, b"out of order")]
    made = Fetcher({"spp": server.url}, {}, clock, open_budget(tmp_path / "b.db"), attempts=9, wait_initial_s=0.001)
    with pytest.raises(CircuitOpen, match="failed 5 times") as opened:
        made.get(SPP, ASK)
    assert "out of order" in str(opened.value.__cause__)
    made.close()


def test_a_clock_that_was_put_right_leaves_no_host_alone_for_ever(
    fetcher: Fetcher, server: Server, clock: ManualClock
) -> None:
    server.scripts = [says(500)]
    for _ in range(2):
        with pytest.raises(TransientError):
            fetcher.get(SPP, ASK)
    clock.instant -= timedelta(hours=2)
    server.scripts = [says(200, b"ok")]
    assert fetcher.get(SPP, ASK).data == b"ok"


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("", bytes)]
)
def test_a_packed_answer_is_the_answer(fetcher: Fetcher, server: Server, encoding: str, pack: Packer) -> None:
    server.scripts = [says(200, pack(b"1,2\n" * 1_000), **({"Content_Encoding": encoding} if encoding else {}))]
    assert fetcher.get(SPP, ASK).data == b"1,2\n" * 1_000


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_short_answer_that_would_fill_memory_is_refused(
    fetcher: Fetcher, server: Server, encoding: str, pack: Packer
) -> None:
    server.scripts = [says(200, pack(bytes(64 << 20)), Content_Encoding=encoding)]
    with pytest.raises(FetchFailed, match="exceeds"):
        fetcher.get(SPP, ASK)
    assert len(server.calls) == 1


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
def test_an_encoding_that_was_not_asked_for_is_refused(fetcher: Fetcher, server: Server, encoding: str) -> None:
    server.scripts = [says(200, b"whatever", Content_Encoding=encoding)]
    with pytest.raises(FetchFailed, match="was not asked for"):
        fetcher.get(SPP, ASK)
