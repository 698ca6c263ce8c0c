"""Histories of places out of what lists said of them: pure functions on columns, no database.

What a list says of a place at a moment holds until the next thing said of it. So a history is a function of the set of
statements, not of the order in which they came; a back-dated list splits what was there, up to the next statement.

Statements that changed nothing left no row behind. They are remembered as `stated` moments (lists of some places) and
`complete` moments (lists of all): what they said is what the history says at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

CONTENT = {"name": pl.String, "type": pl.String, "region": pl.String, "attributes": pl.String, "hash": pl.String}
_ORIGIN = {"known_from": pl.Int64, "source": pl.String}
# A version as it is stored; times in microseconds since 1970 UTC. One that ends where it starts was taken back.
ROWS = pl.Schema(
    {"id": pl.Int64, "location_id": pl.String, **CONTENT, "valid_from": pl.Int64, "valid_to": pl.Int64, **_ORIGIN}
)
# What a list says: a null hash says that the place is not there.
STATEMENTS = pl.Schema({"location_id": pl.String, "at": pl.Int64, **CONTENT, **_ORIGIN})
STATED = pl.Schema({"location_id": pl.String, "at": pl.Int64})
ENDS = ["id", "location_id", "valid_to"]
_KEY = ["location_id", "at"]
_VERSION = ["location_id", "valid_from"]


@dataclass(frozen=True, slots=True)
class Changes:
    """What to write: `insert` (ROWS without id), `update` (ROWS by id), `end` (ENDS by id); and how many rows that
    opened, closed (an end came, or came earlier) or corrected otherwise."""

    insert: pl.DataFrame
    update: pl.DataFrame
    end: pl.DataFrame
    opened: int
    closed: int
    corrected: int

    @property
    def places(self) -> pl.DataFrame:
        """The ids whose history changes."""
        parts = (self.insert, self.update, self.end)
        return pl.concat([part.select("location_id") for part in parts]).unique()

    @property
    def any(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.opened or self.closed or self.corrected)


def rebuild(rows: pl.DataFrame, statements: pl.DataFrame, stated: pl.DataFrame, complete: list[int]) -> Changes:
    """The changes that make `rows` say what they said and what `statements` say.

    `rows` holds every version of the statements' places that ends at or after the first statement; `stated` and
    `complete` the remembered moments after it. A statement replaces what was said at the same moment.
    """
    ids = statements.select("location_id").unique()
    old = rows.join(ids, on="location_id", how="semi")
    live = old.filter(pl.col("valid_to").is_null() | (pl.col("valid_to") > pl.col("valid_from")))
    said = _boundaries(live)
    said = pl.concat([said, _confirmed(live, said, ids, stated, complete)])
    timeline = pl.concat([said.join(statements, on=_KEY, how="anti"), statements.select(*STATEMENTS)])
    return _difference(old, live, _versions(timeline))


def _boundaries(live: pl.DataFrame) -> pl.DataFrame:
    """What the stored versions say at their own starts and ends."""
    opens = live.select("location_id", pl.col("valid_from").alias("at"), *CONTENT, *_ORIGIN)
    ends = live.filter(pl.col("valid_to").is_not_null()).select("location_id", pl.col("valid_to").alias("at"))
    return pl.concat([opens, _absent(ends.join(opens, on=_KEY, how="anti"))])


def _absent(moments: pl.DataFrame) -> pl.DataFrame:
    names = {**CONTENT, **_ORIGIN}
    return moments.select(*_KEY, *(pl.lit(None, dtype=kind).alias(name) for name, kind in names.items()))


def _confirmed(
    live: pl.DataFrame, said: pl.DataFrame, ids: pl.DataFrame, stated: pl.DataFrame, complete: list[int]
) -> pl.DataFrame:
    """What was said at remembered moments: what the history says there."""
    moments = ids.join(pl.DataFrame({"at": complete}, schema={"at": pl.Int64}), how="cross")
    moments = pl.concat([moments, stated.select(*STATED).join(ids, on="location_id", how="semi")]).unique()
    moments = moments.join(said, on=_KEY, how="anti").sort("at")
    if not moments.height:
        return _absent(moments)
    versions = live.rename({"valid_from": "at"}).drop("id").sort("at")
    found = moments.join_asof(versions, on="at", by="location_id", strategy="backward", check_sortedness=False)
    ended = pl.col("valid_to") <= pl.col("at")
    names = [*CONTENT, *_ORIGIN]
    return found.select(*_KEY, *(pl.when(ended.fill_null(value=False).not_()).then(name).alias(name) for name in names))


def _versions(timeline: pl.DataFrame) -> pl.DataFrame:
    """Runs of equal statements as versions; a run keeps the origin of its first statement."""
    ordered = timeline.sort(_KEY)
    new_place = (pl.col("location_id") != pl.col("location_id").shift(1)).fill_null(value=True)
    changed = pl.col("hash").ne_missing(pl.col("hash").shift(1))
    runs = ordered.filter(pl.when(new_place).then(pl.col("hash").is_not_null()).otherwise(changed))
    same_place = pl.col("location_id") == pl.col("location_id").shift(-1)
    ends = pl.when(same_place).then(pl.col("at").shift(-1)).alias("valid_to")
    return runs.with_columns(ends).filter(pl.col("hash").is_not_null()).rename({"at": "valid_from"})


def _difference(old: pl.DataFrame, live: pl.DataFrame, new: pl.DataFrame) -> Changes:
    kept = new.join(old.select("id", *_VERSION, _o("valid_to"), _o("hash")), on=_VERSION, how="inner")
    kept = kept.filter(pl.col("valid_to").ne_missing(pl.col("_valid_to")) | (pl.col("hash") != pl.col("_hash")))
    fresh, gone = new.join(old, on=_VERSION, how="anti"), live.join(new, on=_VERSION, how="anti")
    moved = _moved(fresh, gone)
    insert = fresh.join(moved, on=_VERSION, how="anti")
    # Nothing is deleted: what a statement at the same moment takes back stays, with no time of its own.
    taken = gone.join(moved, on="id", how="anti").with_columns(pl.col("valid_from").alias("valid_to"))
    reopened = kept.filter(pl.col("_valid_to") == pl.col("valid_from")).height
    shortened = pl.col("valid_to").is_not_null() & (
        pl.col("_valid_to").is_null() | (pl.col("valid_to") < pl.col("_valid_to"))
    )
    same = pl.col("hash") == pl.col("_hash")
    closed = kept.filter(shortened & same).height
    names = list(ROWS)
    return Changes(
        insert.select(names[1:]),
        pl.concat([kept.filter(same.not_()).select(names), moved.select(names)]),
        pl.concat([kept.filter(same), taken], how="diagonal").select(ENDS),
        opened=insert.height + reopened,
        closed=closed + taken.height,
        corrected=kept.height - reopened - closed + moved.height,
    )


def _o(name: str) -> pl.Expr:
    return pl.col(name).alias(f"_{name}")


def _moved(fresh: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """Versions that now start elsewhere: they keep their id."""
    pair = ["location_id", "hash", "_nth"]
    nth = pl.int_range(pl.len()).over("location_id", "hash").alias("_nth")
    return (
        fresh.sort("valid_from")
        .with_columns(nth)
        .join(gone.sort("valid_from").with_columns(nth).select("id", *pair), on=pair, how="inner")
    )
