"""The doctor knows its own node, and asks providers politely; settings set to nothing are not set; dates stay dates."""

from __future__ import annotations

import http.server
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from shell import clean, samples, typed

from carbon254.cli import node as starting
from carbon254.cli.answering import answers
from carbon254.cli.ports import EMULATOR_PORT, listener
from carbon254.feeds import feeds
from carbon254.model import Provider
from carbon254.settings import Settings, load_settings
from carbon254.workspace import Workspace

PROVIDER = next(iter(feeds().values())).stream.provider


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    """A host that answers every request with a status; and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/base", asked
    finally:
        server.shutdown()
        server.server_close()


def named(name: str, url: str) -> dict[str, tuple[Provider, str]]:
    return {name: (replace(PROVIDER, id=name, name=name), url)}


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [(200, "ok", "answers in"), (403, "ok", "answers in"), (404, "ok", "answers in"), (405, "ok", "answers in"),
     (429, "warn", "asks us to wait"), (503, "warn", "in trouble (503)")],
)  # fmt: skip
def test_a_provider_that_answers_is_asked_once(status: int, verdict: str, words: str) -> None:
    with answering(status) as (url, asked):
        ((found, what, _),) = answers(named("A", url), lambda *_: 0.0)
    assert (found, asked) == (verdict, ["/base"]) and words in what


def test_a_provider_whose_budget_is_used_up_is_not_asked() -> None:
    with answering(200) as (url, asked):
        ((found, what, _),) = answers(named("A", url), lambda *_: 7.0)
    assert (found, asked) == ("ok", []) and "its budget allows the next call in 7 s" in what


@pytest.mark.slow
def test_silence_is_told_and_keeps_nobody_waiting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, answering(200) as (url, _):
        port = silent.getsockname()[1]
        both = named("Silent", f"http://127.0.0.1:{port}") | named("Well", url)
        found = {what.split(":")[0]: verdict for verdict, what, _ in answers(both, lambda *_: 0.0)}
    assert found == {"Silent": "warn", "Well": "ok"}
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    ((verdict, what, _),) = answers(named("Gone", f"http://127.0.0.1:{port}"), lambda *_: 0.0)
    assert verdict == "warn" and "does not answer" in what


def test_without_a_network_there_is_one_line_that_says_so() -> None:
    places = named("A", "https://a.invalid") | named("B", "https://b.invalid")
    ((verdict, what, _),) = answers(places, lambda *_: 0.0)
    assert verdict == "warn" and "no name can be looked up here" in what


def test_the_doctor_tells_its_own_nodes_port_from_a_strangers(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    with socket.create_server(("127.0.0.1", 0)) as held, answering(200) as (url, _):
        port = held.getsockname()[1]
        env = {"C254_PORT": str(port), "C254_EMULATOR_URL": url}
        assert f"port {port} is taken by" in typed("doctor", "-w", workspace.root, **env).out
        workspace.claim()
        workspace.announce(f"http://127.0.0.1:{port}")
        try:
            said = typed("doctor", "-w", workspace.root, **env)
        finally:
            workspace.release()
    assert f"port {port} is held by this workspace's own node" in said.out and f"port {port} is taken" not in said.out
    providers = {found.stream.provider.name for found in feeds().values() if found.stream.provider.base_url}
    assert all(f"ok    {name}: 127.0.0.1 answers in" in said.out for name in providers), said.out


def test_every_setting_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"C254_{name.upper()}", "")
    for name in ("ENV", "LOG_LEVEL", "CLICKHOUSE_URL", "POSTGRES_DSN", "KAFKA_BOOTSTRAP", "REDIS_URL"):
        monkeypatch.setenv(f"DATA_PROC_{name}", "")
    assert load_settings() == plain


def test_commands_take_empty_variables_for_unset(tmp_path: Path) -> None:
    empty = dict.fromkeys(("C254_PORT", "C254_EMULATOR_URL", "C254_HOT_URL", "C254_TTL_DAYS", "C254_BASE_URLS"), "")
    said = typed("feeds", "list", "-w", tmp_path, C254_WORKSPACE="", **empty)
    assert said.code == 0, said


def test_a_node_that_seeks_a_port_leaves_the_emulators_alone() -> None:
    taken = []
    try:
        for port in range(EMULATOR_PORT - 3, EMULATOR_PORT):
            try:
                taken.append(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
        with listener("127.0.0.1", EMULATOR_PORT - 3, explicit=False) as found:
            assert found.getsockname()[1] > EMULATOR_PORT
    finally:
        for one in taken:
            one.close()


def test_an_emulator_on_a_taken_port_is_one_clean_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        clean(typed("emulator", "--port", str(port)), 1, f"port {port} is taken by", "--port 0")


@pytest.mark.slow
def test_how_far_a_feed_of_dates_has_come_is_a_date(tmp_path: Path) -> None:
    path = samples("eia")[0]
    assert typed("feeds", "run", "--feed", "energy.spot.eia", "--file", path, "-w", tmp_path / "ws").code in (0, 3)
    mark = typed("feeds", "watermark", "--feed", "energy.spot.eia", "-w", tmp_path / "ws").out.strip()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", mark), mark
    for words in (["status"], ["feeds", "status", "--feed", "energy.spot.eia"]):
        said = typed(*words, "-w", tmp_path / "ws")
        assert mark in said.out and f"{mark}T" not in said.out, said
    told = json.loads(typed("feeds", "status", "--feed", "energy.spot.eia", "--json", "-w", tmp_path / "ws").out)
    assert mark in json.dumps(told) and f"{mark}T" not in json.dumps(told)


def child(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code])


@pytest.mark.slow
def test_a_start_is_waited_for_while_it_moves_and_given_up_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Workspace(tmp_path)
    monkeypatch.setattr(starting, "_STALLED_S", 0.5)
    idle = child("import time; time.sleep(600)")
    try:
        with pytest.raises(TimeoutError, match="neither worked nor wrote anything"):
            starting._started(folder, idle)
    finally:
        idle.kill()
        idle.wait()
    busy = child("while True: pass")
    ender = threading.Timer(3.0, busy.kill)
    ender.start()
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=rf"signal {signal.SIGKILL.value} \(SIGKILL\) ended it"):
        starting._started(folder, busy)
    assert time.monotonic() - began > 2.5
    with pytest.raises(TimeoutError, match="it ended with 7"):
        starting._started(folder, child("raise SystemExit(7)"))
    monkeypatch.setattr(starting, "_LONGEST_S", 0.2)
    late = child("while True: pass")
    try:
        with pytest.raises(TimeoutError, match="works still"):
            starting._started(folder, late)
    finally:
        late.kill()
        late.wait()


def test_what_a_failed_start_wrote_is_shown_and_nothing_of_an_earlier_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "node.log"
    log.write_bytes(b"an earlier start\n")
    starting._show_last(log, log.stat().st_size)
    assert "it wrote nothing" in capsys.readouterr().err
    begin = log.stat().st_size
    with log.open("ab") as more:
        more.write(b"opening\nerror: the reason\n")
    starting._show_last(log, begin)
    shown = capsys.readouterr().err
    assert "error: the reason" in shown and "earlier" not in shown
