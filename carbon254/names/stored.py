"""Names that the hot store holds: read once, and again when the table has changed and a name was not among them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pyarrow as pa

Fetch = Callable[[str], pa.Table]
Row = tuple[str, ...]


class StoredNames:
    """Distinct values of columns of the stored tables. Safe between threads.

    `fetch` runs a statement of our own. A name that was stored once stays a name, so what was read is trusted for what
    it has; only before a name is called unknown is the table looked at again, if its parts are others since.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, Row], tuple[object, frozenset[Row]]] = {}

    def rows(self, table: str, *columns: str, fresh: bool = False) -> frozenset[Row]:
        """Distinct rows of the columns, every version and market day counted; `fresh` as the table is now."""
        key = table, columns
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and not fresh:
                return kept[1]
            parts = self._parts(table)
            if kept is None or kept[0] != parts:
                kept = parts, self._read(table, columns)
                self._kept[key] = kept
            return kept[1]

    def _parts(self, table: str) -> object:
        """Changes with every insert, merge and swap of the table; read from the engine's own books."""
        found = self._fetch(
            "SELECT count() AS n, sum(rows) AS r, max(modification_time) AS at, sum(cityHash64(name)) AS names "
            f"FROM system.parts WHERE database = 'store' AND table = '{table}' AND active"
        )
        return tuple(found.to_pylist()[0].values())

    def _read(self, table: str, columns: Row) -> frozenset[Row]:
        told = ", ".join(f"CAST({name}, 'String') AS {name}" for name in columns)
        found = self._fetch(f"SELECT {told} FROM (SELECT DISTINCT {', '.join(columns)} FROM store.{table})")
        return frozenset(zip(*(column.to_pylist() for column in found.columns), strict=True))
