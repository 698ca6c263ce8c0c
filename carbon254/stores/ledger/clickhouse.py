"""The ledger's history and audit trail on ClickHouse: kept long, asked by SQL, never the one that decides.

ClickHouse has no compare-and-set: two writers can both see the old state and both write the new one. So states are not
checked here and no leases are given; `capability` says so. What is noted, changed and done is kept by key, so that
shipping it twice changes nothing. The engine is handed in, because a process holds one embedded engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa

from .folding import digest_of
from .port import Act, Capability, Change, Entry, Noted
from .standing import checksum
from .tables import moment_of, text_of

DATABASE = "ledger"
_NO_SWAP = "ClickHouse has no compare-and-set; keep the ledger on SQLite or Postgres (C254_LEDGER_URL)"
_HISTORY_ONLY = "it keeps history only; ask the ledger on SQLite or Postgres"
CAPABILITY = Capability(
    "clickhouse",
    {
        "transitions": _NO_SWAP,
        "leases": _NO_SWAP,
        "cells": _HISTORY_ONLY,
        "builds": _HISTORY_ONLY,
        "counts": _HISTORY_ONLY,
    },
)
_TABLES = {
    "parts": (
        "feed String, partition String, payload String, rows Int64, watermark String, received_at String",
        "feed, partition, payload",
    ),
    "history": (
        "feed String, partition String, state String, at String, turn Int64, note String",
        "feed, partition, at, turn, state",
    ),
    "audit": (
        "at String, who String, what String, feed String, partition String, why String",
        "at, who, what, feed, partition, why",
    ),
}


class Engine(Protocol):
    """What runs statements of our own: the hot store does."""

    def command(self, sql: str) -> Any: ...
    def fetch(self, sql: str) -> pa.Table: ...
    def keep_names(self) -> None: ...


class ClickHouseLedger:
    """See `port.LedgerStore`. `close` leaves the engine to its owner."""

    capability = CAPABILITY

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        engine.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        for name, (columns, order) in _TABLES.items():
            engine.command(
                f"CREATE TABLE IF NOT EXISTS {DATABASE}.{name} ({columns}) "
                f"ENGINE = ReplacingMergeTree ORDER BY ({order}) "
                "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
            )
        engine.keep_names()

    def complete(self, noted: Sequence[Noted], at: datetime) -> None:
        """Batches of payloads reached their partitions. Those already noted change nothing."""
        if not noted:
            return
        first = {(part.feed, part.partition, part.payload): part for part in reversed(noted)}
        held = self._held(list(first))
        new = [part for key, part in first.items() if key not in held]
        names = ("feed", "partition", "payload", "rows", "watermark", "received_at")
        self._insert("parts", [tuple(getattr(part, name) for name in names) for part in new])
        last = {(entry.feed, entry.partition): entry.state for entry in self.entries(limit=1_000_000)}
        days = dict.fromkeys((part.feed, part.partition) for part in new)
        changed = [(*day, "completed", text_of(at), 0, "") for day in days if last.get(day) != "completed"]
        self._insert("history", changed)

    def entries(
        self, feed: str | None = None, partition: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[Entry]:
        """How partitions stand by their last change of state, newest partition first; attempts are not known (0)."""
        rows = self._rows(
            "SELECT feed, partition, argMax(state, (at, turn)) AS last, max(at) AS stamp, "
            f"argMax(note, (at, turn)) AS told FROM {DATABASE}.history FINAL {_where(feed, partition)} "
            f"GROUP BY feed, partition {'HAVING last = ' + _text(state) if state else ''} "
            f"ORDER BY partition DESC, feed LIMIT {int(limit)}"
        )
        return [self._entry(row) for row in rows]

    def watermark(self, feed: str, partition: str | None = None) -> datetime | None:
        """The end of the newest interval received; None before any."""
        (row,) = self._rows(f"SELECT max(watermark) AS mark FROM {DATABASE}.parts FINAL {_where(feed, partition)}")
        return moment_of(row["mark"])

    def totals(self) -> dict[str, tuple[int, int, datetime | None]]:
        """(payload batches, rows, watermark) of each feed."""
        rows = self._rows(
            f"SELECT feed, count() AS payloads, sum(rows) AS total, max(watermark) AS mark FROM {DATABASE}.parts FINAL "
            "GROUP BY feed ORDER BY feed"
        )
        return {row["feed"]: (row["payloads"], row["total"], moment_of(row["mark"])) for row in rows}

    def history(self, feed: str, partition: str) -> list[tuple[str, datetime, str]]:
        """(state, when, note) of each change, oldest first."""
        rows = self._rows(
            f"SELECT state, at, note FROM {DATABASE}.history FINAL {_where(feed, partition)} ORDER BY at, turn"
        )
        return [(row["state"], datetime.fromisoformat(row["at"]), row["note"]) for row in rows]

    def changes(self, feed: str, partition: str | None = None, limit: int = 100) -> list[Change]:
        """Changes of state of one partition, or of all of the feed, newest first."""
        where = _where(feed, partition)
        rows = self._rows(
            f"SELECT partition, state, at, note FROM {DATABASE}.history FINAL {where} "
            f"ORDER BY at DESC, turn DESC LIMIT {int(limit)}"
        )
        return [Change(r["partition"], r["state"], datetime.fromisoformat(r["at"]), r["note"]) for r in rows]

    def keep_history(self, feed: str, partition: str, changes: Sequence[tuple[str, datetime, str]]) -> None:
        """Take over changes that a deciding ledger made; those already kept change nothing."""
        turns: Counter[datetime] = Counter()
        rows: list[tuple[str | int, ...]] = []
        for state, at, note in changes:
            rows.append((feed, partition, state, text_of(at), turns[at], note))
            turns[at] += 1
        self._insert("history", rows)

    def record(self, acts: Sequence[Act]) -> None:
        """Add to the audit trail; an act that is there already is the same act."""
        self._insert("audit", [(text_of(a.at), a.who, a.what, a.feed, a.partition, a.why) for a in acts])

    def trail(self, feed: str | None = None, partition: str | None = None, limit: int = 100) -> list[Act]:
        """The audit trail, newest first."""
        where = _where(feed, partition)
        rows = self._rows(f"SELECT * FROM {DATABASE}.audit FINAL {where} ORDER BY at DESC LIMIT {int(limit)}")
        return [Act(**{**row, "at": datetime.fromisoformat(row["at"])}) for row in rows]

    def prune(self, before: datetime) -> int:
        """Forget history and acts older than `before`; how many lines."""
        total = 0
        for name in ("history", "audit"):
            where = f"WHERE at < {_text(text_of(before))}"
            total += self._rows(f"SELECT count() AS n FROM {DATABASE}.{name} FINAL {where}")[0]["n"]
            self._engine.command(f"DELETE FROM {DATABASE}.{name} {where}")
        return total

    def close(self) -> None:
        """Nothing: the engine is its owner's."""

    def _held(self, keys: Sequence[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
        listed = ", ".join(f"({', '.join(map(_text, key))})" for key in keys)
        rows = self._rows(
            f"SELECT feed, partition, payload FROM {DATABASE}.parts WHERE (feed, partition, payload) IN ({listed})"
        )
        return {(row["feed"], row["partition"], row["payload"]) for row in rows}

    def _entry(self, row: dict[str, Any]) -> Entry:
        parts = self._rows(f"SELECT * FROM {DATABASE}.parts FINAL {_where(row['feed'], row['partition'])}")
        received = [part["received_at"] for part in parts]
        return Entry(
            row["feed"], row["partition"], row["last"], 0, 1, datetime.fromisoformat(row["stamp"]).astimezone(UTC),
            row["told"], len(parts), sum(part["rows"] for part in parts),
            moment_of(max((part["watermark"] for part in parts), default=None)),
            moment_of(min(received, default=None)), moment_of(max(received, default=None)),
            checksum(len(parts), digest_of(part["payload"] for part in parts)),
        )  # fmt: skip

    def _insert(self, table: str, rows: Sequence[tuple[str | int, ...]]) -> None:
        if rows:
            values = ", ".join(f"({', '.join(map(_text, row))})" for row in rows)
            self._engine.command(f"INSERT INTO {DATABASE}.{table} VALUES {values}")

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return self._engine.fetch(sql).to_pylist()


def open_history(engine: Engine) -> ClickHouseLedger:
    """The history and audit backend on an open engine."""
    return ClickHouseLedger(engine)


def _where(feed: str | None, partition: str | None) -> str:
    parts = [f"{name} = {_text(value)}" for name, value in (("feed", feed), ("partition", partition)) if value]
    return f"WHERE {' AND '.join(parts)}" if parts else ""


def _text(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
