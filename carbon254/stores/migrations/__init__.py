"""Bringing a database's schema to the version this code reads and writes, by Alembic; each store has its own versions.

A new database gets today's tables at once. One that an older version made is brought over step by step, in the
transaction of the caller, who lets nobody else make tables meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from carbon254.errors import Carbon254Error, WorkspaceError

if TYPE_CHECKING:
    from alembic.config import Config


@dataclass(frozen=True, slots=True)
class Migrations:
    """A store's versions: their folder, the newest, the table that keeps which one a database has; today's tables."""

    store: str
    versions: Path
    head: str
    table: str
    tables: sa.MetaData
    setting: str
    refused: type[Carbon254Error] = WorkspaceError

    def is_current(self, connection: sa.Connection) -> bool:
        """Whether the database has the newest version."""
        return self._found(connection) == self.head

    def run(self, connection: sa.Connection) -> None:
        """Bring the database to the newest version. Raises `refused` where a newer one than that wrote it."""
        if self.is_current(connection):
            return
        if self._found(connection) is not None or self._is_begun(connection):
            self.upgrade(connection)
            return
        from alembic import command

        self.tables.create_all(connection)
        command.stamp(self._config(connection), "head")

    def upgrade(self, connection: sa.Connection) -> None:
        """Go through every version that the database lacks."""
        # Loaded only here: a database that is up to date opens without it.
        from alembic import command
        from alembic.script import ScriptDirectory

        config, found = self._config(connection), self._found(connection)
        if found is None and self._is_begun(connection):
            # From before versions were kept: tables that came since are made, those that are there go through all.
            self.tables.create_all(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise self.refused(
                f"the {self.store} database has schema {found}, and this version of carbon254 knows {self.head}: a "
                f"newer version wrote it. Open it with that version, or set {self.setting} to another database"
            )
        command.upgrade(config, "head")

    def _config(self, connection: sa.Connection) -> Config:
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.set_main_option("version_locations", str(self.versions).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        config.attributes.update(connection=connection, migrations=self)
        return config

    def _is_begun(self, connection: sa.Connection) -> bool:
        held = set(sa.inspect(connection).get_table_names())
        return any(table.name in held for table in self.tables.sorted_tables)

    def _found(self, connection: sa.Connection) -> str | None:
        if not sa.inspect(connection).has_table(self.table):
            return None
        return connection.execute(sa.text(f"SELECT version_num FROM {self.table}")).scalar()
