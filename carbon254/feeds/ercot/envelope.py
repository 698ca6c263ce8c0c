"""ERCOT's JSON: an envelope with `fields` and `data`, the rows as positional arrays, into columns of text.

Rows come by the million, so the array is read by the CSV reader after its brackets are turned into line ends. Where the
text could fool that (escapes, blanks between cells, nested brackets, a row too long or too short) it is decoded
properly instead, and a row of the wrong length or with a cell that is not a plain value is told apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire import json
from carbon254.wire.names import fold

from ..contract import Counted
from .pages import count

_OPEN = re.compile(rb'"data"\s*:\s*\[\s*\[')
_FOOLING = (b"\\", b", ", b" ,", b"{", b"\n", b"\r", b"\t")
_CLOSE = re.compile(rb"\]\s*\](?=\s*[,}])")


@dataclass(frozen=True, slots=True)
class Table:
    """`frame`: a text column for each field, in the payload's order, with `line` (record number, from 1).

    `wrong` are the record numbers that are no rows of this table; `texts` gives the JSON of record numbers; `counted`
    is what the envelope says of pages.
    """

    frame: pl.DataFrame
    wrong: list[int]
    texts: Callable[[list[int]], list[str]]
    counted: Counted | None = None


def read(data: bytes) -> Table:
    """The table of an answer. Raises PayloadRefused for anything that is not one, with what ERCOT said."""
    opened = _OPEN.search(data)
    last = data.rfind(b"]")
    while last > 0 and not _CLOSE.match(data, data.rfind(b"]", 0, last)):
        last = data.rfind(b"]", 0, last)
    if opened and last > opened.end():
        first = data.rfind(b"]", 0, last)
        body = data[opened.end() : first]
        envelope = data[: opened.end() - 1] + data[last:]
        table = _quick(body, envelope)
        if table is not None:
            return table
    return _careful(data)


def _names(answer: Any) -> list[str]:
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise PayloadRefused(f"not an ERCOT report (no data): {orjson.dumps(answer).decode()[:300]}")
    fields = answer.get("fields")
    listed = fields if isinstance(fields, list) else []
    found = [field.get("name") if isinstance(field, dict) else None for field in listed]
    names = [name for name in found if isinstance(name, str)]
    if not found and answer["data"] == []:
        raise NothingYet("ERCOT has no rows for this request yet; it will be asked again")
    if not names or len(names) < len(found) or len(set(map(fold, names))) < len(names):
        raise PayloadRefused("not an ERCOT report: its fields do not name the columns")
    return names


def _quick(body: bytes, envelope: bytes) -> Table | None:
    try:
        answer = orjson.loads(envelope)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(answer, dict) or answer.get("data") != [] or any(mark in body for mark in _FOOLING):
        return None
    names = _names(answer)
    lines = body.replace(b"],[", b"\n")
    if b"[" in lines or b"]" in lines:
        return None
    try:
        frame = pl.read_csv(
            lines, has_header=False, new_columns=names, infer_schema=False, null_values="null", quote_char='"'
        )
    except pl.exceptions.PolarsError:
        return None
    if frame.height != lines.count(b"\n") + 1 or lines.count(b",") < frame.height * (len(names) - 1):
        return None
    numbered = frame.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("line"))
    return Table(numbered, [], _texts_of(lines), count(answer.get("_meta"), frame.height))


def _texts_of(lines: bytes) -> Callable[[list[int]], list[str]]:
    def texts(numbers: list[int]) -> list[str]:
        rows = lines.split(b"\n")
        return [f"[{rows[number - 1].decode('utf-8', 'replace')}]" for number in numbers]

    return texts


def _careful(data: bytes) -> Table:
    answer = json.loads(data)
    names, rows = _names(answer), answer["data"]
    good = [isinstance(row, list) and len(row) == len(names) and all(map(_plain, row)) for row in rows]
    kept = [row for row, fits in zip(rows, good, strict=True) if fits]
    columns: dict[str, Any] = {name: [_text(row[at]) for row in kept] for at, name in enumerate(names)}
    columns["line"] = [number for number, fits in enumerate(good, 1) if fits]
    frame = pl.DataFrame(columns, schema={**dict.fromkeys(names, pl.String), "line": pl.Int64})
    wrong = [number for number, fits in enumerate(good, 1) if not fits]
    texts = lambda numbers: [orjson.dumps(rows[number - 1]).decode() for number in numbers]  # noqa: E731
    return Table(frame, wrong, texts, count(answer.get("_meta"), len(rows)))


def _plain(cell: Any) -> bool:
    return cell is None or isinstance(cell, (str, int, float))


def _text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    return orjson.dumps(cell).decode()
