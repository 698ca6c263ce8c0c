"""What became of each source record of a payload: stored, confirmed, duplicate, rejected or held; exactly one of them.

A record is what a payload lists: a line of a CSV file, an item of a JSON list, an element of an XML collection. Header,
comment, trailer and blank lines are none. A record may give several rows (a line with 24 hours), and several records
one row (a line a component); `Rows.merged` tells which records went into which row, `Rows.repeats` which of them only
repeat another of the same payload.

* rejected: it, or the record that carries the price it belongs to, cannot be read; a dead letter has the reason. What
  cannot be told apart into records, a payload that is refused or a member of an archive, is one record.
* held: a row of it is held back by the gate.
* stored: a row of it says something new.
* confirmed: everything it says was known from earlier payloads.
* duplicate: everything it says is said by another record of the same payload.

Where several apply, the first of this list counts. Which rows say something new is only known where rows are stored:
the tally leaves those records out (`out`), and the projector tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from carbon254.model import Dataset

from .codec import pack_numbers
from .source import Counted

_REJECTED, _HELD, _OUT, _DUPLICATE = 4, 3, 2, 1
AGAIN = "_again"


@dataclass
class Pages:
    """Pages of a payload, which add up; what they lack of what they announce makes it a part of a statement."""

    given: int = 0
    announced: int = 0
    last: Counted | None = None

    def add(self, counted: Counted | None) -> None:
        """Count a page, where it says of how many rows it is one."""
        if counted is not None:
            self.given, self.last = self.given + counted.given, counted
            self.announced = max(self.announced, counted.announced or 0)

    @property
    def part(self) -> str:
        """Of how much the payload is a part, like `page 1 of 3: 25 of 48 rows`; empty where it is whole."""
        if self.last is None or self.given >= self.announced:
            return ""
        return str(self.last) if self.given == self.last.given else f"{self.given:,} of {self.announced:,} rows"


@dataclass
class Tally:
    """Counts of one payload, batch by batch. `records` is the sum of the other four."""

    dataset: Dataset
    records: int = 0
    rejected: int = 0
    held: int = 0
    duplicate: int = 0
    out: int = 0
    _said: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    _rows: list[pl.DataFrame] = field(default_factory=list)
    _headers: list[dict[str, Any]] = field(default_factory=list)

    def mark(self, frame: pl.DataFrame) -> pl.DataFrame:
        """`frame` with AGAIN: true for rows that an earlier row of the payload says already, key and values."""
        names = {one.name for one in self.dataset.columns if one.role in ("key", "value")} | {"revision"}
        hashes = frame.select(name for name in frame.columns if name in names).hash_rows()
        again = ~hashes.is_first_distinct() | pl.Series(np.isin(hashes.to_numpy(), self._said))
        self._said = np.concatenate([self._said, hashes.unique().to_numpy()])
        return frame.with_columns(again.alias(AGAIN))

    def goes_out(self, frame: pl.DataFrame, headers: dict[str, Any]) -> None:
        """Rows of the batch under way went out; `headers` of their record get the lines they come from."""
        if "line" in frame.columns:
            self._note(frame, pl.when(AGAIN).then(_DUPLICATE).otherwise(_OUT))
            headers["lines"] = pack_numbers(frame["line"].to_numpy())
            self._headers.append(headers)

    def stays(self, frame: pl.DataFrame) -> None:
        """Rows of the batch under way are held."""
        if "line" in frame.columns:
            self._note(frame, pl.lit(_HELD))

    def close(self, rejected: pl.Series, merged: pl.DataFrame | None, repeats: pl.Series | None) -> None:
        """End the batch: `rejected` are its records without rows of their own, for want of a reason to stand."""
        plain = not len(rejected) and merged is None and not (repeats is not None and len(repeats))
        if plain and self._all_out():
            return
        empty = pl.DataFrame(schema={"line": pl.Int64, "fate": pl.Int32})
        rows = pl.concat([empty, *self._rows])
        by_line = rows.group_by("line").agg(pl.col("fate").max())
        lost = rejected.drop_nulls().cast(pl.Int64).unique().alias("line").to_frame()
        own = pl.concat([by_line.select("line"), lost]).unique().select(record="line", line="line")
        bad = lost.with_columns(pl.lit(True).alias("bad"))
        own = own.join(by_line, on="line", how="left").join(bad, on="line", how="left")
        own = own.with_columns(pl.when("bad").then(_REJECTED).otherwise("fate").cast(pl.Int32).alias("fate"))
        pairs = own.select("record", "line", "fate")
        if merged is not None and merged.height:
            more = merged.join(by_line, on="line", how="left").join(bad, on="line", how="left")
            more = more.with_columns(pl.coalesce("fate", pl.when("bad").then(_REJECTED)).cast(pl.Int32).alias("fate"))
            pairs = pl.concat([pairs, more.select("record", "line", "fate")])
        if repeats is not None and len(repeats):
            told = pl.DataFrame({"record": repeats, "line": repeats}, schema={"record": pl.Int64, "line": pl.Int64})
            pairs = pl.concat([pairs, told.with_columns(pl.lit(_DUPLICATE, dtype=pl.Int32).alias("fate"))])
        self._count(pairs, plain=merged is None)
        self._rows, self._headers = [], []

    def refuse(self) -> None:
        """What cannot be read as records at all, a payload or the rest of it, is one record that is rejected."""
        self.records, self.rejected = self.records + 1, self.rejected + 1

    def _all_out(self) -> bool:
        """Count a batch as most are: each of its rows has a line of its own and goes out. False where it is another."""
        if len(self._rows) != 1 or not self._headers:
            return False
        (rows,) = self._rows
        if not (rows["fate"] == _OUT).all() or rows["line"].n_unique() < rows.height:
            return False
        self.records, self.out = self.records + rows.height, self.out + rows.height
        self._rows, self._headers = [], []
        return True

    def _note(self, frame: pl.DataFrame, fate: pl.Expr) -> None:
        self._rows.append(frame.select(pl.col("line").cast(pl.Int64), fate.cast(pl.Int32).alias("fate")))

    def _count(self, pairs: pl.DataFrame, plain: bool) -> None:
        fates = pairs.group_by("record").agg(pl.col("fate").max())
        counts = dict(fates["fate"].value_counts().iter_rows())
        self.records += fates.height
        self.rejected += counts.get(_REJECTED, 0)
        self.held += counts.get(_HELD, 0)
        self.duplicate += counts.get(_DUPLICATE, 0)
        self.out += counts.get(_OUT, 0)
        if not self._headers or (plain and counts.get(_OUT, 0) == fates.height):
            return
        out = fates.filter(pl.col("fate") == _OUT).select("record")
        told = pairs.join(out, on="record", how="semi").sort("record", "line")
        for headers in self._headers:
            headers["records"] = pack_numbers(told["record"].to_numpy())
            headers["of_lines"] = pack_numbers(told["line"].to_numpy())
