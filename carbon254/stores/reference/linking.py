"""Renames, merges and splits: a link between ids, and the versions that end and begin by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import sqlalchemy as sa

from carbon254.errors import ReferenceRefused

from .history import CONTENT, STATEMENTS, rebuild
from .listing import hashed, read_list
from .loading import Asked, note
from .naming import Version, all_versions, resolve, standing
from .rows import insert, remember_stated, remembered, versions, write_changes
from .tables import LINKS


def rename(connection: sa.Connection, asked: Asked, old: str, new: str, name: str | None) -> None:
    """`old` is called `new` from the moment on; `new` takes over what `old` was unless a list already has it.

    Raises UnknownPlace where `old` never was, ReferenceRefused where both are one.
    """
    _refuse_itself(asked.market, old, [new])
    last = _last(connection, asked, old)
    own = new if last.name == last.location_id else last.name
    there = standing(all_versions(connection, asked.market, new), asked.moment)
    opened = [] if there else [_version(last, new, name or own)]
    _link(connection, replace(asked, kind=last.kind), "rename", [(old, new)], [old], opened)


def merge(connection: sa.Connection, asked: Asked, olds: Sequence[str], into: str) -> None:
    """`olds` become part of `into`, which is listed at the moment. Raises UnknownPlace and ReferenceRefused."""
    _refuse_itself(asked.market, into, olds)
    _need(connection, asked, into)
    for old in olds:
        last = _last(connection, asked, old)
        _link(connection, replace(asked, kind=last.kind), "merge", [(old, into)], [old], [])


def split(connection: sa.Connection, asked: Asked, old: str, parts: Sequence[str]) -> None:
    """`old` ends, and its `parts`, which are listed at the moment, come after it. Raises as `merge` does."""
    _refuse_itself(asked.market, old, parts)
    last = _last(connection, asked, old)
    for part in parts:
        _need(connection, asked, part)
    _link(connection, replace(asked, kind=last.kind), "split", [(old, part) for part in parts], [old], [])


def _refuse_itself(market: str, place: str, others: Sequence[str]) -> None:
    if not others or place in others:
        raise ReferenceRefused(f"{market}: {place!r} cannot become itself or nothing; name two different places by id")


def _last(connection: sa.Connection, asked: Asked, place: str) -> Version:
    """The version that ends by the link, or has ended before it."""
    found = all_versions(connection, asked.market, place)
    if not found:
        resolve(connection, asked.market, place, None)  # unknown: says so, with the nearest names
        raise ReferenceRefused(f"{asked.market}: {place!r} is a name; links join ids (see: c254 places resolve)")
    before = [one for one in found if one.valid_from < asked.moment and one.valid_to != one.valid_from]
    if not before:
        raise ReferenceRefused(f"{asked.market}: {place!r} is not listed before the moment of the link; date it later")
    return before[-1]


def _need(connection: sa.Connection, asked: Asked, place: str) -> None:
    if not standing(all_versions(connection, asked.market, place), asked.moment):
        raise ReferenceRefused(
            f"{asked.market}: {place!r} is not listed at the moment of the link; load it first: c254 places load"
        )


def _version(last: Version, new: str, name: str) -> dict[str, Any]:
    content = read_list([{"location_id": new, "name": name, "type": last.type, "region": last.region}], last.kind).rows
    if not content.height:
        raise ReferenceRefused(f"{new!r} cannot be the id of a place: write one without control characters")
    return {"location_id": new, "name": name, "type": last.type, "region": last.region, "attributes": last.attributes}


def _link(
    connection: sa.Connection,
    asked: Asked,
    kind: str,
    pairs: Sequence[tuple[str, str]],
    ended: Sequence[str],
    opened: Sequence[dict[str, Any]],
) -> None:
    said = _said(asked, ended, opened)
    moment = asked.moment
    stored = versions(connection, asked.kind, asked.market, moment, said["location_id"].to_list())
    changes = rebuild(stored, said, *remembered(connection, asked.kind, asked.market, moment))
    if changes.any:
        write_changes(connection, asked.kind, asked.market, changes)
    remember_stated(connection, asked.kind, asked.market, said.select("location_id", "at"))
    query = sa.select(LINKS.c.from_id, LINKS.c.to_id).where(LINKS.c.market == asked.market, LINKS.c.at == moment)
    there = {tuple(row) for row in connection.execute(query)}
    fresh = [pair for pair in pairs if pair not in there]
    rows = [
        {"market": asked.market, "kind": kind, "from_id": one, "to_id": other, "at": moment} for one, other in fresh
    ]
    if rows:
        origin = (pl.lit(asked.source).alias("source"), pl.lit(asked.learned).alias("known_from"))
        insert(connection, LINKS, pl.DataFrame(rows).with_columns(*origin))
    if rows or changes.any:
        note(connection, asked, f"{kind} {pairs}"[:64], changes)


def _said(asked: Asked, ended: Sequence[str], opened: Sequence[dict[str, Any]]) -> pl.DataFrame:
    origin = (
        pl.lit(asked.moment).alias("at"),
        pl.lit(asked.learned).alias("known_from"),
        pl.lit(asked.source).alias("source"),
    )
    gone = pl.DataFrame({"location_id": list(ended)}).with_columns(
        *(pl.lit(None, dtype=kind).alias(name) for name, kind in CONTENT.items()), *origin
    )
    if not opened:
        return gone.select(*STATEMENTS)
    schema = {
        "location_id": pl.String,
        "name": pl.String,
        "type": pl.String,
        "region": pl.String,
        "attributes": pl.String,
    }
    new = hashed(pl.DataFrame(list(opened), schema=schema)).with_columns(*origin)
    return pl.concat([gone.select(*STATEMENTS), new.select(*STATEMENTS)])
