"""Taking a list in: what it says against what is stored, written in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl
import sqlalchemy as sa

from carbon254.errors import ReferenceRefused

from .history import CONTENT, ENDS, ROWS, STATED, STATEMENTS, Changes, rebuild
from .listing import REJECTS, Listing
from .rows import insert, known_ids, remember_stated, remembered, versions, write_changes
from .tables import EVER, LOADS

_NONE = pl.DataFrame(schema=ROWS)
_NOTHING = Changes(_NONE.drop("id"), _NONE, _NONE.select(ENDS), 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a list came to, in versions: `opened`, `closed` (an end came, or came earlier), `corrected` (a version
    changed otherwise: said anew for the same moment, or valid from earlier); listed rows that changed nothing; and
    `rejects` (line, reason, raw)."""

    opened: int = 0
    closed: int = 0
    corrected: int = 0
    unchanged: int = 0
    rejects: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTS))

    @property
    def counts(self) -> tuple[int, int, int]:
        """(opened, closed, corrected): all 0 where the list said nothing new."""
        return self.opened, self.closed, self.corrected


@dataclass(frozen=True, slots=True)
class Asked:
    """A list's circumstances. `effective` and `learned` are microseconds since 1970 UTC; effective None is undated."""

    kind: str
    market: str
    source: str
    effective: int | None
    learned: int
    complete: bool = False

    @property
    def moment(self) -> int:
        """When what the list says of known places begins: its date, or when we learned it."""
        return self.learned if self.effective is None else self.effective


def take(connection: sa.Connection, asked: Asked, listing: Listing) -> Loaded:
    """Make the histories say what the list says. Raises ReferenceRefused for a complete list without a sound row."""
    if asked.complete and not listing.rows.height:
        raise ReferenceRefused(
            f"the complete list of {asked.market} {asked.kind} has no sound row, and would retire every one of them; "
            "mend the list, or load it as one that is not complete"
        )
    rows = listing.rows.with_columns(pl.lit(asked.learned).alias("known_from"), pl.lit(asked.source).alias("source"))
    undated = pl.col("at").is_null()
    never = pl.lit(value=False)
    if asked.effective is None and rows["at"].null_count():
        known = known_ids(connection, asked.kind, asked.market)
        never = undated & pl.col("location_id").is_in(known.implode()).not_()
    first, later = rows.filter(never), rows.filter(never.not_())
    changes = _first(first)
    if later.height or asked.complete:
        changes = _both(changes, _later(connection, asked, listing, later))
    return _write(connection, asked, listing, rows, changes)


def _statements(rows: pl.DataFrame, at: int) -> pl.DataFrame:
    """What the rows say from `at`, or from their own date, and the end of those that name one."""
    said = rows.with_columns(pl.col("at").fill_null(at))
    ends = said.filter(pl.col("until").is_not_null()).select(
        "location_id", pl.col("until").alias("at"), *_nothing(), "known_from", "source"
    )
    ends = ends.unique(["location_id", "at"]).join(said, on=["location_id", "at"], how="anti")
    return pl.concat([said.select(*STATEMENTS), ends])


def _nothing() -> list[pl.Expr]:
    return [pl.lit(None, dtype=kind).alias(name) for name, kind in CONTENT.items()]


def _first(rows: pl.DataFrame) -> Changes:
    """Places never listed before, on an undated list: valid since ever, whatever older lists lacked."""
    if not rows.height:
        return _NOTHING
    return rebuild(_NONE, _statements(rows, EVER), pl.DataFrame(schema=STATED), [])


def _later(connection: sa.Connection, asked: Asked, listing: Listing, rows: pl.DataFrame) -> Changes:
    said = _statements(rows, asked.moment)
    earliest = min([asked.moment, *said["at"].unique().to_list()])
    few = None if asked.complete else said["location_id"].unique().to_list()
    stored = versions(connection, asked.kind, asked.market, earliest, few)
    if asked.complete:
        said = pl.concat([said, _retired(asked, listing, stored)])
    stated, complete = remembered(connection, asked.kind, asked.market, earliest)
    return rebuild(stored, said, stated, complete) if said.height else _NOTHING


def _retired(asked: Asked, listing: Listing, stored: pl.DataFrame) -> pl.DataFrame:
    """The end of every place that stands at the list's moment and is not on it. A rejected row names its place."""
    at = asked.moment
    standing = stored.filter(
        (pl.col("valid_from") <= at) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > at))
    ).filter(pl.col("location_id").is_in(listing.named.implode()).not_())
    origin = (pl.lit(asked.learned).alias("known_from"), pl.lit(asked.source).alias("source"))
    return standing.select("location_id", pl.lit(at).alias("at"), *_nothing(), *origin)


def _both(one: Changes, other: Changes) -> Changes:
    return Changes(
        pl.concat([one.insert, other.insert]),
        pl.concat([one.update, other.update]),
        pl.concat([one.end, other.end]),
        one.opened + other.opened,
        one.closed + other.closed,
        one.corrected + other.corrected,
    )


def _write(connection: sa.Connection, asked: Asked, listing: Listing, rows: pl.DataFrame, changes: Changes) -> Loaded:
    if changes.any:
        write_changes(connection, asked.kind, asked.market, changes)
    moments = rows.select("location_id", pl.col("at").fill_null(pl.lit(asked.effective, dtype=pl.Int64)))
    if asked.complete:  # its own moment is remembered with the load
        moments = moments.filter(pl.col("at") != asked.moment)
    new = remember_stated(connection, asked.kind, asked.market, moments.drop_nulls())
    if changes.any or new or not _noted(connection, asked, listing.content):
        note(connection, asked, listing.content, changes)
    unchanged = listing.rows.join(changes.places, on="location_id", how="anti").height
    return Loaded(changes.opened, changes.closed, changes.corrected, unchanged, listing.rejects)


def _noted(connection: sa.Connection, asked: Asked, content: str) -> bool:
    """Whether this very list is already noted (an undated one: whenever it came)."""
    query = sa.select(LOADS.c.id).where(
        LOADS.c.market == asked.market,
        LOADS.c.kind == asked.kind,
        LOADS.c.source == asked.source,
        LOADS.c.content == content,
        LOADS.c.complete == asked.complete,
    )
    if asked.effective is not None:
        query = query.where(LOADS.c.effective_at == asked.effective)
    return connection.execute(query.limit(1)).first() is not None


def note(connection: sa.Connection, asked: Asked, content: str, changes: Changes = _NOTHING) -> None:
    """Note the load: its id is the store's version."""
    row = {"kind": asked.kind, "market": asked.market, "source": asked.source, "effective_at": asked.moment}
    counts = {"opened": changes.opened, "closed": changes.closed, "corrected": changes.corrected}
    origin = {"complete": asked.complete, "content": content, "known_from": asked.learned}
    insert(connection, LOADS, pl.DataFrame([row | counts | origin]))


def note_change(connection: sa.Connection, kind: str, source: str, learned: int, news: int) -> None:
    """Note that instruments, taxonomy or facts changed: whoever keeps a copy sees a new version."""
    values = {
        "kind": kind, "market": "", "source": source, "effective_at": learned, "complete": False, "content": "",
        "known_from": learned, "opened": news, "closed": 0, "corrected": 0,
    }  # fmt: skip
    connection.execute(LOADS.insert().values(**values))
