"""Looking places up: as of a moment, through their history, and whole for a join. And lists that come with the code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import sqlalchemy as sa

from .listing import Listing
from .loading import Asked, Loaded, note, take
from .naming import PRIORITY
from .rows import frame_of, told, versions
from .tables import EVER, LOADS, VERSIONS

_PLACE = pl.Schema(
    {
        "kind": pl.String, "market": pl.String, "location_id": pl.String, "name": pl.String, "type": pl.String,
        "region": pl.String, "attributes": pl.String, "valid_from": pl.Int64, "valid_to": pl.Int64,
        "known_from": pl.Int64, "source": pl.String,
    }
)  # fmt: skip
_JOINED = ("location_id", "location", "location_type", "region", "valid_from", "valid_to")
_PRICED = ("hubs", "zones", "nodes")
_OPEN = 2**62


def places_as_of(
    connection: sa.Connection, kinds: Sequence[str], market: str | None, as_of: int | None
) -> pl.DataFrame:
    """Versions that stand at `as_of`; without it, those that are open."""
    found = []
    for kind in kinds:
        table = VERSIONS[kind]
        query = _select(kind)
        if market is not None:
            query = query.where(table.c.market == market)
        if as_of is None:
            query = query.where(table.c.valid_to.is_(None))
        else:
            ended = sa.or_(table.c.valid_to.is_(None), table.c.valid_to > as_of)
            query = query.where(table.c.valid_from <= as_of, ended)
        found.append(frame_of(connection, query, _PLACE))
    return told(pl.concat(found)).sort("market", "kind", "location_id")


def history_of(connection: sa.Connection, market: str, place: str) -> pl.DataFrame:
    """Every version of a place that had a time of its own, oldest first."""
    found = []
    for kind in PRIORITY:
        table = VERSIONS[kind]
        query = _select(kind).where(table.c.market == market, table.c.location_id == place)
        found.append(frame_of(connection, query, _PLACE))
    rows = pl.concat(found).filter(pl.col("valid_to").is_null() | (pl.col("valid_to") > pl.col("valid_from")))
    return told(rows.sort("valid_from"))


def snapshot_of(connection: sa.Connection, market: str) -> pl.DataFrame:
    """Every version of the market's priced places, none of which overlaps another of its id."""
    parts = []
    for rank, kind in enumerate(_PRICED):
        rows = versions(connection, kind, market, EVER)
        parts.append(rows.with_columns(pl.lit(rank, dtype=pl.Int8).alias("rank")))
    rows = pl.concat(parts).filter(pl.col("valid_to").is_null() | (pl.col("valid_to") > pl.col("valid_from")))
    rows = rows.rename({"name": "location", "type": "location_type"}).select(*_JOINED, "rank")
    several = rows.group_by("location_id").agg(pl.col("rank").n_unique()).filter(pl.col("rank") > 1)
    single = rows.join(several, on="location_id", how="anti")
    shared = _one_at_a_time(rows.join(several, on="location_id", how="semi"))
    return told(pl.concat([single.select(_JOINED), shared])).sort("location_id", "valid_from", nulls_last=False)


def _one_at_a_time(rows: pl.DataFrame) -> pl.DataFrame:
    """Ids of several kinds, cut at every boundary: in each span the version of the first kind stands."""
    ends = pl.col("valid_to").fill_null(_OPEN)
    starts = rows.select("location_id", pl.col("valid_from").alias("start"))
    cuts = pl.concat([starts, rows.select("location_id", ends.alias("start"))]).unique().sort("location_id", "start")
    spans = cuts.with_columns(pl.col("start").shift(-1).over("location_id").alias("end")).drop_nulls("end")
    held = spans.join(rows, on="location_id").filter(
        (pl.col("valid_from") <= pl.col("start")) & (pl.col("end") <= ends)
    )
    first = held.sort("rank").unique(["location_id", "start"], keep="first", maintain_order=True)
    end = pl.when(pl.col("end") != _OPEN).then(pl.col("end")).alias("valid_to")
    return first.with_columns(pl.col("start").alias("valid_from"), end).select(_JOINED)


def seeding(connection: sa.Connection, asked: Asked, listing: Listing) -> Loaded:
    """Take in what changed in a list that comes with the code; see `Reference.seed`."""
    last = sa.select(LOADS.c.content).where(
        LOADS.c.kind == asked.kind, LOADS.c.market == asked.market, LOADS.c.source == asked.source
    )
    content = listing.content
    before = connection.execute(last.order_by(LOADS.c.id.desc()).limit(1)).scalar()
    if before == content or (before is None and not listing.rows.height):
        return Loaded(unchanged=listing.rows.height, rejects=listing.rejects)
    stored = versions(connection, asked.kind, asked.market, EVER)
    own = stored.filter(pl.col("source") == asked.source).sort("valid_from").unique("location_id", keep="last")
    owned = own.filter(pl.col("valid_to").is_null())
    said = listing.rows.join(own.select("location_id", "hash"), on=["location_id", "hash"], how="anti")
    foreign = stored.join(owned, on="location_id", how="anti").select("location_id").unique()
    said = said.join(foreign, on="location_id", how="anti")
    gone = owned.join(listing.named.to_frame("location_id"), on="location_id", how="anti")
    loaded = take(connection, asked, Listing(_with_ends(said, gone, asked.learned), listing.rejects, listing.named))
    note(connection, asked, content)
    unchanged = listing.rows.height - said.height
    return Loaded(loaded.opened, loaded.closed, loaded.corrected, unchanged, listing.rejects)


def _with_ends(said: pl.DataFrame, gone: pl.DataFrame, learned: int) -> pl.DataFrame:
    """The list's news, and its own former places as ended when that was learned."""
    ended = gone.with_columns(
        pl.lit(None, dtype=pl.Int64).alias("line"),
        pl.col("valid_from").alias("at"),
        pl.lit(learned).alias("until"),
    )
    return pl.concat([said, ended.select(said.columns)], how="vertical_relaxed")


def _select(kind: str) -> sa.Select[Any]:
    table = VERSIONS[kind]
    return sa.select(sa.literal(kind).label("kind"), *(table.c[name] for name in list(_PLACE)[1:]))
