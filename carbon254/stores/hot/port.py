"""What the hot store promises: fast inserts that may be repeated, and SQL for readers that can only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Limits:
    """What one reader's query may use. Going beyond any of them raises QueryRefused; nothing is cut off silently.

    Of its memory the engine has three quarters, the rest is for the answer on its way to the reader.
    """

    max_rows: int = 1_000_000
    seconds: float = 30.0
    memory_bytes: int = 2 << 30
    answer_bytes: int = 256 << 20

    @property
    def engine_bytes(self) -> int:
        """What the engine may use."""
        return self.memory_bytes * 3 // 4

    @property
    def whole_bytes(self) -> int:
        """How large an answer may be that is held whole instead of being handed on as it comes."""
        return min(self.answer_bytes, self.memory_bytes // 4)


class Hot(Protocol):
    """Tables of every dataset in `store`, readers' views in `commodity_data`.

    A partition is named by text: `YYYY-MM` (calendar month, UTC) for datasets by instant, `YYYY` for those by date.
    """

    def ensure(self) -> None:
        """Create databases, tables and views; adds new descriptive columns. Safe to repeat."""
        ...

    def insert(self, dataset: str, table: pa.Table, token: str, staged: bool = False) -> int:
        """Store rows, once per (token, partition); gives the rows handed over. Each partition becomes visible whole.

        A token seen before in the partition is skipped, also after a crash and in another process: it must name the
        content and the build. `staged` writes into the staging table instead.
        """
        ...

    def query(self, sql: str, params: dict[str, Any] | None = None, limits: Limits | None = None) -> pa.Table:
        """One reading statement; `params` fill `{name:Type}`. Raises QueryRefused with what to do."""
        ...

    def command(self, sql: str) -> Any:
        """A statement of our own, unguarded. Never hand it text from outside."""
        ...

    def staging(self, dataset: str) -> None:
        """Start a fresh, empty staging table for a rebuild."""
        ...

    def replace_partition(self, dataset: str, partition: str) -> None:
        """Put the staged partition in the place of the live one; readers see one or the other, never a mix."""
        ...

    def count(self, dataset: str, partition: str | None = None) -> int:
        """Distinct stored rows, all versions included."""
        ...

    def partitions(self, dataset: str) -> list[str]:
        """Partitions that hold rows, in order."""
        ...

    def hash(self, dataset: str) -> str:
        """Canonical hash of what readers see: equal for equal data whatever the order of arrival; hexadecimal."""
        ...

    def close(self) -> None:
        """Let go of the folder or server; the store cannot be used afterwards."""
        ...
