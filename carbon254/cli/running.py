"""Taking payloads through the flow from a command: by opening the workspace, or beside a node that runs it.

Beside a running node the command fetches into the shared log, and the node carries; the command waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import typer

from carbon254.app import Node, base_urls, open_named_log, open_node
from carbon254.clock import Clock, ServerClock, SystemClock
from carbon254.engine.feedrun import FeedRunner
from carbon254.feeds import feed as find
from carbon254.feeds.budget import open_budget
from carbon254.feeds.http import Fetcher
from carbon254.ingest import Arrived, Inbox
from carbon254.pipeline import fetch, trouble_of
from carbon254.stores.ledger import open_ledger
from carbon254.stores.log import Log
from carbon254.stores.raw import open_raw
from carbon254.telemetry import Metrics
from carbon254.workspace import Workspace

from .beside import wait_until_carried
from .console import complain, progress, say, secrets, settings_of, show
from .origin import keep_apart


@dataclass
class Result:
    """What one feed's run came to."""

    feed: str
    new: int = 0
    repeated: int = 0
    unpublished: int = 0
    failed: int = 0
    rows: int = 0
    rejected: int = 0
    held: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass
class Desk:
    """What a command works with: the log and the inbox, and the node where it was opened here."""

    workspace: Workspace
    log: Log
    inbox: Inbox
    fetcher: Fetcher
    clock: Clock
    node: Node | None
    checks: FeedRunner
    before: dict[str, tuple[int, int]] = field(default_factory=dict)

    def carry(self) -> None:
        """Carry what is pending to every store, or wait until the running node has."""
        if self.node is not None:
            self.node.runner.drain()
        else:
            wait_until_carried(self.workspace, self.log)

    def counts(self, feed: str) -> tuple[int, int]:
        """(end of the log, letters of the feed): where counting starts."""
        return self.log.end_offset(), self.log.count_letters(f"dlq.{feed}")


@contextmanager
def opened(workspace: Path, emulator_url: str = "") -> Iterator[Desk]:
    """A desk on `workspace`, beside its running node where there is one."""
    settings = settings_of(workspace, emulator_url=emulator_url)
    folder = Workspace(workspace)
    if folder.running() is None:
        with open_node(settings, secrets()) as node:
            keep_apart(node.workspace, node.log, node.raw, settings)
            pipeline = node.pipeline
            yield Desk(folder, node.log, pipeline.inbox, pipeline.fetcher, node.clock, node, pipeline.checks)
        return
    clock = ServerClock() if settings.emulator_url else SystemClock()
    log = open_named_log(settings, folder)
    ledger = open_ledger(settings.ledger_at(folder.path("ledger.db")))
    try:
        fetcher = Fetcher(base_urls(settings), secrets(), clock, open_budget(folder.path("budget.db")))
        raw = open_raw(settings.raw_at(folder.path("raw")), settings.s3_endpoint)
        keep_apart(folder, log, raw, settings)
        inbox = Inbox(raw, log, Metrics())
        yield Desk(folder, log, inbox, fetcher, clock, None, FeedRunner(ledger, clock))
    finally:
        ledger.close()
        log.close()


def from_files(desk: Desk, feed: str, files: Sequence[Path]) -> Result:
    """Put files in the inbox."""
    result, desk.before[feed] = Result(feed), desk.counts(feed)
    with progress(feed, len(files)) as advance:
        for done, path in enumerate(files, start=1):
            data = path.read_bytes()
            empty = find(feed).unpublished(path.name, data)
            _, new = desk.inbox.accept(Arrived(feed, data, path.name, desk.clock.now()))
            result.unpublished += bool(empty)
            result.new += new and not empty
            result.repeated += not new and not empty
            advance(done)
    return result


def from_provider(desk: Desk, feed: str, start: datetime, end: datetime, locations: Sequence[str] = ()) -> Result:
    """Ask the provider for [start, end)."""
    result, desk.before[feed] = Result(feed), desk.counts(feed)
    with progress(feed) as advance:
        asked = fetch(desk.fetcher, desk.inbox, feed, start, end, locations)
        checked = desk.checks.around(find(feed).stream, start, end, asked, trouble_of)
        for done, fetched in enumerate(checked, start=1):
            setattr(result, fetched.state, getattr(result, fetched.state) + 1)
            if fetched.state == "failed":
                result.errors.append(fetched.error)
            advance(done)
    return result


def settle(desk: Desk, result: Result) -> Result:
    """Count the rows and letters that came of it."""
    after, letters = desk.before[result.feed]
    result.rows = sum(record.headers["rows"] for record in desk.log.scan(f"rows.{result.feed}", after))
    held = desk.log.scan(f"held.{result.feed}", after)
    result.held = sum(record.headers["rows"] for record in held if not (record.key or "").startswith("resolved-"))
    result.rejected = desk.log.count_letters(f"dlq.{result.feed}") - letters
    return result


def report(desk: Desk, results: Sequence[Result], as_json: bool) -> None:
    """Print what the runs came to."""
    settled = [settle(desk, result) for result in results]
    if as_json:
        typer.echo(json.dumps([vars(result) for result in settled]))
        return
    names = ("feed", "new", "repeated", "unpublished", "failed", "rows", "rejected")
    show(names, [[getattr(result, name) for name in names] for result in settled])
    for result in settled:
        for error in result.errors[:3]:
            complain(f"{result.feed}: {error}")
        if result.rejected:
            say(f"see why: c254 dlq list --feed {result.feed}")
        if result.held:
            say(f"{result.held:,} rows are held back by quality checks: c254 quality held --feed {result.feed}")
