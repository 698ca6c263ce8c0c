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
from .source import Counted, ParsedRows

_REJECTED, _HELD, _OUT, _DUPLICATE = 4, 3, 2, 1
AGAIN, RECORD = "_again", "_record"


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
    """Counts of one payload. `records` is the sum of the other four, once the tally is closed.

    Records are numbered through the payload: the lines of a batch behind those of the batches before it.
    """

    dataset: Dataset
    records: int = 0
    rejected: int = 0
    held: int = 0
    duplicate: int = 0
    out: int = 0
    _base: int = 0
    _said: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    _lost: list[pl.Series] = field(default_factory=list)
    _merged: list[pl.DataFrame] = field(default_factory=list)
    _repeats: list[pl.Series] = field(default_factory=list)
    _rows: list[pl.DataFrame] = field(default_factory=list)
    _headers: list[dict[str, Any]] = field(default_factory=list)

    def take(self, rows: ParsedRows, frame: pl.DataFrame, late: pl.Series) -> pl.DataFrame:
        """Count a batch in; `frame` are its observations, `late` records that gave none. The frame comes back with
        RECORD, its rows' records, and AGAIN: true where an earlier row of the payload has the same key and values."""
        base, lost = self._base, pl.concat([rows.rejects["line"].cast(pl.Int64), late.cast(pl.Int64)]).drop_nulls()
        ends = [lost.max(), frame["line"].max() if "line" in frame.columns else None]
        if len(lost):
            self._lost.append(lost + base)
        if rows.merged is not None and rows.merged.height:
            self._merged.append(rows.merged.select(pl.col("record", "line") + base))
            ends += [rows.merged["record"].max(), rows.merged["line"].max()]
        if rows.repeats is not None and len(rows.repeats):
            self._repeats.append(rows.repeats.cast(pl.Int64) + base)
            ends.append(rows.repeats.max())
        self._base += max((int(end) for end in ends if end is not None), default=0)  # type: ignore[arg-type]
        if "line" not in frame.columns or not frame.height:
            return frame
        return self._marked(frame).with_columns((pl.col("line").cast(pl.Int64) + base).alias(RECORD))

    def goes_out(self, frame: pl.DataFrame, headers: dict[str, Any]) -> None:
        """Rows went out; `headers` of their record get the records they come from."""
        if RECORD in frame.columns:
            self._note(frame, pl.when(AGAIN).then(_DUPLICATE).otherwise(_OUT))
            headers["lines"] = pack_numbers(frame[RECORD].to_numpy())
            self._headers.append(headers)

    def stays(self, frame: pl.DataFrame) -> None:
        """Rows are held."""
        if RECORD in frame.columns:
            self._note(frame, pl.lit(_HELD))

    def refuse(self) -> None:
        """What cannot be read as records at all, a payload or the rest of it, is one record that is rejected."""
        self.records, self.rejected = self.records + 1, self.rejected + 1

    def close(self) -> None:
        """Count what was taken, once it is known which rows went out and which stay."""
        if not (self._lost or self._merged or self._repeats) and self._all_out():
            return
        empty = pl.DataFrame(schema={"line": pl.Int64, "fate": pl.Int32})
        by_line = pl.concat([empty, *self._rows]).group_by("line").agg(pl.col("fate").max())
        lost = pl.concat([empty["line"], *self._lost]).unique().alias("line").to_frame()
        bad = lost.with_columns(pl.lit(True).alias("bad"))
        own = pl.concat([by_line.select("line"), lost]).unique().select(record="line", line="line")
        own = own.join(by_line, on="line", how="left").join(bad, on="line", how="left")
        fates = [own.with_columns(pl.when("bad").then(_REJECTED).otherwise("fate").cast(pl.Int32).alias("fate"))]
        if self._merged:
            more = pl.concat(self._merged).join(by_line, on="line", how="left").join(bad, on="line", how="left")
            told = pl.coalesce("fate", pl.when("bad").then(_REJECTED)).cast(pl.Int32)
            fates.append(more.with_columns(told.alias("fate")))
        if self._repeats:
            again = pl.concat(self._repeats)
            told = pl.DataFrame({"record": again, "line": again})
            fates.append(told.with_columns(pl.lit(_DUPLICATE, dtype=pl.Int32).alias("fate")))
        self._count(pl.concat([one.select("record", "line", "fate") for one in fates]))
        self._forget()

    def _marked(self, frame: pl.DataFrame) -> pl.DataFrame:
        names = {one.name for one in self.dataset.columns if one.role in ("key", "value")} | {"revision"}
        hashes = frame.select(name for name in frame.columns if name in names).hash_rows()
        again = ~hashes.is_first_distinct() | pl.Series(np.isin(hashes.to_numpy(), self._said))
        self._said = np.concatenate([self._said, hashes.unique().to_numpy()])
        return frame.with_columns(again.alias(AGAIN))

    def _all_out(self) -> bool:
        """Count a payload as most are: each row has a record of its own and goes out. False where it is another."""
        if not self._headers:
            return False
        rows = pl.concat(self._rows)
        if not (rows["fate"] == _OUT).all() or rows["line"].n_unique() < rows.height:
            return False
        self.records, self.out = self.records + rows.height, self.out + rows.height
        self._forget()
        return True

    def _forget(self) -> None:
        self._lost, self._merged, self._repeats, self._rows, self._headers = [], [], [], [], []

    def _note(self, frame: pl.DataFrame, fate: pl.Expr) -> None:
        self._rows.append(frame.select(pl.col(RECORD).alias("line"), fate.cast(pl.Int32).alias("fate")))

    def _count(self, pairs: pl.DataFrame) -> None:
        fates = pairs.group_by("record").agg(pl.col("fate").max())
        counts = dict(fates["fate"].value_counts().iter_rows())
        self.records += fates.height
        self.rejected += counts.get(_REJECTED, 0)
        self.held += counts.get(_HELD, 0)
        self.duplicate += counts.get(_DUPLICATE, 0)
        self.out += counts.get(_OUT, 0)
        out = fates.filter(pl.col("fate") == _OUT).select("record")
        told = pairs.join(out, on="record", how="semi").sort("record", "line")
        for headers in self._headers:
            headers["records"] = pack_numbers(told["record"].to_numpy())
            headers["of_lines"] = pack_numbers(told["line"].to_numpy())
