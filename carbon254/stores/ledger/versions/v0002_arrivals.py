"""Counts go by the arrival of a payload: before, by its place in the raw log, which another log gives to others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from carbon254.model.arrival import arrival_number, arrival_of

revision = "0002"
down_revision = "0001"
_COUNTS = sa.table(
    "counts", *(sa.column(name) for name in ("feed", "payload", "batch", "sha256", "received_at"))
)  # fmt: skip
# Places in a log never come near this; numbers of arrivals rarely lie below.
_PLACES = 1 << 40


def upgrade() -> None:
    """Number each payload by its arrival."""
    db = op.get_bind()
    older = sa.select(_COUNTS.c.feed, _COUNTS.c.payload, _COUNTS.c.sha256, _COUNTS.c.received_at)
    for feed, place, sha256, received in db.execute(older.where(_COUNTS.c.payload < _PLACES).distinct()).all():
        number = arrival_number(feed, arrival_of(received, sha256))
        mine = (_COUNTS.c.feed == feed) & (_COUNTS.c.payload == place) & (_COUNTS.c.sha256 == sha256)
        db.execute(sa.update(_COUNTS).where(mine).values(payload=number))


def downgrade() -> None:
    """Nothing: the place is not known any more."""
