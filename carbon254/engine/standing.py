"""A market day as readers have it: what judging it needs, whoever asks.

The gate asks the hot store; `c254 quality` asks a reader, which may be a node over HTTP. Both hand in how to ask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import polars as pl

from carbon254.model import Flag, Stream, dataset
from carbon254.quality import Judgement, PartitionState, Rules
from carbon254.quality.states import CELLS, Cells
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.literal import within
from carbon254.stores.hot.views import current_name, versions_name
from carbon254.stores.lake import Lake
from carbon254.stores.ledger import Entry
from carbon254.stores.metrics import Kept, MetricStore

from .proof import day_span
from .source import Source

Ask = Callable[[str], pl.DataFrame]
_EARLIER = 7
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UTC = pl.Datetime("us", "UTC")
_ROLES = ("key", "value", "mark")
_ARRIVED = f"if(bitAnd(flags, {Flag.RELEASED.value}) != 0, greatest(received_at, known_at), received_at)"
_ALSO = ("location", "location_type", "region", "received_at")


def standing_rows(ask: Ask, stream: Stream, day: date) -> pl.DataFrame:
    """The current rows of a market day, with the columns that checks read."""
    kind = dataset(stream.dataset)
    columns = [one.name for one in kind.columns if one.role in _ROLES or one.name in _ALSO]
    return ask(f"SELECT {', '.join(columns)} FROM {current_name(kind)} WHERE {_mine(stream, day)}")


def rows_by(hot: HotStore, stream: Stream, day: date, moment: datetime) -> pl.DataFrame:
    """The rows of a market day as they stood at a moment: of each key the last version that had arrived by then.

    In the order of their keys: sums of doubles depend on it in their last bits.
    """
    kind = dataset(stream.dataset)
    columns = ", ".join(one.name for one in kind.columns if one.role in _ROLES or one.name in _ALSO)
    latest = ", ".join(f"{name} DESC" for name in (*kind.version, "value_hash", "payload"))
    sql = (
        f"SELECT {columns} FROM (SELECT {columns}, row_number() OVER (PARTITION BY {', '.join(kind.key)} "
        f"ORDER BY {latest}) AS place FROM store.{kind.name} FINAL WHERE {_mine(stream, day)} "
        f"AND toUnixTimestamp64Micro({_ARRIVED}) <= {_micros(moment)}) WHERE place = 1"
    )
    return plain(hot, sql).sort(list(kind.key))


def arrivals_of(hot: HotStore, stream: Stream, day: date) -> list[tuple[datetime, str]]:
    """When which payloads' rows of a market day arrived, in order; a released row arrived when it was released."""
    sql = f"SELECT DISTINCT {_ARRIVED} AS at, payload FROM store.{stream.dataset} WHERE {_mine(stream, day)}"
    return sorted((at, payload) for at, payload in plain(hot, sql).select("at", "payload").iter_rows())


def standing_arrivals(
    hot: HotStore, lake: Lake, source: Source, start: datetime, end: datetime
) -> set[tuple[datetime, str]]:
    """When which payloads arrived whose rows of [start, end) stand in the hot store or in the lake."""
    kind, topic = source.dataset, source.stream.topic
    mine = f"feed = '{topic}' AND {within(kind, start, end)}"
    held = plain(hot, f"SELECT DISTINCT received_at, payload FROM store.{kind.name} WHERE {mine}")
    low, high = ((one.date() if kind.by_date else one).isoformat() for one in (start, end))
    where = f"feed = '{topic}' AND {kind.partition} >= '{low}' AND {kind.partition} < '{high}'"
    kept = pl.DataFrame(lake.scan(kind.name, where, ("received_at", "payload"))).unique()
    return {
        (at.astimezone(UTC), payload)
        for rows in (held, kept)
        for at, payload in rows.select("received_at", "payload").iter_rows()
    }


def repeats(ask: Ask, stream: Stream, entry: Entry) -> int:
    """How many rows came that said what was known already."""
    where = _mine(stream, date.fromisoformat(entry.partition))
    stored = ask(f"SELECT count() AS n FROM {versions_name(dataset(stream.dataset))} WHERE {where}")
    return max(0, entry.rows - stored["n"][0])


def earlier_states(metrics: MetricStore, feed: str, day: str, by: datetime | None = None) -> dict[str, PartitionState]:
    """Kept states of the days before, by day; `by` leaves out what was judged later."""
    first, last = (date.fromisoformat(day) - timedelta(days=back) for back in (_EARLIER, 1))
    kept = metrics.between(feed, first.isoformat(), last.isoformat(), by)
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


def _micros(moment: datetime) -> int:
    return round((moment - _EPOCH) / timedelta(microseconds=1))


def _mine(stream: Stream, day: date) -> str:
    return f"feed = '{stream.topic}' AND {within(dataset(stream.dataset), *day_span(stream, day))}"
