"""CSV into column batches: the fast reader first, a forgiving one only where it fails.

Columns are read by name, never by position, and a name is what it is in any spelling (`names`). Read are LF, CRLF and
CR files, quoted or not, with a byte order mark, with blank lines around, with a comma at the end of every line, after a
line `sep=,`. Separators other than the comma are refused, for the comma may then be a decimal one.

A numeric cell that is not a number, or a line with too few or too many cells, becomes a reject with its line number and
text; the other rows of the block are kept. `1,234.50` in quotes is a number; `1,234` may be either of two, and is not.
"""

from __future__ import annotations

import csv as stdcsv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from carbon254.errors import PayloadRefused

from .names import fold, matched, refuse_twice
from .names import require as require_names
from .text import utf8, utf8_head

BLOCK_BYTES = 16 << 20
# Lines that the fast reader cannot take are read one by one, so many bytes at a time.
_CAREFUL_BYTES = 256 << 10
_HEAD = 65_536
# More rejects than this, and more than rows, and the file is no such file: each of them would be a dead letter.
MOST_REJECTS = 10_000
_QUOTED = re.compile(rb'"[^"\n]*"')
_BLANK = re.compile(rb"[ \t,\"]*\r?(?:\n|\Z)")
_SEPARATOR = re.compile(rb'"?sep=(.)"?\s*\r?(?:\n|\Z)', re.I)
_OTHERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_GROUPED = r"^[+-]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})$"

Types = Mapping[str, pl.DataType | type[pl.DataType]]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one block: `frame` has the asked columns, as they were asked for, and `line`; the rest are rejects."""

    frame: pl.DataFrame
    lines: list[int]
    reasons: list[str]
    raws: list[str]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the lines are cut: `places` of the asked columns among `width` cells."""

    names: list[str]
    places: Mapping[str, int]
    types: Types

    @property
    def width(self) -> int:
        return len(self.names)


def header(data: bytes, skip: int = 0) -> list[str]:
    """Column names as they are written in the first line with any after `skip` lines; blanks around are left out."""
    head = utf8_head(data[:_HEAD])
    start, _ = _header_at(head, skip)
    return _cells(head[start:].split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r"), strip=True)


def folded(data: bytes, skip: int = 0) -> list[str]:
    """The header's names without what says nothing (`names.fold`)."""
    return [fold(name) for name in header(data, skip)]


def has(data: bytes, *wanted: str) -> bool:
    """True where the header has every one of the `wanted` columns, in any spelling."""
    return len(matched(header(data), wanted)) == len(wanted)


def require(found: Sequence[str], wanted: Sequence[str], what: str) -> None:
    """Raise PayloadRefused naming the columns of `wanted` that the header lacks, or the separator that it has."""
    for mark, said in _OTHERS.items():
        if len(found) == 1 and len(matched(found[0].split(mark), wanted)) == len(wanted):
            raise PayloadRefused(f"{what} as it stands: its columns are parted by {said}; export it with commas")
    require_names(found, wanted, what)


def read(data: bytes, types: Types, skip: int = 0) -> Iterator[Block]:
    """Blocks of the columns named in `types`, in file order, each at most about 16 MiB of text.

    `skip` lines precede the header. `line` counts from 1 at the start of the payload. Text columns come stripped only
    where the reader had to be forgiving; callers strip what they compare. Raises PayloadRefused where a column comes
    twice, the separator is not the comma, or most of many lines cannot be read.
    """
    body = utf8(data)
    start, line = _header_at(body, skip)
    end = body.find(b"\n", start)
    end = len(body) if end < 0 else end
    layout = _layout(body[start:end], body[end + 1 : end + 1 + _HEAD], types)
    line, position, stop = line + 1, end + 1, _end(body)
    good = bad = 0
    while position < stop:
        cut = body.rfind(b"\n", position, min(stop, position + BLOCK_BYTES)) + 1
        cut = stop if stop - position <= BLOCK_BYTES or cut <= position else cut
        chunk = body[position:cut]
        ends = chunk.count(b"\n")
        for block in _blocks(chunk, layout, line, ends):
            good, bad = good + block.frame.height, bad + len(block.lines)
            if bad > MOST_REJECTS and bad > good:
                raise PayloadRefused(f"most of its lines cannot be read; line {block.lines[0]}: {block.reasons[0]}")
            yield block
        line, position = line + ends, cut


def _header_at(body: bytes, skip: int) -> tuple[int, int]:
    """(where the header's line begins, its number from 1): after `skip` lines, blank ones, and a line `sep=`."""
    start, line = 0, 1
    for _ in range(skip):
        start, line = body.find(b"\n", start) + 1 or len(body), line + 1
    while start < len(body) and ((found := _BLANK.match(body, start)) or (found := _SEPARATOR.match(body, start))):
        start, line = found.end(), line + 1
    return start, line


def _end(body: bytes) -> int:
    """Where the last line with anything in it ends."""
    stop = len(body)
    while stop and body[stop - 1] in b" \t\r\n":
        stop -= 1
    return stop


def _layout(header_line: bytes, following: bytes, types: Types) -> _Layout:
    names = _cells(header_line.decode("utf-8", "replace").rstrip("\r"), strip=True)
    refuse_twice(names)
    first = next((line for line in following.split(b"\n") if line.strip()), b"").rstrip(b"\r")
    cells = _cells(first.decode("utf-8", "replace"))
    if len(cells) == len(names) + 1 and first.endswith(b","):
        names = [*names, ""]
    elif names and not names[-1] and len(cells) == len(names) - 1:
        names = names[:-1]
    places = sorted(matched(names, types).items(), key=lambda pair: pair[1])
    return _Layout(names, dict(places), types)


def _blocks(chunk: bytes, layout: _Layout, line: int, ends: int) -> Iterator[Block]:
    height = ends + (not chunk.endswith(b"\n"))
    # The fast reader fills a short line with nulls and says nothing: separators are counted, those in quotes are none.
    commas = chunk.count(b",")
    if commas > height * (layout.width - 1) and b'"' in chunk:
        commas = _QUOTED.sub(b"", chunk).count(b",")
    if layout.width and commas == height * (layout.width - 1):
        for reader in (_typed, _texts):
            try:
                block = reader(chunk, layout, line, height)
            except (pl.exceptions.PolarsError, UnicodeDecodeError):
                continue
            if block is not None:
                yield block
                return
    yield from _one_by_one(chunk, layout, line)


def _table(chunk: bytes, layout: _Layout, types: Types, line: int, height: int) -> pl.DataFrame | None:
    """The asked columns of `chunk` and `line`, without rows that have nothing in them; None where lines got lost."""
    # The last cell is always read: only then is a line with too many of them told.
    places = sorted({*layout.places.values(), layout.width - 1})
    frame = pl.read_csv(
        chunk,
        has_header=False,
        new_columns=[str(place) for place in range(layout.width)],
        columns=places,
        schema_overrides={str(place): types[name] for name, place in layout.places.items()},
        infer_schema=False,
    )
    if frame.height != height:
        return None
    numbers = pl.int_range(line, line + pl.len(), dtype=pl.Int64).alias("line")
    frame = frame.select(*(pl.col(str(place)).alias(name) for name, place in layout.places.items()), numbers)
    named = frame.columns[:-1]
    if named and frame[named[0]].null_count():
        frame = frame.filter(~pl.all_horizontal(pl.col(named).is_null()))
    return frame


def _typed(chunk: bytes, layout: _Layout, line: int, height: int) -> Block | None:
    frame = _table(chunk, layout, layout.types, line, height)
    return None if frame is None else Block(frame, [], [], [])


def _texts(chunk: bytes, layout: _Layout, line: int, height: int) -> Block | None:
    """As `_typed`, with every cell as text first: a number may stand among blanks or have its thousands parted."""
    frame = _table(chunk, layout, dict.fromkeys(layout.types, pl.String), line, height)
    if frame is None:
        return None
    stripped = pl.col(pl.String).str.strip_chars()
    frame = frame.with_columns(pl.when(stripped != "").then(stripped).name.keep())
    return _cast(frame, layout.types, [], [], [], lambda number: chunk.split(b"\n")[number - line])


def _one_by_one(chunk: bytes, layout: _Layout, line: int) -> Iterator[Block]:
    position = 0
    while position < len(chunk):
        cut = chunk.find(b"\n", min(position + _CAREFUL_BYTES, len(chunk)))
        cut = len(chunk) if cut < 0 else cut + 1
        piece = chunk[position:cut]
        yield _forgiving(piece, layout, line)
        line, position = line + piece.count(b"\n"), cut


def _forgiving(chunk: bytes, layout: _Layout, line: int) -> Block:
    try:
        text = chunk.decode("utf-8")
    except UnicodeDecodeError:
        text = chunk.decode("latin-1")
    cells: dict[str, list[str | None]] = {name: [] for name in layout.places}
    kept, lines, reasons, raws = [], [], [], []
    raw_lines = text.split("\n")
    for number, raw in enumerate(raw_lines, line):
        row = _cells(raw.rstrip("\r"))
        if not any(cell.strip() for cell in row):
            continue
        row = _fitted(row, layout.width)
        if len(row) != layout.width:
            lines.append(number)
            reasons.append(f"{len(row)} cells where the header has {layout.width}")
            raws.append(raw.rstrip("\r"))
            continue
        kept.append(number)
        for name, place in layout.places.items():
            cells[name].append(row[place].strip() or None)
    frame = pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String)).with_columns(
        pl.Series("line", kept, dtype=pl.Int64)
    )
    return _cast(frame, layout.types, lines, reasons, raws, lambda number: raw_lines[number - line].encode())


def _fitted(row: list[str], width: int) -> list[str]:
    """The row without one empty cell too many at its end, or with one too few."""
    if len(row) == width + 1 and not row[-1].strip():
        return row[:-1]
    return row


def _cells(line: str, strip: bool = False) -> list[str]:
    """Cells of one physical line, so that a stray quote costs its own line and not the rest of the block."""
    try:
        cells = next(stdcsv.reader([line]), [])
    except stdcsv.Error:
        cells = [line]
    return [cell.strip(" \t\"'\ufeff\u00a0") for cell in cells] if strip else cells


def _cast(
    frame: pl.DataFrame,
    types: Types,
    lines: list[int],
    reasons: list[str],
    raws: list[str],
    raw_of: Callable[[int], bytes],
) -> Block:
    numeric = [name for name in frame.columns if name in types and types[name] != pl.String]
    cast = frame.with_columns(number_text(pl.col(name)).cast(types[name], strict=False) for name in numeric)
    bad = pl.Series("bad", [False] * frame.height, dtype=pl.Boolean)
    for name in numeric:
        wrong = cast[name].is_null() & frame[name].is_not_null()
        for number, cell in zip(frame["line"].filter(wrong & ~bad), frame[name].filter(wrong & ~bad), strict=True):
            lines.append(number)
            reasons.append(f"{name}: {cell!r} is not a number")
            raws.append(raw_of(number).decode("utf-8", "replace").rstrip("\r"))
        bad = bad | wrong
    return Block(cast.filter(~bad), lines, reasons, raws)


def number_text(text: pl.Expr) -> pl.Expr:
    """The text of a number without what parts its thousands, where nothing else can be meant."""
    return pl.when(text.str.contains(_GROUPED)).then(text.str.replace_all(",", "", literal=True)).otherwise(text)
