"""Alembic runs this to migrate; the connection and its transaction are the caller's."""

from __future__ import annotations

from alembic import context

_given = context.config.attributes
context.configure(
    connection=_given["connection"],
    target_metadata=_given["migrations"].tables,
    version_table=_given["migrations"].table,
    transactional_ddl=False,
)
context.run_migrations()
