"""Reading the ledger and the log for people: beside a running node too, for both are shared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from carbon254.calendars import market_day_of
from carbon254.connections import open_named_log
from carbon254.errors import SettingsError, WorkspaceError
from carbon254.feeds import feeds
from carbon254.model import dataset
from carbon254.nearest import pick
from carbon254.stores.ledger import (
    FATES,
    Completeness,
    Counts,
    Entry,
    Ledger,
    LedgerStore,
    NotOffered,
    completeness,
    open_history,
    open_ledger,
)
from carbon254.stores.ledger.port import STATES
from carbon254.stores.log import Log
from carbon254.workspace import Workspace

from .beside import CONSUMERS
from .console import cell, market_day, out, settings_of, tell, to_read
from .standing import HEADS

BACKENDS = ("sqlite", "postgres", "clickhouse")
_LAST = 10


@contextmanager
def books(workspace: Path, backend: str = "") -> Iterator[tuple[LedgerStore, Log]]:
    """The ledger and the log of a workspace; the ledger on another backend where one is named.

    Raises WorkspaceError where there is no workspace, SettingsError where the backend has no address.
    """
    folder = Workspace(to_read(workspace))
    with _ledger(folder, backend) as ledger:
        log = open_named_log(settings_of(folder.root), folder)
        try:
            yield ledger, log
        finally:
            log.close()


@contextmanager
def _ledger(folder: Workspace, backend: str) -> Iterator[LedgerStore]:
    settings = settings_of(folder.root)
    backend = pick("backend", backend, BACKENDS) if backend else ""
    if backend == "clickhouse":
        from carbon254.stores.hot import open_hot

        hot = open_hot(settings.hot_at(folder.path("hot")))
        try:
            yield open_history(hot)
        finally:
            hot.close()
        return
    url = settings.ledger_url
    if backend == "postgres" and not url.startswith("postgres"):
        raise SettingsError("--backend postgres needs an address: set C254_LEDGER_URL=postgresql://user@host/database")
    if backend == "sqlite" or not url:
        url = f"sqlite:///{folder.path('ledger.db')}"
    ledger = open_ledger(url)
    try:
        yield ledger
    finally:
        ledger.close()


def entries(
    workspace: Path, feed: str, partition: str, state: str, limit: int, backend: str = "", as_json: bool = False
) -> None:
    """Rows of the ledger."""
    partition = market_day(partition).isoformat() if partition else ""
    state = pick("state", state, STATES) if state else ""
    with books(workspace, backend) as (ledger, _):
        found = ledger.entries(feed or None, partition or None, state or None, limit)
    rows = [
        (e.feed, e.partition, e.state, e.build, e.payloads, e.rows, _mark(e.feed, e.watermark), e.error) for e in found
    ]
    tell(("feed", "partition", "state", "build", "payloads", "rows", "watermark", "error"), rows, as_json)


def standing(workspace: Path, feed: str, backend: str = "", as_json: bool = False) -> None:
    """Totals of every feed; of one feed its last partitions, with what was due against what came."""
    with books(workspace, backend) as (ledger, log):
        totals = ledger.totals()
        names = [feed] if feed else [name for name in sorted(feeds()) if name in totals or _open(log, name)]
        rows = []
        for name in names:
            payloads, count, mark = totals.get(name, (0, 0, None))
            rows.append((name, payloads, count, _mark(name, mark), _open(log, name)))
        lags = {name: log.lag(name, prefix) for name, prefix in CONSUMERS.items()}
        last = [(entry, complete(ledger, entry, datetime.now(UTC))) for entry in ledger.entries(feed, limit=_LAST)]
    if feed and as_json:
        _partitions(last, as_json)
        return
    tell(HEADS, rows, as_json)
    if as_json:
        return
    out.print("records to carry: " + ", ".join(f"{name} {lag:,}" for name, lag in lags.items()), highlight=False)
    if feed:
        _partitions(last, as_json)


def _partitions(last: list[tuple[Entry, Completeness | None]], as_json: bool) -> None:
    rows = []
    for entry, found in last:
        told = (None,) * 5 if found is None else (
            found.expected, found.due, found.received, found.places, _percent(found.share)
        )  # fmt: skip
        mark = _mark(entry.feed, entry.watermark)
        state = (entry.partition, entry.state, entry.build, entry.payloads, entry.rows, mark)
        rows.append((*state, *told, entry.error))
    columns = (
        "partition", "state", "build", "payloads", "rows", "watermark",
        "intervals", "due", "received", "places", "complete", "error",
    )  # fmt: skip
    tell(columns, rows, as_json)


def complete(ledger: LedgerStore, entry: Entry, at: datetime) -> Completeness | None:
    """Expected against received of an entry; None where the feed has no intervals or the backend keeps none."""
    try:
        ledger.capability.require("cells")
    except NotOffered:
        return None
    assert isinstance(ledger, Ledger)
    cells = ledger.cells(entry.feed, entry.partition)
    return completeness(feeds()[entry.feed].stream, entry.partition, at, cells, ledger.places(cells))


def newest(workspace: Path, feed: str, partition: str, backend: str = "", as_json: bool = False) -> None:
    """The watermark of a feed or one of its partitions."""
    partition = market_day(partition).isoformat() if partition else ""
    with books(workspace, backend) as (ledger, _):
        mark = ledger.watermark(feed, partition or None)
    if mark is None:
        raise WorkspaceError(f"nothing of {feed} has been received{f' for {partition}' if partition else ''} yet")
    told = cell(_mark(feed, mark))
    if as_json:
        out.print_json(data={"feed": feed, "partition": partition or None, "watermark": told})
    else:
        out.print(told, highlight=False)


def trail(workspace: Path, feed: str, partition: str, limit: int, backend: str = "", as_json: bool = False) -> None:
    """Changes of state of one partition or of all, and acts; newest first."""
    partition = market_day(partition).isoformat() if partition else ""
    with books(workspace, backend) as (ledger, _):
        acts = ledger.trail(feed, partition or None, limit)
        changes = ledger.changes(feed, partition or None, limit)
        counts = ledger.counts(feed, limit=limit) if isinstance(ledger, Ledger) else []
    lines = [(one.at, "c254", one.state, feed, one.partition, one.note) for one in changes]
    lines += [line for one in counts if (line := _payload_line(one, partition))]
    lines += [(act.at, act.who, act.what, act.feed, act.partition, act.why) for act in acts]
    ordered = sorted(lines, key=lambda line: line[0], reverse=True)[:limit]
    tell(("when", "who", "what", "feed", "partition", "why"), ordered, as_json)


def _payload_line(counts: Counts, partition: str) -> tuple | None:
    """What became of a payload's records, as a line of history; None where it has nothing of the partition."""
    clock = feeds()[counts.feed].stream.clock
    spans = [text for text in (counts.first, counts.last) if text]
    days = [str(market_day_of(datetime.fromisoformat(text), clock)) if "T" in text else text for text in spans]
    if partition and not (days and days[0] <= partition <= days[-1]):
        return None
    told = ", ".join(f"{getattr(counts, name):,} {name}" for name in FATES if getattr(counts, name))
    why = f"{counts.name}: {counts.records:,} records: {told or 'none'}" + (f"; {counts.note}" if counts.note else "")
    at = datetime.fromisoformat(counts.received_at)
    return at, "c254", "payload", counts.feed, "..".join(dict.fromkeys(days)), why


def _mark(feed: str, mark: datetime | None) -> date | datetime | None:
    """How far a feed has come: a date where its rows are about dates, an instant elsewhere."""
    found = feeds().get(feed)
    return mark.date() if mark and found and dataset(found.stream.dataset).by_date else mark


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.2f} %"


def _open(log: Log, feed: str) -> int:
    return log.count_letters(f"dlq.{feed}", "open")
