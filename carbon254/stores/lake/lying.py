"""How the tables of the lake lie: their files, tiers and snapshots, as metadata tells, and what upkeep would do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from pyiceberg.table import Table

from carbon254.model import Dataset

from .compacting import plans
from .survey import survey


@dataclass(frozen=True, slots=True)
class Lying:
    """One table; sizes in bytes.

    `to_merge` counts files that a compaction would merge now; `hot`, `warm` and `cold` count partitions by their age;
    `oldest` is when the oldest snapshot was made.
    """

    table: str
    rows: int
    files: int
    bytes: int
    smallest: int
    to_merge: int
    partitions: int
    hot: int
    warm: int
    cold: int
    snapshots: int
    oldest: datetime | None
    offset: int


@dataclass(frozen=True, slots=True)
class Part:
    """One partition; `days` is its age, below zero while it goes on."""

    partition: str
    tier: str
    days: int
    rows: int
    files: int
    bytes: int
    smallest: int
    to_merge: int


def lying(dataset: Dataset, table: Table, offset: int, now: datetime) -> Lying:
    """Count a table's files; reads its manifests, no data."""
    found = parts(dataset, table, now)
    tiers = Counter(one.tier for one in found)
    made = min((one.timestamp_ms for one in table.metadata.snapshots), default=None)
    return Lying(
        table=dataset.name,
        rows=sum(one.rows for one in found),
        files=sum(one.files for one in found),
        bytes=sum(one.bytes for one in found),
        smallest=min((one.smallest for one in found), default=0),
        to_merge=sum(one.to_merge for one in found),
        partitions=len(found),
        hot=tiers["hot"],
        warm=tiers["warm"],
        cold=tiers["cold"],
        snapshots=len(table.metadata.snapshots),
        oldest=None if made is None else datetime.fromtimestamp(made // 1000, now.tzinfo),
        offset=offset,
    )


def parts(dataset: Dataset, table: Table, now: datetime) -> list[Part]:
    """Each partition of a table, oldest first; reads its manifests, no data."""
    merged = Counter[str]()
    for plan in plans(table, dataset, now, None):
        merged[plan.partition.name] += len(plan.files)
    return [
        Part(
            partition=partition.name,
            tier=partition.tier(now).name,
            days=partition.age(now).days,
            rows=sum(file.rows for file in files),
            files=len(files),
            bytes=sum(file.size for file in files),
            smallest=min(file.size for file in files),
            to_merge=merged[partition.name],
        )
        for partition, files in survey(table, dataset).items()
    ]
