"""Answers as JSON, CSV or an Arrow stream, written batch by batch while the engine works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
from fastapi import HTTPException, Response

from carbon254.errors import QueryRefused
from carbon254.model.plain import pieces, readable
from carbon254.stores.hot import HotStore

from .asked import MOST_ROWS
from .cells import csv_line, csv_text, json_values, told_text
from .spool import Spool, SpooledResponse, sealed

JSON_ROWS = 10_000
_ARROW = "application/vnd.apache.arrow.stream"
_KINDS = {"json": "application/json", "csv": "text/csv", "arrow": _ARROW}
# What is put into text at once: polars and its text take several times as much beside it.
_AT_ONCE = 8 << 20
_LONGEST_ROW = 32 << 20


class Format(StrEnum):
    """How an answer is written."""

    json = "json"
    csv = "csv"
    arrow = "arrow"

    @classmethod
    def _missing_(cls, value: object) -> Format | None:
        wanted = str(value).lower()
        return next((one for one in cls if one.value == wanted), None)


@dataclass
class Answer:
    """Rows that are written, and what is said beside them: `facts` before the rows of JSON, `notes` behind them."""

    form: Format
    spool: Spool
    rows: int
    more: bool
    facts: dict[str, object] = field(default_factory=dict)
    notes: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """The answer as it is sent. CSV and Arrow have no place for facts; headers say what must be said."""
        if self.form is not Format.json:
            return SpooledResponse(self.spool, _KINDS[self.form], self.headers)
        head = orjson.dumps(self.facts)[:-1] + (b"," if self.facts else b"") + b'"rows":['
        notes = [f"{orjson.dumps(name).decode()}:{value.decode()}" for name, value in self.notes.items()]
        return SpooledResponse(self.spool, _KINDS[self.form], self.headers, head, sealed(notes))


def rows_json(frame: pl.DataFrame) -> bytes:
    """A JSON list of objects; missing values and NaN are null."""
    return frame.write_json().encode()


def rows_answer(rows: pl.DataFrame, form: Format, zone: str, limit: int, most: int) -> Answer:
    """Rows with their times told in `zone`, at most `limit` of them, in at most `most` bytes."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    return _told(table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)], form, zone, limit, most)


def query_answer(hot: HotStore, statement: str, form: Format, zone: str, limit: int | None) -> Answer:
    """Runs a statement of our own that has no LIMIT, and answers at most `limit` rows of it."""
    most = most_rows(form, limit)
    limits = replace(hot.limits, max_rows=MOST_ROWS + 1)
    with hot.stream(f"{statement} LIMIT {most + 1}", limits, trusted=True) as batches:
        return _told(batches, form, zone, most, limits.answer_bytes)


def table_answer(table: pa.Table, form: Format, zone: str, limit: int, most: int) -> Answer:
    """As `rows_answer`, of an Arrow table."""
    return _told(table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)], form, zone, limit, most)


def most_rows(form: Format, limit: int | None) -> int:
    """How many rows an answer has at most. Answers 400 for more than JSON holds."""
    most = limit or (JSON_ROWS if form is Format.json else MOST_ROWS)
    if form is Format.json and most > 10 * JSON_ROWS:
        raise HTTPException(400, f"JSON holds at most {10 * JSON_ROWS:,} rows; take format=arrow or csv for more")
    return most


def _told(batches: Iterable[pa.RecordBatch], form: Format, zone: str, limit: int, most: int) -> Answer:
    answer = _written(batches, form, zone, limit, most, lambda frame: rows_json(frame)[1:-1])
    if form is not Format.json:
        # CSV and Arrow have no place for a message, so a header says that rows are missing.
        answer.headers["X-Truncated"] = "true" if answer.more else "false"
    answer.facts = {"count": answer.rows, "truncated": answer.more, "time_zone": zone}
    if answer.more:
        answer.facts["message"] = cut_message(limit)
    return answer


def sql_answer(batches: Iterable[pa.RecordBatch], form: Format, most: int, started: float) -> Answer:
    """A query's answer: columns, rows as lists, and how long it took since `started` (perf_counter, s).

    CSV and Arrow hold every row; JSON says where there are more.
    """
    limit = JSON_ROWS if form is Format.json else 1 << 62
    columns: list[pa.Field] = []
    answer = _written(
        _noting(batches, columns), form, "UTC", limit, most, lambda frame: ",".join(json_values(frame)).encode()
    )
    answer.facts = {
        "columns": [{"name": column.name, "type": str(column.type)} for column in columns],
        "row_count": answer.rows,
        "truncated": answer.more,
        "elapsed_ms": round((time.perf_counter() - started) * 1_000, 1),
    }
    if answer.more:
        answer.facts["message"] = cut_message(limit)
    return answer


def _noting(batches: Iterable[pa.RecordBatch], columns: list[pa.Field]) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        if not columns:
            columns += list(batch.schema)
        yield batch


def _written(
    batches: Iterable[pa.RecordBatch],
    form: Format,
    zone: str,
    limit: int,
    most: int,
    as_json: Callable[[pl.DataFrame], bytes],
) -> Answer:
    """Writes at most `limit` rows, in at most `most` bytes. The rest of the batches is not asked for."""
    spool, rows, more = Spool(most), 0, False
    writer: Any = None
    try:
        for batch in batches:
            cut = batch.slice(0, limit - rows)
            if form is Format.arrow:
                zoned = _in_zone(cut, zone)
                writer = writer or pa.ipc.new_stream(spool, zoned.schema)
                writer.write_batch(zoned)
            else:
                _write_text(spool, cut, form, zone, rows == 0 and spool.size == 0, as_json)
            rows += cut.num_rows
            if cut.num_rows < batch.num_rows:
                more = True
                break
        if writer is not None:
            writer.close()
    except BaseException:
        spool.close()
        raise
    return Answer(form, spool, rows, more)


def _write_text(
    spool: Spool, batch: pa.RecordBatch, form: Format, zone: str, first: bool, as_json: Callable[[pl.DataFrame], bytes]
) -> None:
    if first and form is Format.csv:
        spool.write(csv_line(batch.schema.names).encode())
    for part in _parts(batch):
        # SQL may give two columns one name, a frame may not: names stand aside while values are written as lists.
        names = part.schema.names
        twice = len(set(names)) < len(names)
        held = readable(part).rename_columns([str(at) for at in range(len(names))] if twice else names)
        frame = told_text(pl.DataFrame(pa.Table.from_batches([held])), zone)
        if form is Format.csv:
            spool.write(csv_text(frame, header=False).encode())
        elif frame.height:
            spool.write((b"," if spool.size else b"") + as_json(frame))


def _parts(batch: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
    """The batch in parts that are small enough to be put into text. Raises QueryRefused for a row that is not."""
    for part in pieces(batch, _AT_ONCE) if batch.num_rows else ():
        if part.nbytes > _LONGEST_ROW:
            raise QueryRefused(f"a row is larger than {_LONGEST_ROW >> 20} MB; take format=arrow, or select less")
        yield part


def _in_zone(batch: pa.RecordBatch, zone: str) -> pa.RecordBatch:
    kinds = [
        pa.timestamp(kind.unit, zone) if pa.types.is_timestamp(kind) and kind.tz is not None else kind
        for kind in batch.schema.types
    ]
    columns = [column.cast(kind) for column, kind in zip(batch.columns, kinds, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def json_bytes(body: bytes, status: int = 200) -> Response:
    """A JSON answer from its bytes."""
    return Response(body, status_code=status, media_type="application/json")


def cut_message(limit: int) -> str:
    """Says that rows are missing, and how to get them."""
    return f"only the first {limit:,} rows are here; narrow the question, or ask for csv or arrow with a higher limit"


def with_fields(answer: Answer, header: Mapping[str, str], notes: Mapping[str, bytes]) -> Answer:
    """The answer with what is said beside it: in headers, and for JSON in fields behind the rows."""
    answer.headers.update(header)
    answer.notes.update(notes)
    return answer
