"""Names that a reader's own SQL compares with, looked at where the answer is as good as empty.

`WHERE market = 'PJMM'` is a sound statement without rows, and so is `'pjm'`, for the engine compares letter by letter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pyarrow as pa

from carbon254.errors import UnknownName
from carbon254.names import Asked

_LONGEST = 64_000
_KINDS = {
    "market": "market", "market_run": "run", "location": "locations", "location_id": "locations",
    "instrument": "instrument", "tenant": "tenant", "source": "source", "commodity": "commodity",
}  # fmt: skip


def misspelt(settle: Callable[[Asked], Asked], statement: str, found: pa.Table) -> str:
    """Why a statement found nothing, where it compares with a name that is none or is written otherwise; else empty.

    A single row counts as nothing where it holds no value but zero: it is an aggregate over nothing.
    """
    if len(statement) > _LONGEST or not _nothing(found):
        return ""
    for column, value in _comparisons(statement):
        kind = _KINDS[column]
        asked = replace(Asked(), **{kind: (value,) if kind == "locations" else value})
        try:
            kept = settle(asked)
        except UnknownName as error:
            return str(error)
        spelled = next(getattr(kept, one.name) for one in fields(kept) if getattr(asked, one.name))
        if value != spelled and value not in spelled:
            told = ", ".join(spelled) if isinstance(spelled, tuple) else spelled
            return f"{column} = {value!r} finds nothing; it is written {told}"
    return ""


def _nothing(found: pa.Table) -> bool:
    return not found.num_rows or (found.num_rows == 1 and all(map(_empty, found.columns)))


def _empty(column: pa.ChunkedArray) -> bool:
    """Whether its one value is missing, zero or no number. Any other type says something, and may be large: a list of
    millions is not put into Python to learn that."""
    if column.null_count:
        return True
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
            or pa.types.is_boolean(kind)):  # fmt: skip
        return False
    value = column[0].as_py()
    return value == 0 or value != value


def _comparisons(statement: str) -> Iterator[tuple[str, str]]:
    """(column, text) of `column = 'text'` and `column IN ('text', …)` anywhere in the statement."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(statement, dialect="clickhouse")
    except (SqlglotError, RecursionError):
        return
    for one in tree.find_all(exp.EQ, exp.In):
        values: list[Any] = one.expressions if isinstance(one, exp.In) else [one.expression]
        if isinstance(one.this, exp.Column) and one.this.name in _KINDS:
            yield from ((one.this.name, v.name) for v in values if isinstance(v, exp.Literal) and v.is_string)
