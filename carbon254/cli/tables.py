"""Tables of many rows, line by line: laying each cell out takes a thousand times as long as writing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_FEW = 50
_LAID_OUT = ("\n", "\t", "\r")


def write(console: Console, table: Table, rows: Sequence[Sequence[str]]) -> None:
    """Print `table`, which has its columns, with these rows.

    Many rows that fit the console are written as the first of them is laid out.
    """
    if len(rows) <= _FEW or not _plain(rows) or not _fit(console, table, rows):
        _add(table, rows)
        console.print(table)
        return
    _add(table, rows[:1])
    with console.capture() as caught:
        console.print(table)
    head, row, end = caught.get().rstrip("\n").rsplit("\n", 2)
    bar = row[0]
    right = [column.justify == "right" for column in table.columns]
    widths = [column.min_width or 0 for column in table.columns]
    lines = [f"{bar} {f' {bar} '.join(map(_padded, cells, widths, right))} {bar}" for cells in rows]
    console.file.write("\n".join((head, *lines, end)) + "\n")


def _add(table: Table, rows: Sequence[Sequence[str]]) -> None:
    from rich.text import Text

    for row in rows:
        table.add_row(*map(Text, row))


def _plain(rows: Sequence[Sequence[str]]) -> bool:
    return not any(mark in text for row in rows for text in row for mark in _LAID_OUT)


def _fit(console: Console, table: Table, rows: Sequence[Sequence[str]]) -> bool:
    """Whether the widest row needs no wrapping; the columns are that wide then."""
    from rich.cells import cell_len

    heads = [cell_len(str(column.header)) for column in table.columns]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    wide = list(map(max, heads, widths))
    if sum(wide) + 3 * len(wide) + 1 > console.width:
        return False
    for column, width in zip(table.columns, wide, strict=True):
        column.min_width = width
    return True


def _padded(text: str, width: int, right: bool) -> str:
    from rich.cells import cell_len

    blank = " " * (width - cell_len(text))
    return blank + text if right else text + blank
