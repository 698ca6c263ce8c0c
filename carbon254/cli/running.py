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

from carbon254.app import Node, open_node
from carbon254.clock import Clock, ServerClock, SystemClock
from carbon254.connections import base_urls, open_named_log
from carbon254.engine.feedrun import FeedRunner
from carbon254.feeds import feed as find
from carbon254.feeds.budget import open_budget
from carbon254.feeds.http import Fetcher
from carbon254.ingest import Accepted, Arrived, Inbox
from carbon254.model.arrival import arrival_in, arrival_number
from carbon254.pipeline import fetch, keyless, trouble_of
from carbon254.stores.ledger import FATES, Counts, Ledger, open_ledger
from carbon254.stores.log import Log, records_of
from carbon254.stores.raw import open_raw
from carbon254.telemetry import Metrics
from carbon254.workspace import Workspace

from .beside import wait_until_carried
from .console import complain, progress, say, secrets, settings_of, show
from .origin import keep_apart

_AT_ONCE = 500


@dataclass
class Result:
    """What one feed's run came to: payloads by what became of them, and the records of the new ones.

    `records` is the sum of the five below it; `rows` are the rows that went out of them.
    """

    feed: str
    new: int = 0
    repeated: int = 0
    unpublished: int = 0
    failed: int = 0
    records: int = 0
    stored: int = 0
    confirmed: int = 0
    duplicate: int = 0
    rejected: int = 0
    held: int = 0
    rows: int = 0
    letters: int = 0
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
    ledger: Ledger
    mine: dict[str, dict[str, int]] = field(default_factory=dict)

    def accept(self, arrived: Arrived) -> bool:
        """Put a payload in the inbox; whether it is new."""
        taken = self.inbox.take(arrived)
        self.keep(arrived.topic, taken)
        return taken.new

    def keep(self, feed: str, taken: Accepted | None) -> None:
        """Remember an arrival of ours, and its record in the raw log."""
        if taken is not None and taken.offset is not None:
            self.mine.setdefault(feed, {})[taken.arrival] = taken.offset

    def carry(self) -> None:
        """Carry what is pending to every store, or wait until the running node has carried what is ours."""
        if self.node is not None:
            self.node.runner.drain()
        else:
            wait_until_carried(self.workspace, self.log, self.mine)

    def counts(self, feed: str) -> list[Counts]:
        """What became of the records of our payloads."""
        numbers = [arrival_number(feed, arrival) for arrival in self.mine.get(feed, ())]
        parts = [numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE)]
        return [one for part in parts for one in self.ledger.counts(feed, part, len(part))]


@contextmanager
def opened(workspace: Path, emulator_url: str = "") -> Iterator[Desk]:
    """A desk on `workspace`, beside its running node where there is one."""
    settings = settings_of(workspace, emulator_url=emulator_url)
    folder = Workspace(workspace)
    if folder.running() is None:
        with open_node(settings, secrets()) as node:
            keep_apart(node.workspace, node.log, node.raw, settings)
            pipeline = node.pipeline
            yield Desk(
                folder, node.log, pipeline.inbox, pipeline.fetcher, node.clock, node, pipeline.checks, node.ledger
            )
        return
    clock = ServerClock() if settings.emulator_url else SystemClock()
    log = open_named_log(settings, folder)
    ledger = open_ledger(settings.ledger_at(folder.path("ledger.db")))
    try:
        fetcher = Fetcher(base_urls(settings), secrets(), clock, open_budget(folder.path("budget.db")))
        raw = open_raw(settings.raw_at(folder.path("raw")), settings.s3_endpoint)
        keep_apart(folder, log, raw, settings)
        inbox = Inbox(raw, log, Metrics())
        yield Desk(folder, log, inbox, fetcher, clock, None, FeedRunner(ledger, clock), ledger)
    finally:
        ledger.close()
        log.close()


def from_files(desk: Desk, feed: str, files: Sequence[Path]) -> Result:
    """Put files in the inbox."""
    result = Result(feed)
    with progress(feed, len(files)) as advance:
        for done, path in enumerate(files, start=1):
            data = path.read_bytes()
            empty = find(feed).unpublished(path.name, data)
            new = desk.accept(Arrived(feed, data, path.name, desk.clock.now()))
            result.unpublished += bool(empty)
            result.new += new and not empty
            result.repeated += not new and not empty
            advance(done)
    return result


def from_provider(
    desk: Desk, feed: str, start: datetime, end: datetime, locations: Sequence[str] = (), public: bool = False
) -> Result:
    """Ask the provider for [start, end); with `public`, or without a key, for the files that need none."""
    result, stream = Result(feed), find(feed).stream
    if stream.public is not None and (public or keyless(desk.fetcher, stream)):
        names = " and ".join(stream.provider.access.env)
        why = "--public" if public else f"{names} are not set"
        result.notes.append(
            f"{feed}: {why}: {stream.provider.name}'s public files are asked for ({stream.public.files})"
        )
    with progress(feed) as advance:
        asked = fetch(desk.fetcher, desk.inbox, feed, start, end, locations, public)
        checked = desk.checks.around(stream, start, end, asked, trouble_of)
        for done, fetched in enumerate(checked, start=1):
            setattr(result, fetched.state, getattr(result, fetched.state) + 1)
            desk.keep(feed, fetched.taken)
            if fetched.state == "failed":
                result.errors.append(fetched.error)
            advance(done)
    return result


def settle(desk: Desk, result: Result) -> Result:
    """Count what became of the records of our payloads of a feed."""
    counts = desk.counts(result.feed)
    for name in ("records", *FATES, "letters"):
        setattr(result, name, sum(getattr(one, name) for one in counts))
    if counts:
        mine = desk.mine[result.feed]
        rows = records_of(desk.log, f"rows.{result.feed}", min(mine.values()))
        result.rows = sum(record.headers["rows"] for record in rows if arrival_in(record.headers) in mine)
    result.notes += [f"{one.name}: {one.note}" for one in sorted(counts, key=lambda one: one.received_at) if one.note]
    return result


def report(desk: Desk, results: Sequence[Result], as_json: bool) -> None:
    """Print what the runs came to."""
    settled = [settle(desk, result) for result in results]
    if as_json:
        typer.echo(json.dumps([vars(result) for result in settled]))
        return
    names = ("feed", "new", "repeated", "unpublished", "failed", "records", *FATES)
    show(names, [[getattr(result, name) for name in names] for result in settled])
    for result in settled:
        for error in result.errors[:3]:
            complain(f"{result.feed}: {error}")
        for note in result.notes[:3]:
            say(note)
        if result.letters:
            say(f"see why: c254 dlq list --feed {result.feed}")
        if result.held:
            say(f"{result.held:,} records are held back by quality checks: c254 quality held --feed {result.feed}")
