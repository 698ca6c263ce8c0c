"""Alembic runs this to migrate; the connection and its transaction are the caller's."""

from __future__ import annotations

from alembic import context

from carbon254.stores.reference.migrations import VERSION_TABLE
from carbon254.stores.reference.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=False,
)
context.run_migrations()
