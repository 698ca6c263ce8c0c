"""Printing a file's normalised rows: CSV, JSON lines, or an Arrow stream, batch by batch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from carbon254.api.cells import csv_text, told_text
from carbon254.errors import NothingYet, PayloadRefused

if TYPE_CHECKING:
    from carbon254.feeds import Feed, Rows

PRICE_COLUMNS = (
    "market", "market_run", "location", "interval_start", "interval_end", "lmp", "energy", "congestion", "loss", "ghg",
    "known_at", "flags", "location_id", "revision",
)  # fmt: skip


class Account:
    """What became of a file's records, as far as that is known without a workspace."""

    def __init__(self, feed: Feed) -> None:
        from carbon254.engine.tally import Pages, Tally
        from carbon254.model import dataset

        self._pages, self._tally = Pages(), Tally(dataset(feed.stream.dataset))

    def add(self, rows: Rows, frame: pl.DataFrame, late: pl.Series) -> None:
        """Count a batch: `frame` are its observations, `late` the records that gave none of them for want of a time."""
        self._pages.add(rows.counted)
        for line in rows.rejects["line"]:
            if line is None:
                self._tally.refuse()
        marked = self._tally.take(rows, frame, late)
        if marked.height:
            self._tally.goes_out(marked, {})
        self._tally.close()

    def told(self) -> str:
        """The counts, and of how much the file is a part; empty where every record was read and nothing lacks."""
        tally, part = self._tally, self._pages.part
        if tally.out == tally.records and not part:
            return ""
        counts = {"read": tally.out, "duplicate": tally.duplicate, "rejected": tally.rejected}
        told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        more = f"; {part}, the rest is on other pages" if part else ""
        return f"{tally.records:,} records: {told}{more}"


def batches(
    feed: Feed, name: str, data: bytes, account: Account | None = None
) -> Iterator[tuple[pl.DataFrame, list[tuple[int | None, str, str]]]]:
    """(rows, rejects as (line, reason, raw)) of each batch of a payload. Raises PayloadRefused."""
    from carbon254.stages import normalise

    for rows in feed.read(name, data):
        if rows.frame.is_empty():
            if account is not None:
                account.add(rows, rows.frame, pl.Series([], dtype=pl.Int64))
            yield pl.DataFrame(), list(rows.rejects.iter_rows())
            continue
        done = normalise(rows.frame, feed.stream)
        if account is not None:
            account.add(rows, done.frame, done.rejects["line"])
        late = done.rejects.join(rows.frame, on="line", how="left", maintain_order="left")
        bad = [*rows.rejects.iter_rows(), *((row["line"], row["reason"], "") for row in late.iter_rows(named=True))]
        yield shape(done.frame, feed), sorted(bad, key=lambda reject: reject[0] or 0)


def shape(frame: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """The columns that are printed, in their order. `known_at` is what the payload states, else empty."""
    if feed.stream.dataset != "interval_prices":
        return frame.drop("line", strict=False)
    stated = pl.col("published_at") if "published_at" in frame.columns else pl.lit(None)
    known = stated.cast(pl.Datetime("us", "UTC")).alias("known_at")
    return frame.with_columns(known).select(PRICE_COLUMNS)


class Printer:
    """Writes frames to standard output in one format; the first frame brings the header."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._writer: Any = None
        self._schema: pa.Schema | None = None
        self._columns: list[str] = []

    def write(self, frame: pl.DataFrame, zone: str) -> None:
        """Write one batch, its times told in `zone`. Raises PayloadRefused where its columns are not the first one's.

        An Arrow stream has one schema: its times stay in the zone of the first batch.
        """
        if not frame.width:
            return
        if self._columns and frame.columns != self._columns:
            raise PayloadRefused("its columns are not those of the files before it; print it by itself")
        frame = told_in(frame, zone)
        if self._form == "arrow":
            self._stream(frame.to_arrow())
        elif self._form == "csv":
            sys.stdout.write(csv_text(told_text(as_text(frame), zone), header=not self._columns))
        elif frame.height:
            sys.stdout.write(told_text(as_text(frame), zone).write_ndjson())
        self._columns = frame.columns

    def _stream(self, table: pa.Table) -> None:
        if self._schema is None:
            self._schema = table.schema
            self._writer = pa.ipc.new_stream(sys.stdout.buffer, table.schema)
        self._writer.write_table(table.cast(self._schema))

    def close(self) -> None:
        """Finish the stream."""
        if self._writer is not None:
            self._writer.close()
        sys.stdout.flush()


def told_in(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """The same instants told in `zone`."""
    timed = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone]
    return frame if zone == "UTC" else frame.with_columns(pl.col(name).dt.convert_time_zone(zone) for name in timed)


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Instants as ISO 8601: `Z` for UTC, an offset elsewhere, parts of a second only where there are any."""
    timed = {name: kind.time_zone for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)}
    texts = []
    for name, zone in timed.items():
        mark = "Z" if zone == "UTC" else "%:z" if zone else ""
        whole = pl.col(name).dt.strftime(f"%Y-%m-%dT%H:%M:%S{mark}")
        exact = pl.col(name).dt.strftime(f"%Y-%m-%dT%H:%M:%S%.6f{mark}")
        texts.append(pl.when(pl.col(name).dt.microsecond() == 0).then(whole).otherwise(exact).alias(name))
    return frame.with_columns(texts)


def choose(name: str, data: bytes, topic: str | None) -> Feed:
    """The feed a file belongs to: the one named, else the one candidate that understands it.

    Where several do, a feed whose own market run is the file's comes before those that merely take it too.
    Raises PayloadRefused listing the candidates where none or several are left.
    """
    from carbon254.feeds import candidates, explained, feed

    if topic:
        return feed(topic)
    found = candidates(name, data)
    if not found:
        why = explained(name, data)
        raise type(why)(f"{name}: {why}")
    if len(found) == 1:
        return feed(found[0])
    if all(feed(topic).unpublished(name, data) for topic in found):
        raise NothingYet(f"{name}: {feed(found[0]).unpublished(name, data)}")
    runs = {topic: run for topic in found if (run := _run_of(topic, name, data)) is not None}
    own = [topic for topic, run in runs.items() if run == feed(topic).stream.market_run]
    understood = own if len(own) == 1 else list(runs)
    if len(understood) != 1:
        named = ", ".join(understood or found)
        raise PayloadRefused(f"{name}: it may belong to {named}; name one with --feed")
    return feed(understood[0])


def _run_of(topic: str, name: str, data: bytes) -> str | None:
    """The market run that a file states in its first row, as this feed reads it; empty where it has none.

    None if the feed cannot read it. What the card says of every row of its feed is no statement of the file.
    """
    from carbon254.feeds import feed

    try:
        read = (rows.frame for rows in feed(topic).read(name, data) if rows.frame.height)
        frame = next(read, pl.DataFrame())
    except PayloadRefused:
        return None
    return frame["market_run"][0] or "" if "market_run" in frame.columns else ""
