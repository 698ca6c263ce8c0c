"""Columns that the first ledgers lacked: the code of runs and the cells of parts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
_LATE = {"runs": sa.Column("code", sa.String(80)), "parts": sa.Column("cells", sa.Text())}


def upgrade() -> None:
    """Add what lacks, empty in the rows there are."""
    db = op.get_bind()
    for table, column in _LATE.items():
        if column.name not in {one["name"] for one in sa.inspect(db).get_columns(table)}:
            op.add_column(table, sa.Column(column.name, column.type, nullable=False, server_default=""))


def downgrade() -> None:
    """The columns stay: older code does not mind them."""
