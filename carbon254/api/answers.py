"""Answers as JSON, CSV or an Arrow stream, built column by column."""

from __future__ import annotations

import csv
import io
import time
from enum import StrEnum

import orjson
import polars as pl
import pyarrow as pa
from fastapi import HTTPException, Response

from carbon254.stores.hot import HotStore

from .asked import MOST_ROWS
from .moments import as_text, instants

JSON_ROWS = 10_000
_ARROW = "application/vnd.apache.arrow.stream"
# A spreadsheet would run such a cell as a formula.
_FORMULA = r"^[=+\-@\t\r]"


class Format(StrEnum):
    """How an answer is written."""

    json = "json"
    csv = "csv"
    arrow = "arrow"

    @classmethod
    def _missing_(cls, value: object) -> Format | None:
        wanted = str(value).lower()
        return next((one for one in cls if one.value == wanted), None)


def rows_json(frame: pl.DataFrame) -> bytes:
    """A JSON list of objects; missing values and NaN are null."""
    return frame.write_json().encode()


def rows_answer(frame: pl.DataFrame, form: Format, zone: str, limit: int) -> Response:
    """Rows with their times told in `zone`. `frame` may hold one row more than `limit`, which shows it was cut."""
    cut = frame.head(limit)
    if form is Format.csv:
        return Response(csv_text(as_text(cut, zone)), media_type="text/csv", headers=cut_header(frame, limit))
    if form is Format.arrow:
        local = cut.with_columns(pl.col(name).dt.convert_time_zone(zone) for name in instants(cut))
        table = local.to_arrow(compat_level=pl.CompatLevel.oldest())
        return Response(arrow_stream(table), media_type=_ARROW, headers=cut_header(frame, limit))
    facts: dict[str, object] = {"count": cut.height, "truncated": frame.height > limit, "time_zone": zone}
    if frame.height > limit:
        facts["message"] = cut_message(limit)
    head = orjson.dumps(facts)
    return json_bytes(head[:-1] + b',"rows":' + rows_json(as_text(cut, zone)) + b"}")


def query_answer(hot: HotStore, statement: str, form: Format, zone: str, limit: int | None) -> Response:
    """Runs a statement of our own that has no LIMIT, and answers at most `limit` rows of it."""
    most = limit or (JSON_ROWS if form is Format.json else MOST_ROWS)
    if form is Format.json and most > 10 * JSON_ROWS:
        raise HTTPException(400, f"JSON holds at most {10 * JSON_ROWS:,} rows; take format=arrow or csv for more")
    return rows_answer(pl.DataFrame(hot.fetch(f"{statement} LIMIT {most + 1}")), form, zone, most)


def table_json(table: pa.Table, limit: int, started: float) -> Response:
    """A query's answer: columns, rows as lists, and how long it took since `started` (perf_counter, s)."""
    cut = table.slice(0, limit)
    answer = {
        "columns": [{"name": field.name, "type": str(field.type)} for field in table.schema],
        "rows": list(zip(*(column.to_pylist() for column in cut.columns), strict=True)),
        "row_count": cut.num_rows,
        "truncated": table.num_rows > limit,
        "elapsed_ms": round((time.perf_counter() - started) * 1_000, 1),
    }
    if table.num_rows > limit:
        answer["message"] = cut_message(limit)
    return json_bytes(orjson.dumps(answer, default=_plain, option=orjson.OPT_UTC_Z))


def table_answer(table: pa.Table, form: Format) -> Response:
    """A query's whole answer as CSV or as an Arrow stream."""
    if form is Format.arrow:
        return Response(arrow_stream(table), media_type=_ARROW)
    # SQL may give two columns one name, a frame may not: names stand aside while the values are written.
    places = [str(place) for place in range(table.num_columns)]
    values = csv_text(as_text(pl.DataFrame(table.rename_columns(places)), "UTC"), header=False)
    return Response(_csv_line(table.column_names) + values, media_type="text/csv")


def csv_text(frame: pl.DataFrame, header: bool = True) -> str:
    """CSV. Text that a spreadsheet would run gets a leading quote; numbers never do."""
    risky = pl.col(pl.String)
    safe = pl.when(risky.str.contains(_FORMULA)).then(pl.lit("'") + risky).otherwise(risky)
    lists = pl.selectors.by_dtype(pl.List(pl.String))
    return frame.with_columns(safe.name.keep()).with_columns(lists.list.join(" ")).write_csv(include_header=header)


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def arrow_stream(table: pa.Table) -> bytes:
    """An Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(unify_dictionaries=True)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def json_bytes(body: bytes, status: int = 200) -> Response:
    """A JSON answer from its bytes."""
    return Response(body, status_code=status, media_type="application/json")


def cut_message(limit: int) -> str:
    """Says that rows are missing, and how to get them."""
    return f"only the first {limit:,} rows are here; narrow the question, or ask for csv or arrow with a higher limit"


def cut_header(frame: pl.DataFrame, limit: int) -> dict[str, str]:
    """CSV and Arrow have no place for a message, so a header says that rows are missing."""
    return {"X-Truncated": "true" if frame.height > limit else "false"}


def _plain(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
