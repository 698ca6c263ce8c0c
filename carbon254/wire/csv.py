"""CSV into column batches: the fast reader first, a forgiving one only where it fails.

Columns are read by name, never by position, and a name is what it is in any spelling (`names`). Read are LF, CRLF and
CR files, quoted or not, with a byte order mark, with blank lines around, with a comma at the end of every line, after a
line `sep=,`. Separators other than the comma are refused, for the comma may then be a decimal one.

A numeric cell that is not a number, or a line with too few or too many cells, becomes a reject with its line number and
text; the other rows of the block are kept. `1,234.50` in quotes is a number; `1,234` may be either of two, and is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from carbon254.errors import PayloadRefused

from .blocks import MOST_REJECTS, Block, Layout, Types, blocks_of, cells_of
from .names import fold, matched, refuse_twice
from .names import require as require_names
from .text import utf8, utf8_head

BLOCK_BYTES = 16 << 20
_HEAD = 65_536
_BLANK = re.compile(rb"[ \t,\"]*\r?(?:\n|\Z)")
_SEPARATOR = re.compile(rb'"?sep=(.)"?\s*\r?(?:\n|\Z)', re.I)
_OTHERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def header(data: bytes, skip: int = 0) -> list[str]:
    """Column names as they are written in the first line with any after `skip` lines; blanks around are left out."""
    head = utf8_head(data[:_HEAD])
    start, _ = _header_at(head, skip)
    return cells_of(head[start:].split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r"), strip=True)


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
        for block in blocks_of(chunk, layout, line, ends):
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


def _layout(header_line: bytes, following: bytes, types: Types) -> Layout:
    names = cells_of(header_line.decode("utf-8", "replace").rstrip("\r"), strip=True)
    refuse_twice(names)
    first = next((line for line in following.split(b"\n") if line.strip()), b"").rstrip(b"\r")
    cells = cells_of(first.decode("utf-8", "replace"))
    if len(cells) == len(names) + 1 and first.endswith(b","):
        names = [*names, ""]
    elif names and not names[-1] and len(cells) == len(names) - 1:
        names = names[:-1]
    places = sorted(matched(names, types).items(), key=lambda pair: pair[1])
    return Layout(names, dict(places), types)
