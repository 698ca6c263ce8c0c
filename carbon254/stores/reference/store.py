"""The reference store: what there is to price, where, since when, and by which names.

Places are versions valid in [valid_from, valid_to) (UTC; valid_from null: since ever, valid_to null: open). Nothing is
ever deleted: a place that is gone ends, and any of its names still finds it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

import polars as pl
import sqlalchemy as sa

from carbon254.errors import ReferenceRefused, UnknownPlace
from carbon254.nearest import pick

from .catalogue import below, enriching, look_up, put, tiers, with_defaults
from .database import Database
from .linking import merge, rename, split
from .listing import no_places, read_list
from .loading import Asked, Loaded, note_change, take
from .naming import Link, Resolved, links_of, resolve
from .reading import history_of, places_as_of, seeding, snapshot_of
from .rows import forget
from .tables import ALIASES, FACTS, INSTRUMENTS, KINDS, LOADS, TAXONOMY, micros

ALL = "all"
_MARKET = re.compile(r"[A-Z0-9][A-Z0-9_.]{0,31}")


class Reference:
    """The reference store at an SQLAlchemy URL; `clock` says when something is learned. Safe between threads."""

    def __init__(self, url: str, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))
        self._database = Database(url)

    def load(
        self,
        kind: str,
        market: str,
        frame: Any,
        effective_at: datetime | None,
        source: str,
        complete: bool = False,
        learned_at: datetime | None = None,
    ) -> Loaded:
        """Take a list of places in; it holds from `effective_at` until the next thing said of them.

        `kind` is nodes, hubs, zones or constraints; `frame` (a polars frame, or what makes one) has location_id and
        optionally name, type, region, valid_from, valid_to; other columns are attributes. An undated list (None)
        holds since ever for places never listed before, and from when it was learned for the others. A `complete` list
        ends what stands at its date and is not on it. The same list again changes nothing. Raises ReferenceRefused.
        """
        asked = self._asked(_kind(kind), market, source, effective_at, learned_at, complete)
        listing = read_list(frame, asked.kind)
        with self._database.write() as connection:
            return take(connection, asked, listing)

    def seed(self, kind: str, market: str, frame: Any, source: str, learned_at: datetime | None = None) -> Loaded:
        """Take in a list that comes with the code, as often as it starts: only what the list itself changed is news.

        So it never takes back what another source said since. Places it has no more end, if it listed them last.
        """
        asked = self._asked(_kind(kind), market, source, None, learned_at)
        nothing = isinstance(frame, pl.DataFrame) and frame.is_empty() and "location_id" in frame.columns
        listing = no_places() if nothing else read_list(frame, asked.kind)
        with self._database.write() as connection:
            return seeding(connection, asked, listing)

    def rename(
        self,
        market: str,
        old: str,
        new: str,
        at: datetime,
        source: str = "",
        name: str | None = None,
        learned_at: datetime | None = None,
    ) -> None:
        """From `at` on, id `old` is id `new`. Raises UnknownPlace, ReferenceRefused."""
        with self._database.write() as connection:
            rename(connection, self._asked("", market, source, at, learned_at), old, new, name)

    def merge(
        self,
        market: str,
        olds: Sequence[str],
        into: str,
        at: datetime,
        source: str = "",
        learned_at: datetime | None = None,
    ) -> None:
        """From `at` on, ids `olds` are part of `into`. Raises UnknownPlace, ReferenceRefused."""
        with self._database.write() as connection:
            merge(connection, self._asked("", market, source, at, learned_at), _ids(olds), into)

    def split(
        self,
        market: str,
        old: str,
        parts: Sequence[str],
        at: datetime,
        source: str = "",
        learned_at: datetime | None = None,
    ) -> None:
        """From `at` on, `parts` stand for `old`. Raises UnknownPlace, ReferenceRefused."""
        with self._database.write() as connection:
            split(connection, self._asked("", market, source, at, learned_at), old, _ids(parts))

    def resolve(self, market: str, name: str, as_of: datetime | None = None) -> Resolved:
        """The place that an id, a name or a former name means, at a moment or in the end, through renames and merges.

        Raises UnknownPlace (with the nearest names) and AmbiguousPlace (with the candidates).
        """
        with self._database.read() as connection:
            return resolve(connection, market_name(market), name, None if as_of is None else micros(as_of))

    def places(self, kind: str = ALL, market: str | None = None, as_of: datetime | None = None) -> pl.DataFrame:
        """Places that stand at `as_of`, or open-ended without it: kind, market, location_id, name, type, region,
        attributes (JSON), valid_from, valid_to, known_from, source."""
        kinds, moment = KINDS if kind.lower() == ALL else (_kind(kind),), None if as_of is None else micros(as_of)
        with self._database.read() as connection:
            return places_as_of(connection, kinds, market and market_name(market), moment)

    def history(self, market: str, location_id: str) -> pl.DataFrame:
        """Every version of a place, oldest first, columns as `places`. Raises UnknownPlace."""
        with self._database.read() as connection:
            found = history_of(connection, market_name(market), location_id)
            if not found.height:
                place = resolve(connection, market_name(market), location_id, None)
                found = history_of(connection, place.market, place.location_id)
        return found

    def links(self, market: str, location_id: str) -> list[Link]:
        """Renames, merges and splits from or to a place, oldest first."""
        with self._database.read() as connection:
            out = links_of(connection, market_name(market), "from_id", location_id)
            return sorted([*out, *links_of(connection, market_name(market), "to_id", location_id)], key=lambda x: x.at)

    def names(self, market: str, location_id: str) -> list[str]:
        """Every name a place ever had, its id among them."""
        mine = (ALIASES.c.market == market_name(market)) & (ALIASES.c.location_id == location_id)
        query = sa.select(ALIASES.c.name).where(mine)
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(ALIASES.c.known_from, ALIASES.c.name)).scalars())

    def called(self, market: str | None, names: Sequence[str]) -> list[tuple[str, str]]:
        """(name, location_id) of every place that has or had one of the names, in any case; of one market or of all."""
        folded = ALIASES.c.folded.in_([name.strip().lower() for name in names])
        query = sa.select(ALIASES.c.name, ALIASES.c.location_id).where(folded)
        query = query.where(ALIASES.c.market == market_name(market)) if market else query
        with self._database.read() as connection:
            return [(name, place) for name, place in connection.execute(query.order_by(ALIASES.c.name))]

    def every_name(self, market: str | None = None) -> list[str]:
        """Every name that a place of the market, or of any, has or had."""
        query = sa.select(ALIASES.c.name).distinct()
        query = query.where(ALIASES.c.market == market_name(market)) if market else query
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(ALIASES.c.name)).scalars())

    def markets(self) -> list[str]:
        """The markets that list places."""
        with self._database.read() as connection:
            return list(connection.execute(sa.select(LOADS.c.market).distinct().order_by(LOADS.c.market)).scalars())

    def snapshot(self, market: str) -> pl.DataFrame:
        """Every version of a market's priced places, for joins: location_id, location, location_type, region,
        valid_from, valid_to. An id that is of several kinds at once is the hub, then the zone, then the node."""
        with self._database.read() as connection:
            return snapshot_of(connection, market_name(market))

    def answer(self) -> None:
        """Raise TransientError where the database's server does not answer."""
        self._database.answer()

    def version(self, market: str | None = None) -> int:
        """A number that rises whenever something was loaded, of one market where named."""
        query = sa.select(sa.func.max(LOADS.c.id))
        query = query.where(LOADS.c.market == market_name(market)) if market else query
        with self._database.read() as connection:
            return connection.execute(query).scalar() or 0

    def together(self) -> AbstractContextManager[object]:
        """A transaction around several calls of this thread: all or nothing, on disk when the block ends."""
        return self._database.write()

    def forget(self) -> None:
        """Forget everything, because it is taken in anew; within `together`, so that nobody sees it empty."""
        with self._database.write() as connection:
            forget(connection)

    @contextmanager
    def learning(self, at: datetime) -> Iterator[None]:
        """Within the block everything is learned at one moment, whatever the clock says."""
        before, self._clock = self._clock, lambda: at
        try:
            yield
        finally:
            self._clock = before

    def put_instruments(self, frame: Any, source: str) -> int:
        """Add or change instruments: instrument, name, commodity, market; optional region, location_id, product,
        product_tier, unit, attributes (JSON). Returns how many were news."""
        rows = pl.DataFrame(frame)
        rows = rows if "attributes" in rows.columns else rows.with_columns(pl.lit("{}").alias("attributes"))
        return self._put(INSTRUMENTS, rows, ("instrument", "name", "commodity", "market"), source)

    def seed_instruments(self, frame: Any, source: str) -> int:
        """Take in instruments that come with the code, as often as it starts; what another source said stays."""
        rows = pl.DataFrame(frame)
        with self._database.write() as connection:
            there = look_up(connection, INSTRUMENTS, {}).filter(pl.col("source") != source)
            return self.put_instruments(rows.join(there, on="instrument", how="anti"), source)

    def instrument_facts(self) -> pl.DataFrame:
        """What ticks are enriched with: instrument, commodity, region, product_tier, location_id, unit.

        An instrument without a region has that of its place. Tiers are told as the taxonomy names them.
        """
        with self._database.read() as connection:
            return enriching(connection)

    def instruments(self, market: str | None = None, commodity: str | None = None) -> pl.DataFrame:
        """Instruments, of one market or commodity where named."""
        wanted = {"market": market and market_name(market), "commodity": commodity}
        with self._database.read() as connection:
            return look_up(connection, INSTRUMENTS, wanted)

    def instrument(self, instrument: str) -> dict[str, Any]:
        """One instrument. Raises UnknownPlace."""
        with self._database.read() as connection:
            found = look_up(connection, INSTRUMENTS, {"instrument": instrument})
        if not found.height:
            near = get_close_matches(instrument.upper(), self.instruments()["instrument"].to_list(), n=3)
            raise UnknownPlace(
                f"no instrument is called {instrument!r}{', did you mean ' + ', '.join(near) + '?' if near else ''}; "
                "see c254 instruments list, or take it in: c254 instruments import"
            )
        return found.row(0, named=True)

    def put_taxonomy(self, paths: Sequence[tuple[str, ...]], source: str) -> int:
        """Add (commodity, region, product tier) paths with their parents; returns how many rows were news."""
        return self._put(TAXONOMY, tiers(paths), ("path", "tier"), source)

    def seed_taxonomy(self, paths: Sequence[tuple[str, ...]], source: str) -> int:
        """Add the paths that are not there, with their parents; how those are called that are there stays."""
        with self._database.write() as connection:
            there = look_up(connection, TAXONOMY, {})
            return self._put(TAXONOMY, tiers(paths).join(there, on="path", how="anti"), ("path", "tier"), source)

    def taxonomy(self, path: str | None = None, tier: str | None = None) -> pl.DataFrame:
        """The tree (path, parent, tier, name), below `path` or of one tier where named."""
        with self._database.read() as connection:
            if path:
                found = below(connection, path)
                return found if tier is None else found.filter(pl.col("tier") == tier)
            return look_up(connection, TAXONOMY, {"tier": tier})

    def put_metadata(self, subject: str, entity: str, facts: Mapping[str, str], source: str) -> int:
        """Add or change facts of an entity (licence, homepage, …); returns how many were news."""
        rows = [{"subject": subject, "entity": entity, "key": key, "value": str(value)} for key, value in facts.items()]
        return self.put_facts(pl.DataFrame(rows), source) if rows else 0

    def put_facts(self, frame: Any, source: str) -> int:
        """Add or change facts of several entities: subject, entity, key, value; returns how many were news."""
        return self._put(FACTS, pl.DataFrame(frame), ("subject", "entity", "key", "value"), source)

    def metadata(self, subject: str | None = None, entity: str | None = None) -> pl.DataFrame:
        """Facts: subject, entity, key, value, source, known_from."""
        with self._database.read() as connection:
            return look_up(connection, FACTS, {"subject": subject, "entity": entity})

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _put(self, table: sa.Table, rows: pl.DataFrame, needed: Sequence[str], source: str) -> int:
        for name in needed:
            if name not in rows.columns or rows[name].null_count():
                raise ReferenceRefused(f"{table.name}: every row needs {name}; rows have: {', '.join(rows.columns)}")
        full = with_defaults(rows, table, source=source, known_from=micros(self._clock()))
        with self._database.write() as connection:
            news = put(connection, table, full)
            if news:
                note_change(connection, table.name, source, micros(self._clock()), news)
            return news

    def _asked(
        self, kind: str, market: str, source: str, at: datetime | None, learned: datetime | None, complete: bool = False
    ) -> Asked:
        moment, known = None if at is None else micros(at), micros(learned or self._clock())
        return Asked(kind, market_name(market), source, moment, known, complete)


def open_reference(url: str, clock: Callable[[], datetime] | None = None) -> Reference:
    """Open the store at an SQLAlchemy URL (`sqlite:///PATH`, `postgresql://…`), migrated to this code's schema.

    Raises ReferenceRefused where it does not open, or a newer version wrote it.
    """
    return Reference(url, clock)


def market_name(name: str) -> str:
    """A market as it is kept: `iso-ne` is ISONE. Raises ReferenceRefused."""
    # ISO-NE and ISONE are one market.
    found = re.sub(r"[\s-]", "", name).upper()
    if not _MARKET.fullmatch(found):
        raise ReferenceRefused(f"{name!r} is not a market; write one as the feeds do, such as PJM or ERCOT")
    return found


def _kind(name: str) -> str:
    return pick("kind of place", name, KINDS)


def _ids(given: Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(dict.fromkeys(given))
