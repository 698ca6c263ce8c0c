"""The reference store's tables, and how instants are kept in them.

Places are slowly changing dimensions of type 2: one row a version, valid in [valid_from, valid_to). Instants are
microseconds since 1970 UTC in a BIGINT: exact and equal in SQLite and Postgres, and ordered as time is.
In SQL: `to_timestamp(valid_from / 1e6)` (Postgres), `datetime(valid_from / 1000000, 'unixepoch')` (SQLite).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from carbon254.errors import ReferenceRefused

KINDS = ("nodes", "hubs", "zones", "constraints")
# The start of `since ever`. A null would not do: two nulls are not equal in a unique index.
EVER = -(2**62)
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)

METADATA = sa.MetaData()
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _versions(name: str) -> sa.Table:
    return sa.Table(
        name,
        METADATA,
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("market", sa.String(32), nullable=False),
        sa.Column("location_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("region", sa.Text),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("hash", sa.String(32), nullable=False),
        sa.Column("valid_from", sa.BigInteger, nullable=False),
        sa.Column("valid_to", sa.BigInteger),
        sa.Column("known_from", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Index(f"{name}_version", "market", "location_id", "valid_from", unique=True),
        sa.Index(f"{name}_valid", "market", "valid_to", "valid_from"),
    )


VERSIONS = {kind: _versions(kind) for kind in KINDS}

LOADS = sa.Table(
    "loads",
    METADATA,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("market", sa.String(32), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("effective_at", sa.BigInteger, nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("content", sa.String(64), nullable=False),
    sa.Column("known_from", sa.BigInteger, nullable=False),
    sa.Column("opened", sa.Integer, nullable=False),
    sa.Column("closed", sa.Integer, nullable=False),
    sa.Column("corrected", sa.Integer, nullable=False),
    sa.Index("loads_listed", "market", "kind", "effective_at"),
)
# The moments at which a list that was not complete said something of a place. A complete list needs none: whatever
# stood at its moment, it said.
STATED = sa.Table(
    "stated",
    METADATA,
    sa.Column("market", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("location_id", sa.Text, primary_key=True),
)
LINKS = sa.Table(
    "links",
    METADATA,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("market", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("from_id", sa.Text, nullable=False),
    sa.Column("to_id", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("known_from", sa.BigInteger, nullable=False),
    sa.Index("links_from", "market", "from_id", "to_id", "at", unique=True),
    sa.Index("links_to", "market", "to_id"),
)
# Every name a place ever had, its location_id among them. `folded` is the name in lower case.
ALIASES = sa.Table(
    "aliases",
    METADATA,
    sa.Column("market", sa.String(32), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("location_id", sa.Text, primary_key=True),
    sa.Column("folded", sa.Text, nullable=False),
    sa.Column("known_from", sa.BigInteger, nullable=False),
    sa.Index("aliases_folded", "market", "folded"),
    sa.Index("aliases_place", "market", "location_id"),
)
INSTRUMENTS = sa.Table(
    "instruments",
    METADATA,
    sa.Column("instrument", sa.String(128), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("commodity", sa.String(64), nullable=False),
    sa.Column("market", sa.String(32), nullable=False),
    sa.Column("location_id", sa.Text),
    sa.Column("product", sa.String(64)),
    sa.Column("product_tier", sa.String(64)),
    sa.Column("unit", sa.String(32)),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("known_from", sa.BigInteger, nullable=False),
    sa.Column("region", sa.Text),
    sa.Index("instruments_market", "market", "commodity"),
)
TAXONOMY = sa.Table(
    "taxonomy",
    METADATA,
    sa.Column("path", sa.String(255), primary_key=True),
    sa.Column("parent", sa.String(255)),
    sa.Column("tier", sa.String(16), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("known_from", sa.BigInteger, nullable=False),
    sa.Index("taxonomy_parent", "parent"),
)
FACTS = sa.Table(
    "metadata",
    METADATA,
    sa.Column("subject", sa.String(32), primary_key=True),
    sa.Column("entity", sa.String(255), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("known_from", sa.BigInteger, nullable=False),
)


def micros(moment: datetime) -> int:
    """An instant as it is kept. Raises ReferenceRefused for one without a time zone."""
    if moment.tzinfo is None:
        raise ReferenceRefused(f"{moment} has no time zone; write an instant such as {moment.isoformat()}+00:00")
    return (moment - _EPOCH) // _MICROSECOND


def instant(kept: int | None) -> datetime | None:
    """A kept instant in UTC; None for null and for `since ever`."""
    return None if kept is None or kept == EVER else _EPOCH + kept * _MICROSECOND
