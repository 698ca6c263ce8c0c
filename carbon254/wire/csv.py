"""CSV into column batches: the fast reader first, a forgiving one only where it fails.

Columns are read by name, never by position. A numeric cell that is not a number, or a line with too few or too many
cells, becomes a reject with its line number and text; the other rows of the block are kept.
"""

from __future__ import annotations

import csv as stdcsv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from carbon254.errors import PayloadRefused

BLOCK_BYTES = 16 << 20

Types = Mapping[str, pl.DataType | type[pl.DataType]]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one block: `frame` has the asked columns and `line`; the rest are rejects."""

    frame: pl.DataFrame
    lines: list[int]
    reasons: list[str]
    raws: list[str]


def header(data: bytes, skip: int = 0) -> list[str]:
    """Column names of the first line after `skip` lines, stripped of blanks, quotes and a byte order mark."""
    text = data[:_HEAD].decode("utf-8-sig", "replace").splitlines()
    if len(text) <= skip:
        return []
    return [cell.strip() for cell in next(stdcsv.reader([text[skip]]), [])]


_HEAD = 65_536


def require(found: Sequence[str], wanted: Sequence[str], what: str) -> None:
    """Raise PayloadRefused naming the columns of `wanted` that the header lacks."""
    missing = [name for name in wanted if name not in found]
    if missing:
        raise PayloadRefused(f"{what}: column {', '.join(missing)} is missing; the header has {', '.join(found)}")


def read(data: bytes, types: Types, skip: int = 0) -> Iterator[Block]:
    """Blocks of the columns named in `types`, in file order, each at most about 16 MiB of text.

    `skip` lines precede the header. `line` counts from 1 at the start of the payload. Text columns come stripped only
    where the reader had to be forgiving; callers strip what they compare. Raises PayloadRefused on undecodable bytes.
    """
    body = data[3:] if data.startswith(b"\xef\xbb\xbf") else data
    start = 0
    for _ in range(skip):
        start = body.find(b"\n", start) + 1
    end = body.find(b"\n", start)
    if end < 0:
        end = len(body)
    names = header(body[start : end + 1])
    if len({name for name in names if name in types}) < sum(name in types for name in names):
        raise PayloadRefused(f"a column comes twice in the header: {', '.join(names)[:300]}")
    line = skip + 2
    position = end + 1
    while position < len(body):
        stop = min(len(body), position + BLOCK_BYTES)
        if stop < len(body):
            cut = body.rfind(b"\n", position, stop)
            stop = cut + 1 if cut >= position else len(body)
        chunk = body[position:stop]
        ends = chunk.count(b"\n")
        yield _block(chunk, ends, names, types, line)
        line += ends
        position = stop


def _block(chunk: bytes, ends: int, names: list[str], types: Types, line: int) -> Block:
    try:
        frame = _fast(chunk, names, types)
        # The fast reader fills a short line with nulls and says nothing: too few separators go the slow way.
        enough = chunk.count(b",") >= frame.height * (len(names) - 1)
        if enough and frame.height == ends + (not chunk.endswith(b"\n")):
            numbered = frame.with_columns(pl.int_range(line, line + pl.len(), dtype=pl.Int64).alias("line"))
            return Block(numbered, [], [], [])
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        pass
    return _forgiving(chunk, names, types, line)


def _fast(chunk: bytes, names: list[str], types: Types) -> pl.DataFrame:
    wanted = [name for name in names if name in types]
    return pl.read_csv(
        chunk,
        has_header=False,
        new_columns=names,
        columns=[names.index(name) for name in wanted],
        schema_overrides={name: types[name] for name in wanted},
        infer_schema=False,
    ).select(wanted)


def _forgiving(chunk: bytes, names: list[str], types: Types, line: int) -> Block:
    try:
        text = chunk.decode("utf-8")
    except UnicodeDecodeError:
        text = chunk.decode("latin-1")
    cells: dict[str, list[str | None]] = {name: [] for name in names if name in types}
    kept, lines, reasons, raws = [], [], [], []
    raw_lines = text.split("\n")
    for number, raw in enumerate(raw_lines, line):
        row = _cells(raw.rstrip("\r"))
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(names):
            lines.append(number)
            reasons.append(f"{len(row)} cells where the header has {len(names)}")
            raws.append(raw.rstrip("\r"))
            continue
        kept.append(number)
        for name, cell in zip(names, row, strict=True):
            if name in cells:
                cells[name].append(cell.strip() or None)
    frame = pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String)).with_columns(
        pl.Series("line", kept, dtype=pl.Int64)
    )
    return _cast(frame, types, lines, reasons, raws, raw_lines, line)


def _cells(line: str) -> list[str]:
    """Cells of one physical line, so that a stray quote costs its own line and not the rest of the block."""
    try:
        return next(stdcsv.reader([line]), [])
    except stdcsv.Error:
        return [line]


def _cast(
    frame: pl.DataFrame,
    types: Types,
    lines: list[int],
    reasons: list[str],
    raws: list[str],
    raw_lines: list[str],
    first: int,
) -> Block:
    numeric = [name for name in frame.columns if name in types and types[name] != pl.String]
    cast = frame.with_columns(pl.col(name).cast(types[name], strict=False) for name in numeric)
    bad = pl.Series("bad", [False] * frame.height, dtype=pl.Boolean)
    for name in numeric:
        wrong = cast[name].is_null() & frame[name].is_not_null()
        for number, cell in zip(frame["line"].filter(wrong & ~bad), frame[name].filter(wrong & ~bad), strict=True):
            lines.append(number)
            reasons.append(f"{name}: {cell!r} is not a number")
            raws.append(raw_lines[number - first].rstrip("\r"))
        bad = bad | wrong
    return Block(cast.filter(~bad), lines, reasons, raws)
