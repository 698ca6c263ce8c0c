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

import numpy as np
import polars as pl

from carbon254.errors import PayloadRefused

from .names import fold, matched, refuse_twice
from .names import require as require_names
from .text import utf8, utf8_head

BLOCK_BYTES = 16 << 20
# What the fast reader cannot take is read as text first, and line by line where that fails; so many bytes at a time.
_TEXT_BYTES, _CAREFUL_BYTES = 1 << 20, 256 << 10
_HEAD = 65_536
# More rejects than this, and more than rows, and the file is no such file: each of them would be a dead letter.
MOST_REJECTS = 10_000
_QUOTED = re.compile(rb'"[^"\n]*"')
_BLANK = re.compile(rb"[ \t,\"]*\r?(?:\n|\Z)")
_SEPARATOR = re.compile(rb'"?sep=(.)"?\s*\r?(?:\n|\Z)', re.I)
_LINE_FEED, _COMMA = 10, 44
_OTHERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_GROUPED = r"^[+-]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})$"

Types = Mapping[str, pl.DataType | type[pl.DataType]]
_Texts = Mapping[int, str]


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
        if (block := _tried(_typed, chunk, layout, line, height)) is not None:
            yield block
            return
        for piece, first in _pieces(chunk, line, _TEXT_BYTES):
            rows = piece.count(b"\n") + (not piece.endswith(b"\n"))
            if (block := _tried(_texts, piece, layout, first, rows)) is not None:
                yield block
            else:
                yield from _one_by_one(piece, layout, first)
        return
    yield from _one_by_one(chunk, layout, line)


def _tried(
    reader: Callable[[bytes, _Layout, int, int], Block | None], chunk: bytes, layout: _Layout, line: int, height: int
) -> Block | None:
    try:
        return reader(chunk, layout, line, height)
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        return None


def _pieces(chunk: bytes, line: int, size: int) -> Iterator[tuple[bytes, int]]:
    """(whole lines of at least `size` bytes, the number of the first)."""
    position = 0
    while position < len(chunk):
        cut = chunk.find(b"\n", min(position + size, len(chunk))) + 1 or len(chunk)
        piece = chunk[position:cut]
        yield piece, line
        line, position = line + piece.count(b"\n"), cut


def _table(chunk: bytes, layout: _Layout, types: Types, line: int, height: int) -> pl.DataFrame | None:
    """The asked columns of `chunk` and `line`, without rows that have nothing in them; None where lines got lost."""
    # The last cell is always read: it is null in a line that is too short, whatever a long one makes up for.
    places = sorted({*layout.places.values(), layout.width - 1})
    frame = pl.read_csv(
        chunk,
        has_header=False,
        new_columns=[str(place) for place in range(layout.width)],
        columns=places,
        schema_overrides={str(place): types[name] for name, place in layout.places.items()},
        infer_schema=False,
    )
    if frame.height != height or (frame[str(places[-1])].null_count() and not _even(chunk, layout.width)):
        return None
    numbers = pl.int_range(line, line + pl.len(), dtype=pl.Int64).alias("line")
    frame = frame.select(*(pl.col(str(place)).alias(name) for name, place in layout.places.items()), numbers)
    named = frame.columns[:-1]
    if named and frame[named[0]].null_count():
        frame = frame.filter(~pl.all_horizontal(pl.col(named).is_null()))
    return frame


def _even(chunk: bytes, width: int) -> bool:
    """True where every line has as many cells as the header."""
    view = np.frombuffer(_QUOTED.sub(b"", chunk) if b'"' in chunk else chunk, np.uint8)
    ends, commas = np.flatnonzero(view == _LINE_FEED), np.flatnonzero(view == _COMMA)
    before = np.searchsorted(commas, ends)
    return bool(
        (np.diff(before, prepend=0, append=len(commas))[: len(ends) + (view[-1] != _LINE_FEED)] == width - 1).all()
    )


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

    def texts() -> _Texts:
        return dict(enumerate(chunk.decode("utf-8", "replace").split("\n"), line))

    return _cast(frame, layout.types, [], [], [], texts)


def _one_by_one(chunk: bytes, layout: _Layout, line: int) -> Iterator[Block]:
    for piece, first in _pieces(chunk, line, _CAREFUL_BYTES):
        yield _forgiving(piece, layout, first)


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
    return _cast(frame, layout.types, lines, reasons, raws, lambda: dict(enumerate(raw_lines, line)))


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
    texts: Callable[[], _Texts],
) -> Block:
    """Cells as their types; rows with one that is not a number go to the rejects, with the `texts` by line number."""
    numeric = [name for name in frame.columns if name in types and types[name] != pl.String]
    cast = frame.with_columns(number_text(pl.col(name)).cast(types[name], strict=False) for name in numeric)
    wrong = [cast[name].is_null() & frame[name].is_not_null() for name in numeric]
    bad = pl.Series("bad", [False] * frame.height, dtype=pl.Boolean)
    for one in wrong:
        bad = bad | one
    if (count := int(bad.sum())) > MOST_REJECTS and count > frame.height // 2:
        first = frame.filter(bad)["line"][0]
        raise PayloadRefused(f"most of its lines cannot be read; line {first}: a cell is not a number")
    said, seen = texts() if count else {}, pl.Series("seen", [False] * frame.height, dtype=pl.Boolean)
    for name, one in zip(numeric, wrong, strict=True):
        here = one & ~seen
        for number, cell in zip(frame["line"].filter(here), frame[name].filter(here), strict=True):
            lines.append(number)
            reasons.append(f"{name}: {cell!r} is not a number")
            raws.append(said[number].rstrip("\r"))
        seen = seen | one
    return Block(cast.filter(~bad) if count else cast, lines, reasons, raws)


def number_text(text: pl.Expr) -> pl.Expr:
    """The text of a number without what parts its thousands, where nothing else can be meant."""
    return pl.when(text.str.contains(_GROUPED)).then(text.str.replace_all(",", "", literal=True)).otherwise(text)
