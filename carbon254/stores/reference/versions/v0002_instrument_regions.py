"""Where an instrument is priced, said by the instrument itself: not every one is of a listed place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the region; those there are get none."""
    op.add_column("instruments", sa.Column("region", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("instruments", "region")
