"""One block of CSV lines into columns: typed at once, else as text first, else line by line."""

from __future__ import annotations

import csv as stdcsv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from carbon254.errors import PayloadRefused

# What the fast reader cannot take is read as text first, and line by line where that fails; so many bytes at a time.
_TEXT_BYTES, _CAREFUL_BYTES = 1 << 20, 256 << 10
# More rejects than this, and more than rows, and the file is no such file: each of them would be a dead letter.
MOST_REJECTS = 10_000
_QUOTED = re.compile(rb'"[^"\n]*"')
_LINE_FEED, _COMMA = 10, 44
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
class Layout:
    """How the lines are cut: `places` of the asked columns among `width` cells."""

    names: list[str]
    places: Mapping[str, int]
    types: Types

    @property
    def width(self) -> int:
        return len(self.names)


def blocks_of(chunk: bytes, layout: Layout, line: int, ends: int) -> Iterator[Block]:
    """Rows of `chunk`, whole lines with so many `ends` among them, the first of number `line`."""
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
    reader: Callable[[bytes, Layout, int, int], Block | None], chunk: bytes, layout: Layout, line: int, height: int
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


def _table(chunk: bytes, layout: Layout, types: Types, line: int, height: int) -> pl.DataFrame | None:
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


def _typed(chunk: bytes, layout: Layout, line: int, height: int) -> Block | None:
    frame = _table(chunk, layout, layout.types, line, height)
    return None if frame is None else Block(frame, [], [], [])


def _texts(chunk: bytes, layout: Layout, line: int, height: int) -> Block | None:
    """As `_typed`, with every cell as text first: a number may stand among blanks or have its thousands parted."""
    frame = _table(chunk, layout, dict.fromkeys(layout.types, pl.String), line, height)
    if frame is None:
        return None
    stripped = pl.col(pl.String).str.strip_chars()
    frame = frame.with_columns(pl.when(stripped != "").then(stripped).name.keep())

    def texts() -> _Texts:
        return dict(enumerate(chunk.decode("utf-8", "replace").split("\n"), line))

    return _cast(frame, layout.types, [], [], [], texts)


def _one_by_one(chunk: bytes, layout: Layout, line: int) -> Iterator[Block]:
    for piece, first in _pieces(chunk, line, _CAREFUL_BYTES):
        yield _forgiving(piece, layout, first)


def _forgiving(chunk: bytes, layout: Layout, line: int) -> Block:
    try:
        text = chunk.decode("utf-8")
    except UnicodeDecodeError:
        text = chunk.decode("latin-1")
    cells: dict[str, list[str | None]] = {name: [] for name in layout.places}
    kept, lines, reasons, raws = [], [], [], []
    raw_lines = text.split("\n")
    for number, raw in enumerate(raw_lines, line):
        row = cells_of(raw.rstrip("\r"))
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


def cells_of(line: str, strip: bool = False) -> list[str]:
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
