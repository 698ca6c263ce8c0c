"""Beside a node: a command waits while it carries, and says why when it does not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from carbon254.cli import beside
from carbon254.errors import TransientError
from carbon254.model.arrival import arrival_in
from carbon254.stores.log import Log, NewRecord, open_log
from carbon254.workspace import Workspace

FEED = "iso.rt.lmp.spp"
HEADERS = {"received_at": "2025-07-01T12:00:00+00:00", "sha256": "a" * 64}
OTHERS = HEADERS | {"sha256": "b" * 64}
OURS = {FEED: {arrival_in(HEADERS): 1}}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    folder = Workspace(tmp_path / "ws")
    folder.claim()
    yield folder
    folder.release()


@pytest.fixture
def log(workspace: Workspace) -> Iterator[Log]:
    """A log with one payload that nobody has carried, ours."""
    opened = open_log(workspace.path("log.db"))
    assert opened.append([NewRecord(f"raw.{FEED}", None, HEADERS, b"")]) == [1]
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_STEP_S", 0.01)
    monkeypatch.setattr(beside, "_ASK_AFTER_S", 0.05)
    monkeypatch.setattr(beside, "_PATIENCE_S", 0.5)


@pytest.fixture
def node(workspace: Workspace) -> Iterator[dict[str, str]]:
    """A server that is not ready for these reasons."""
    reasons: dict[str, str] = {}

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if reasons else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"reasons": reasons}).encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    workspace.announce(f"http://127.0.0.1:{server.server_address[1]}")
    yield reasons
    server.shutdown()
    thread.join()
    server.server_close()


def commit(log: Log) -> None:
    """The payload is carried: it made two rows and their counts, and every consumer has taken them on."""
    with log.transaction() as txn:
        txn.commit("normalise", f"raw.{FEED}", 1)
        made = txn.append([NewRecord(f"rows.{FEED}", None, HEADERS | {"rows": 2}, b""),
                           NewRecord(f"counts.{FEED}", None, HEADERS, b"")])  # fmt: skip
    carry(log, made, ("project", "lake"))


def carry(log: Log, made: list[int], consumers: tuple[str, ...]) -> None:
    with log.transaction() as txn:
        for consumer in consumers:
            txn.commit(consumer, f"rows.{FEED}", made[0])
        txn.commit("project", f"counts.{FEED}", made[1])


class Poller(threading.Thread):
    """Brings payloads of the same feed without a pause, as a node that polls does."""

    def __init__(self, log: Log) -> None:
        super().__init__(daemon=True)
        self.log, self.ended, self.brought = log, threading.Event(), 0

    def run(self) -> None:
        while not self.ended.is_set():
            self.log.append([NewRecord(f"raw.{FEED}", None, OTHERS, b"")])
            self.log.append([NewRecord(f"rows.{FEED}", None, OTHERS | {"rows": 1}, b"")])
            self.brought += 1
            self.ended.wait(0.002)


def test_it_returns_once_all_is_carried(workspace: Workspace, log: Log, node: dict[str, str]) -> None:
    later = threading.Timer(0.1, commit, [log])
    later.start()
    beside.wait_until_carried(workspace, log, OURS)
    later.join()
    assert log.lag("normalise", "raw.") == 0


def test_what_a_polling_node_brings_meanwhile_is_not_waited_for(
    workspace: Workspace, log: Log, node: dict[str, str]
) -> None:
    poller = Poller(log)
    poller.start()
    later = threading.Timer(0.3, commit, [log])
    later.start()
    beside.wait_until_carried(workspace, log, OURS)
    later.join()
    assert poller.brought > 3 and log.lag("normalise", "raw.") > 0 and log.lag("lake", "rows.") > 0
    poller.ended.set()
    poller.join()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("consumer", ["project", "lake"])
def test_a_consumer_that_leaves_our_rows_lying_is_named_though_the_node_moves_others(
    workspace: Workspace, log: Log, node: dict[str, str], consumer: str
) -> None:
    poller = Poller(log)
    with log.transaction() as txn:
        txn.commit("normalise", f"raw.{FEED}", 1)
        made = txn.append([NewRecord(f"rows.{FEED}", None, HEADERS | {"rows": 2}, b""),
                           NewRecord(f"counts.{FEED}", None, HEADERS, b"")])  # fmt: skip
    carry(log, made, tuple({"project", "lake"} - {consumer}))
    poller.start()
    with pytest.raises(TransientError, match=f"does not carry {consumer}; what was taken in is kept"):
        beside.wait_until_carried(workspace, log, OURS)
    poller.ended.set()
    poller.join()


def test_nothing_of_ours_is_nothing_to_wait_for(workspace: Workspace, log: Log) -> None:
    beside.wait_until_carried(workspace, log, {})
    beside.wait_until_carried(workspace, log, {FEED: {}})


def test_a_node_in_trouble_is_named_with_its_reason(workspace: Workspace, log: Log, node: dict[str, str]) -> None:
    node["normalise"] = "OSError: no space left"
    with pytest.raises(TransientError, match=r"trouble .normalise: OSError: no space left"):
        beside.wait_until_carried(workspace, log, OURS)


def test_a_node_that_moves_nothing_is_not_waited_for(workspace: Workspace, log: Log, node: dict[str, str]) -> None:
    with pytest.raises(TransientError, match="does not carry normalise; what was taken in is kept"):
        beside.wait_until_carried(workspace, log, OURS)


def test_a_node_too_busy_to_answer_is_not_in_trouble(workspace: Workspace, log: Log) -> None:
    with socket.create_server(("127.0.0.1", 0)) as refused:
        port = refused.getsockname()[1]
    workspace.announce(f"http://127.0.0.1:{port}")
    with pytest.raises(TransientError, match="does not carry normalise"):
        beside.wait_until_carried(workspace, log, OURS)


def test_a_node_that_has_stopped_is_not_waited_for(workspace: Workspace, log: Log) -> None:
    workspace.release()
    with pytest.raises(TransientError, match=r"has stopped.*c254 up"):
        beside.wait_until_carried(workspace, log, OURS)
