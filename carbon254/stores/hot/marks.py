"""The hot store's marks: how far it has come in which log, as a table of a few rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from carbon254.stores.marks import Mark

from .ddl import SETTINGS, TABLES
from .literal import literal

NAME = f"{TABLES}.marks"
CREATE = (
    f"CREATE TABLE IF NOT EXISTS {NAME} (workspace String, log String, offset UInt64) "
    "ENGINE = ReplacingMergeTree(offset) ORDER BY (workspace, log) "
    f"SETTINGS {', '.join(f'{name} = {value}' for name, value in SETTINGS.items())}"
)


def read(fetch: Callable[[str], pa.Table]) -> list[Mark]:
    """Every mark."""
    found = fetch(f"SELECT workspace, log, max(offset) AS offset FROM {NAME} GROUP BY workspace, log")
    return [Mark(row["workspace"], row["log"], int(row["offset"])) for row in found.to_pylist()]


def keep(command: Callable[[str], Any], mark: Mark) -> None:
    """Keep a mark; a lower one than that of the same workspace and log changes nothing."""
    row = f"({literal(mark.workspace)}, {literal(mark.log)}, {mark.offset})"
    command(f"INSERT INTO {NAME} (workspace, log, offset) VALUES {row}")
