"""Stored tables against this version's datasets: what may be added in place, and what needs a rebuild."""

from __future__ import annotations

from collections.abc import Mapping

from carbon254.errors import WorkspaceError
from carbon254.model import Column, Dataset

from .ddl import SETTINGS, TABLES, column_definition, column_type, time_to_live

_ADDABLE = ("mark", "origin", "time")


def column_changes(dataset: Dataset, stored: Mapping[str, str]) -> list[str]:
    """`ALTER TABLE` statements that bring a stored table (column → type) up to date; usually none.

    Descriptive columns are added. Raises WorkspaceError where a key or value column is new, a type changed, or a
    column is gone: rows already stored would then mean something else.
    """
    wanted = {column.name: column for column in dataset.columns}
    changed = [name for name in wanted if name in stored and _differs(wanted[name], stored[name])]
    gone = [name for name in stored if name not in wanted and name not in ("value_hash", "first", *dataset.gone)]
    new = [column for column in dataset.columns if column.name not in stored]
    hard = [column.name for column in new if column.role not in _ADDABLE or column.name in dataset.version]
    if changed or gone or hard:
        raise WorkspaceError(
            f"{TABLES}.{dataset.name} was laid out by another version ({', '.join([*changed, *gone, *hard])} differ): "
            "move the hot folder away and rebuild it with `feeds replay`"
        )
    table = f"{TABLES}.{dataset.name}"
    dropped = [f"ALTER TABLE {table} DROP COLUMN {name}" for name in dataset.gone if name in stored]
    return dropped + [f"ALTER TABLE {table} ADD COLUMN {column_definition(column)}" for column in new]


def lifetime_changes(dataset: Dataset, engine: str, keep_days: int | None) -> list[str]:
    """`ALTER TABLE` that gives a stored table (its full engine clause) the lifetime asked for; usually none."""
    wanted = time_to_live(dataset, keep_days)
    held = " TTL " in engine
    if wanted and wanted.replace("`", "") not in engine:
        return [f"ALTER TABLE {TABLES}.{dataset.name} MODIFY TTL {wanted}"]
    return [f"ALTER TABLE {TABLES}.{dataset.name} REMOVE TTL"] if held and not wanted else []


def setting_changes(dataset: Dataset, engine: str) -> list[str]:
    """`ALTER TABLE` that gives a stored table (its full engine clause) this version's settings; usually none."""
    _, _, held = engine.partition(" SETTINGS ")
    kept = dict(pair.split(" = ", 1) for pair in held.split(", ") if " = " in pair)
    changed = [f"{name} = {value}" for name, value in SETTINGS.items() if kept.get(name) != str(value)]
    return [f"ALTER TABLE {TABLES}.{dataset.name} MODIFY SETTING {', '.join(changed)}"] if changed else []


def _differs(column: Column, stored: str) -> bool:
    return column_type(column).replace(" ", "") != stored.replace(" ", "")
