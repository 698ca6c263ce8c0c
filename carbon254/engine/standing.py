"""A market day as readers have it: what judging it needs, whoever asks.

The gate asks the hot store; `c254 quality` asks a reader, which may be a node over HTTP. Both hand in how to ask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import polars as pl

from carbon254.model import Stream, dataset
from carbon254.quality import Judgement, PartitionState, Rules
from carbon254.quality.states import CELLS, Cells
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.literal import within
from carbon254.stores.hot.views import current_name, versions_name
from carbon254.stores.ledger import Entry
from carbon254.stores.metrics import Kept, MetricStore

from .proof import day_span

Ask = Callable[[str], pl.DataFrame]
_EARLIER = 7
_UTC = pl.Datetime("us", "UTC")
_ROLES = ("key", "value", "mark")
_ALSO = ("location", "location_type", "region", "received_at")


def standing_rows(ask: Ask, stream: Stream, day: date) -> pl.DataFrame:
    """The current rows of a market day, with the columns that checks read."""
    kind = dataset(stream.dataset)
    columns = [one.name for one in kind.columns if one.role in _ROLES or one.name in _ALSO]
    return ask(f"SELECT {', '.join(columns)} FROM {current_name(kind)} WHERE {_mine(stream, day)}")


def repeats(ask: Ask, stream: Stream, entry: Entry) -> int:
    """How many rows came that said what was known already."""
    where = _mine(stream, date.fromisoformat(entry.partition))
    stored = ask(f"SELECT count() AS n FROM {versions_name(dataset(stream.dataset))} WHERE {where}")
    return max(0, entry.rows - stored["n"][0])


def earlier_states(metrics: MetricStore, feed: str, day: str) -> dict[str, PartitionState]:
    """Kept states of the days before, by day."""
    first, last = (date.fromisoformat(day) - timedelta(days=back) for back in (_EARLIER, 1))
    kept = metrics.between(feed, first.isoformat(), last.isoformat())
    return {one.partition: PartitionState.from_bytes(one.state) for one in kept}


def begun(state: PartitionState) -> datetime | None:
    """The first interval there is. On a feed's first day ever, what lies before it was never asked for."""
    first = min(state.get(CELLS, Cells).by_start, default=None)
    return datetime.fromtimestamp(first / 1e6, UTC) if first is not None else None


def mark_of(rules: Rules, entry: Entry) -> str:
    """What a day's verdict was made of: its build, its payloads and the rules."""
    return hashlib.sha256(f"{entry.build}:{entry.checksum}:{rules.digest}".encode()).hexdigest()


def kept_as(entry: Entry, mark: str, state: PartitionState, found: Judgement, at: datetime) -> Kept:
    """The verdict as the metric store keeps it."""
    told = {"missed": list(found.missed), "failed": [one.check for one in found.failed]}
    return Kept(entry.feed, entry.partition, entry.build, mark, state.to_bytes(), found.score, at, told, found.metrics)


def plain(hot: HotStore, sql: str) -> pl.DataFrame:
    """Rows of a query of our own: text as strings, instants in microseconds."""
    found = pl.DataFrame(hot.fetch(sql))
    return found.with_columns(pl.col(pl.Categorical).cast(pl.String), pl.selectors.datetime(time_zone="*").cast(_UTC))


def _mine(stream: Stream, day: date) -> str:
    return f"feed = '{stream.topic}' AND {within(dataset(stream.dataset), *day_span(stream, day))}"
