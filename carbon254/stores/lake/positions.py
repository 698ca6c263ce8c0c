"""How far a table has followed the log, and which log: properties set in the commit that adds the rows.

An offset is a position in one log and means nothing in another, so the log's identity stands beside it. Where a table
begins to follow another log, whatever arrived no later than the last arrival that stands may be there already: up to
then rows are doubtful, and looked for before they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pyiceberg.conversions import from_bytes
from pyiceberg.table import Table

from carbon254.model import Dataset

OFFSET, LOG, DOUBT, READING = "c254.offset", "c254.log", "c254.doubt-until", "c254.reading"


@dataclass(frozen=True, slots=True)
class Position:
    """The last offset stored, and the identity of its log: empty where it was written before logs had one.

    `doubt` is the last arrival that stood when the table began to follow this log; None where it always did.
    """

    offset: int = 0
    log: str = ""
    doubt: datetime | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """Rows that may stand already are looked for, by their arrival (feed, received_at, payload) and their batch.

    With `replaces`, what else stands of these arrivals goes in the same commit: the new rows are another reading of
    them. `reading` is its number, where there is one.
    """

    replaces: bool = False
    reading: str = ""


@dataclass(frozen=True, slots=True)
class Following:
    """The log that is followed: its identity, and what gives its last offset."""

    log: str
    end: Callable[[], int]


def position_in(table: Table, dataset: Dataset, following: Following | None) -> Position:
    """Where a table stands in the log that is followed; where it stands at all, if none is.

    An offset of another log counts as none. One that was written before logs had identities counts where the log
    reaches so far.
    """
    stands = position_of(table)
    if following is None or stands.log == following.log:
        return stands
    if not stands.log and stands.offset <= following.end():
        return Position(stands.offset, following.log, stands.doubt)
    return Position(0, following.log, last_arrival(table, dataset))


def position_of(table: Table) -> Position:
    """Where a table stands."""
    told = table.properties
    doubt = told.get(DOUBT)
    return Position(int(told.get(OFFSET, "0")), told.get(LOG, ""), datetime.fromisoformat(doubt) if doubt else None)


def properties_of(position: Position) -> dict[str, str]:
    """The position as a table keeps it."""
    told = {OFFSET: str(position.offset), LOG: position.log}
    return {name: text for name, text in told.items() if text} | (
        {DOUBT: position.doubt.isoformat()} if position.doubt else {}
    )


def arrival_column(dataset: Dataset) -> str:
    """The column that says when a row arrived; empty where the dataset has none."""
    last = dataset.version[-1] if dataset.version else ""
    return last if last and dataset.column(last).type == "timestamp" else ""


def last_arrival(table: Table, dataset: Dataset) -> datetime | None:
    """The last arrival that stands, by what the manifests tell of each file; None where nothing stands.

    A file whose writer told nothing of it makes everything doubtful.
    """
    snapshot, name = table.current_snapshot(), arrival_column(dataset)
    if snapshot is None:
        return None
    always = datetime.max.replace(tzinfo=UTC)
    if not name:
        return always
    field, found = table.schema().find_field(name), list[datetime]()
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io):
            bound = (entry.data_file.upper_bounds or {}).get(field.field_id)
            if not bound:
                return always
            micros = int(from_bytes(field.field_type, bound))  # pyright: ignore[reportArgumentType, reportCallIssue]
            found.append(datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000))
    return max(found, default=None)


def batches_read(told: Mapping[str, str], reading: str) -> frozenset[str]:
    """Batches of the arrival's reading that were stored by the last commit; none where that was of another."""
    kept = json.loads(told.get(READING, "{}"))
    return frozenset(kept.get("batches", ())) if kept.get("reading") == reading else frozenset()


def reading_kept(reading: str, batches: frozenset[str]) -> dict[str, str]:
    """The property that `batches_read` reads: a reading may come in several commits, part by part."""
    return {READING: json.dumps({"reading": reading, "batches": sorted(batches)})}
