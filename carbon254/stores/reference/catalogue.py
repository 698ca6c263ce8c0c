"""Instruments, the taxonomy of commodity / region / product tier, and facts about entities, by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import sqlalchemy as sa

from carbon254.errors import ReferenceRefused

from .rows import frame_of, insert, told
from .tables import INSTRUMENTS, TAXONOMY, VERSIONS

TIERS = ("commodity", "region", "product")
PRICED = ("nodes", "zones", "hubs")


def put(connection: sa.Connection, table: sa.Table, rows: pl.DataFrame) -> int:
    """Insert rows whose key is new, update those whose content is; returns how many. Putting twice changes nothing."""
    keys = [column.name for column in table.primary_key]
    names = [column.name for column in table.columns]
    there = frame_of(connection, sa.select(table), _schema(table))
    given = rows.select(pl.col(name).cast(there.schema[name]) for name in names)
    given = given.unique(keys, keep="last", maintain_order=True)
    fresh = given.join(there, on=keys, how="anti")
    values = [name for name in names if name not in (*keys, "known_from")]
    both = given.join(there, on=keys, how="inner", suffix="_old")
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_old")) for name in values)
    changed = both.filter(differs).select(names)
    insert(connection, table, fresh)
    if changed.height:
        match = [table.c[key] == sa.bindparam(f"b_{key}") for key in keys]
        bound = {name: sa.bindparam(f"b_{name}") for name in (*values, "known_from")}
        moving = changed.rename({name: f"b_{name}" for name in names}).to_dicts()
        connection.execute(sa.update(table).where(*match).values(bound), moving)
    return fresh.height + changed.height


def look_up(connection: sa.Connection, table: sa.Table, wanted: Mapping[str, str | None]) -> pl.DataFrame:
    """Rows of a table where every column named has the value; None asks for any."""
    query = sa.select(table).where(*(table.c[name] == value for name, value in wanted.items() if value is not None))
    return told(frame_of(connection, query.order_by(*table.primary_key), _schema(table)))


def below(connection: sa.Connection, path: str) -> pl.DataFrame:
    """A path of the taxonomy and everything below it."""
    under = TAXONOMY.c.path.startswith(f"{path}/", autoescape=True)
    query = sa.select(TAXONOMY).where(sa.or_(TAXONOMY.c.path == path, under)).order_by(TAXONOMY.c.path)
    return told(frame_of(connection, query, _schema(TAXONOMY)))


def enriching(connection: sa.Connection) -> pl.DataFrame:
    """Instruments with their tiers as the taxonomy names them, and the region of their place where they have none."""
    found = frame_of(connection, sa.select(INSTRUMENTS), _schema(INSTRUMENTS)).rename({"region": "_own"})
    paths = frame_of(connection, sa.select(TAXONOMY), _schema(TAXONOMY))
    named = paths.select("path", pl.col("name").alias("_name"))
    where = _regions(connection, found["market"].unique().to_list())
    rows = found.join(where, on=["market", "location_id"], how="left", maintain_order="left")
    rows = rows.with_columns(pl.coalesce("_own", "_place").alias("region"))
    parts = ["commodity", "region", "product_tier"]
    for depth, part in enumerate(parts, start=1):
        path = pl.concat_str(parts[:depth], separator="/").alias("path")
        rows = rows.with_columns(path).join(named, on="path", how="left", maintain_order="left")
        rows = rows.with_columns(pl.col("_name").alias(f"_{part}")).drop("path", "_name")
    told = [pl.coalesce(f"_{part}", part).alias(part) for part in parts]
    return rows.select("instrument", *told, "location_id", "unit")


def _regions(connection: sa.Connection, markets: Sequence[str]) -> pl.DataFrame:
    """The region (`_place`) of every place of these markets, the last one that each had."""
    schema = pl.Schema({"market": pl.String, "location_id": pl.String, "_place": pl.String, "since": pl.Int64})
    frames = []
    for kind in PRICED:
        table = VERSIONS[kind]
        columns = (table.c.market, table.c.location_id, table.c.region, table.c.valid_from)
        query = sa.select(*columns).where(table.c.market.in_(markets), table.c.region.is_not(None))
        frames.append(frame_of(connection, query, schema))
    last = pl.concat(frames).sort("since", maintain_order=True)
    return last.unique(["market", "location_id"], keep="last").drop("since")


def tiers(paths: Sequence[tuple[str, ...]]) -> pl.DataFrame:
    """Taxonomy rows (path, parent, tier, name) of (commodity, region, product tier) tuples, parents included.

    Raises ReferenceRefused for a tier that is empty, has a slash, or lies deeper than three.
    """
    rows: dict[str, dict[str, str | None]] = {}
    for parts in paths:
        if not 0 < len(parts) <= len(TIERS) or any(not part or "/" in part for part in parts):
            raise ReferenceRefused(f"taxonomy: {parts} is not a path; write (commodity, region, product tier)")
        for depth, name in enumerate(parts):
            path, parent = "/".join(parts[: depth + 1]), "/".join(parts[:depth]) or None
            rows[path] = {"path": path, "parent": parent, "tier": TIERS[depth], "name": name}
    schema = {"path": pl.String, "parent": pl.String, "tier": pl.String, "name": pl.String}
    return pl.DataFrame(list(rows.values()), schema=schema)


def _schema(table: sa.Table) -> pl.Schema:
    return pl.Schema({c.name: pl.Int64 if isinstance(c.type, sa.BigInteger) else pl.String for c in table.columns})


def with_defaults(rows: pl.DataFrame, table: sa.Table, **given: Any) -> pl.DataFrame:
    """Rows with every column of the table: those given, those there, null for the rest."""
    schema = _schema(table)
    missing = [pl.lit(None, dtype=kind).alias(name) for name, kind in schema.items() if name not in rows.columns]
    return rows.with_columns(*missing).with_columns(
        pl.lit(value, dtype=schema[name]).alias(name) for name, value in given.items()
    )
