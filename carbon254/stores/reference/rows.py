"""Reading and writing versions as frames, column-wise in and one prepared statement out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl
import sqlalchemy as sa

from .history import ROWS, STATED, Changes
from .tables import ALIASES, EVER, LOADS, METADATA, VERSIONS
from .tables import STATED as STATED_TABLE

_FEW = 400
_UTC = pl.Datetime("us", "UTC")


def frame_of(connection: sa.Connection, query: sa.Executable, schema: pl.Schema) -> pl.DataFrame:
    """A query's answer as a frame, columns in the order of the schema."""
    found = connection.execute(query).fetchall()
    columns = zip(*found, strict=True) if found else [()] * len(schema)
    return pl.DataFrame(
        [pl.Series(name, values, dtype=kind) for (name, kind), values in zip(schema.items(), columns, strict=True)]
    )


def versions(
    connection: sa.Connection, kind: str, market: str, since: int, ids: Sequence[str] | None = None
) -> pl.DataFrame:
    """Versions (ROWS) of a market that end at or after `since`; `ids` narrows them where they are few."""
    table = VERSIONS[kind]
    query = sa.select(*(table.c[name] for name in ROWS)).where(table.c.market == market)
    if since > EVER:
        query = query.where(table.c.valid_to.is_(None) | (table.c.valid_to >= since))
    if ids is not None and len(ids) <= _FEW:
        query = query.where(table.c.location_id.in_(ids))
    return frame_of(connection, query, ROWS)


def known_ids(connection: sa.Connection, kind: str, market: str) -> pl.Series:
    """Every id of the kind that a list ever had."""
    table = VERSIONS[kind]
    query = sa.select(table.c.location_id).where(table.c.market == market).distinct()
    return frame_of(connection, query, pl.Schema({"location_id": pl.String}))["location_id"]


def remembered(connection: sa.Connection, kind: str, market: str, after: int) -> tuple[pl.DataFrame, list[int]]:
    """Moments after `after` at which lists said something: of some places (STATED), and of all."""
    table = STATED_TABLE
    query = sa.select(table.c.location_id, table.c.at)
    query = query.where(table.c.market == market, table.c.kind == kind, table.c.at > after)
    moments = sa.select(LOADS.c.effective_at).where(
        LOADS.c.market == market, LOADS.c.kind == kind, LOADS.c.complete, LOADS.c.effective_at > after
    )
    return frame_of(connection, query, STATED), sorted(set(connection.execute(moments).scalars()))


def write_changes(connection: sa.Connection, kind: str, market: str, changes: Changes) -> None:
    """Write the versions, and remember the names they bring."""
    table = VERSIONS[kind]
    _update(connection, table, changes.update)
    _update(connection, table, changes.end.select("id", "valid_to"))
    insert(connection, table, changes.insert.with_columns(pl.lit(market).alias("market")))
    remember_names(connection, market, pl.concat([changes.insert, changes.update.drop("id")]))


def _update(connection: sa.Connection, table: sa.Table, rows: pl.DataFrame) -> None:
    if rows.height:
        bound = {name: sa.bindparam(f"b_{name}") for name in rows.columns if name != "id"}
        change = sa.update(table).where(table.c.id == sa.bindparam("b_id")).values(bound)
        connection.execute(change, rows.rename({name: f"b_{name}" for name in rows.columns}).to_dicts())


def remember_names(connection: sa.Connection, market: str, rows: pl.DataFrame) -> None:
    """Keep ids and names (columns location_id, name, known_from) for ever."""
    own = rows.select("location_id", pl.col("location_id").alias("name"), "known_from")
    names = pl.concat([own, rows.select("location_id", "name", "known_from")]).unique(
        ["location_id", "name"], keep="first", maintain_order=True
    )
    if not names.height:
        return
    query = sa.select(ALIASES.c.location_id, ALIASES.c.name).where(ALIASES.c.market == market)
    if names.height <= _FEW:
        query = query.where(ALIASES.c.location_id.in_(names["location_id"].to_list()))
    there = frame_of(connection, query, pl.Schema({"location_id": pl.String, "name": pl.String}))
    fresh = names.join(there, on=["location_id", "name"], how="anti")
    folded = pl.col("name").str.to_lowercase().alias("folded")
    insert(connection, ALIASES, fresh.with_columns(folded, pl.lit(market).alias("market")))


def remember_stated(connection: sa.Connection, kind: str, market: str, stated: pl.DataFrame) -> int:
    """Remember that a list said something of these places at these moments; returns how many were new."""
    if not stated.height:
        return 0
    table = STATED_TABLE
    query = sa.select(table.c.location_id, table.c.at).where(table.c.market == market, table.c.kind == kind)
    query = query.where(table.c.at.between(stated["at"].min(), stated["at"].max()))
    fresh = stated.select(*STATED).unique().join(frame_of(connection, query, STATED), on=list(STATED), how="anti")
    insert(connection, table, fresh.with_columns(pl.lit(market).alias("market"), pl.lit(kind).alias("kind")))
    return fresh.height


def insert(connection: sa.Connection, table: sa.Table, rows: pl.DataFrame) -> None:
    """Insert a frame whose columns are the table's."""
    if rows.height:
        connection.execute(sa.insert(table), rows.to_dicts())


def told(frame: pl.DataFrame, names: Iterable[str] = ("valid_from", "valid_to", "known_from")) -> pl.DataFrame:
    """Kept instants as UTC timestamps; `since ever` is null."""
    times = [name for name in names if name in frame.columns]
    return frame.with_columns(pl.when(pl.col(name) != EVER).then(pl.col(name)).cast(_UTC).alias(name) for name in times)


def forget(connection: sa.Connection) -> None:
    """Remove every row of every table."""
    for table in reversed(METADATA.sorted_tables):
        connection.execute(table.delete())
