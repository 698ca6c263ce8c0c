"""Reading the ledger and the log for people: beside a running node too, for both are shared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carbon254.errors import WorkspaceError
from carbon254.feeds import feeds
from carbon254.stores.ledger import Ledger, open_ledger
from carbon254.stores.log import Log, open_log
from carbon254.workspace import Workspace

from .beside import CONSUMERS
from .console import out, settings_of, show, stamp


@contextmanager
def books(workspace: Path) -> Iterator[tuple[Ledger, Log]]:
    """The ledger and the log of a workspace. Raises WorkspaceError where there is none."""
    folder = Workspace(workspace)
    if not folder.path("log.db").exists():
        raise WorkspaceError(f"there is no workspace at {folder.root}; make one with: c254 demo")
    ledger = open_ledger(settings_of(workspace).ledger_url or f"sqlite:///{folder.path('ledger.db')}")
    log = open_log(folder.path("log.db"))
    try:
        yield ledger, log
    finally:
        ledger.close()
        log.close()


def entries(workspace: Path, feed: str, partition: str, state: str, limit: int) -> None:
    """Rows of the ledger."""
    with books(workspace) as (ledger, _):
        found = ledger.entries(feed or None, partition or None, state or None, limit)
    rows = [(e.feed, e.partition, e.state, e.build, e.payloads, e.rows, e.watermark, e.error) for e in found]
    show(("feed", "partition", "state", "build", "payloads", "rows", "watermark", "error"), rows)


def standing(workspace: Path, feed: str) -> None:
    """Totals of every feed, and of one feed also its last partitions."""
    with books(workspace) as (ledger, log):
        totals = ledger.totals()
        names = [feed] if feed else [name for name in sorted(feeds()) if name in totals or _open(log, name)]
        rows = []
        for name in names:
            payloads, count, mark = totals.get(name, (0, 0, None))
            rows.append((name, payloads, count, mark, _open(log, name)))
        lags = {name: log.lag(name, prefix) for name, prefix in CONSUMERS.items()}
    show(("feed", "batches", "rows", "watermark", "open letters"), rows)
    out.print("to carry: " + ", ".join(f"{name} {lag:,}" for name, lag in lags.items()), highlight=False)
    if feed:
        entries(workspace, feed, "", "", 10)


def newest(workspace: Path, feed: str, partition: str) -> None:
    """The watermark of a feed or one of its partitions."""
    with books(workspace) as (ledger, _):
        mark = ledger.watermark(feed, partition or None)
    if mark is None:
        raise WorkspaceError(f"nothing of {feed} has been received{f' for {partition}' if partition else ''} yet")
    out.print(stamp(mark), highlight=False)


def _open(log: Log, feed: str) -> int:
    return log.count_letters(f"dlq.{feed}", "open")
