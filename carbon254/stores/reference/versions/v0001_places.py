"""Places with their history, links, names, loads; instruments, taxonomy and metadata."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
_KINDS = ("nodes", "hubs", "zones", "constraints")


def upgrade() -> None:
    """Create every table of the first version."""
    for kind in _KINDS:
        _versions(kind)
    _loads()
    _links()
    _catalogue()


def downgrade() -> None:
    """Take them away again."""
    for name in (*_KINDS, "loads", "stated", "links", "aliases", "instruments", "taxonomy", "metadata"):
        op.drop_table(name)


def _id() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("id", kind, primary_key=True, autoincrement=True)


def _text(name: str, length: int | None = None, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=nullable)


def _whole(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable, autoincrement=False)


def _versions(kind: str) -> None:
    op.create_table(
        kind,
        _id(),
        _text("market", 32),
        *(_text(name) for name in ("location_id", "name", "type")),
        _text("region", nullable=True),
        _text("attributes"),
        _text("hash", 32),
        _whole("valid_from"),
        _whole("valid_to", nullable=True),
        _whole("known_from"),
        _text("source"),
    )
    op.create_index(f"{kind}_version", kind, ["market", "location_id", "valid_from"], unique=True)
    op.create_index(f"{kind}_valid", kind, ["market", "valid_to", "valid_from"])


def _loads() -> None:
    op.create_table(
        "loads",
        _id(),
        _text("kind", 16),
        _text("market", 32),
        _text("source"),
        _whole("effective_at"),
        sa.Column("complete", sa.Boolean, nullable=False),
        _text("content", 64),
        _whole("known_from"),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("opened", "closed", "corrected")),
    )
    op.create_index("loads_listed", "loads", ["market", "kind", "effective_at"])
    op.create_table(
        "stated",
        _text("market", 32),
        _text("kind", 16),
        _whole("at"),
        _text("location_id"),
        sa.PrimaryKeyConstraint("market", "kind", "at", "location_id"),
    )


def _links() -> None:
    op.create_table(
        "links",
        _id(),
        _text("market", 32),
        _text("kind", 16),
        _text("from_id"),
        _text("to_id"),
        _whole("at"),
        _text("source"),
        _whole("known_from"),
    )
    op.create_index("links_from", "links", ["market", "from_id", "to_id", "at"], unique=True)
    op.create_index("links_to", "links", ["market", "to_id"])
    op.create_table(
        "aliases",
        _text("market", 32),
        _text("name"),
        _text("location_id"),
        _text("folded"),
        _whole("known_from"),
        sa.PrimaryKeyConstraint("market", "name", "location_id"),
    )
    op.create_index("aliases_folded", "aliases", ["market", "folded"])
    op.create_index("aliases_place", "aliases", ["market", "location_id"])


def _catalogue() -> None:
    op.create_table(
        "instruments",
        sa.Column("instrument", sa.String(128), primary_key=True),
        _text("name"),
        _text("commodity", 64),
        _text("market", 32),
        _text("location_id", nullable=True),
        _text("product", 64, nullable=True),
        _text("product_tier", 64, nullable=True),
        _text("unit", 32, nullable=True),
        _text("attributes"),
        _text("source"),
        _whole("known_from"),
    )
    op.create_index("instruments_market", "instruments", ["market", "commodity"])
    op.create_table(
        "taxonomy",
        sa.Column("path", sa.String(255), primary_key=True),
        _text("parent", 255, nullable=True),
        _text("tier", 16),
        _text("name"),
        _text("source"),
        _whole("known_from"),
    )
    op.create_index("taxonomy_parent", "taxonomy", ["parent"])
    op.create_table(
        "metadata",
        _text("subject", 32),
        _text("entity", 255),
        _text("key", 64),
        _text("value"),
        _text("source"),
        _whole("known_from"),
        sa.PrimaryKeyConstraint("subject", "entity", "key"),
    )
