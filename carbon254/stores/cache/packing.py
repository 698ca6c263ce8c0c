"""Rows as text that a server can keep and compare: one field, one order, one JSON object a row.

Orders compare as plain text the way the rows compare (numbers filled up with zeros, other text in hexadecimal), so that
the server needs to know nothing about prices. JSON keeps every float exactly, and other tools can read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache

import polars as pl

from carbon254.model import dataset
from carbon254.model.arrow import arrow_schema

from .kinds import Kind

SEPARATOR = "\x1f"
# Instants before 1970 stay in order too.
_BIAS = 1 << 62
_DIGITS = 20


@cache
def schema(kind: Kind) -> pl.Schema:
    """Types of the rows as they come back: those of the dataset, dictionary columns as text."""
    held = pl.DataFrame(arrow_schema(dataset(kind.dataset)).empty_table()).schema
    return pl.Schema({name: pl.String if held[name] == pl.Categorical else held[name] for name in kind.columns})


def packed(frame: pl.DataFrame, kind: Kind) -> Iterator[tuple[str, pl.DataFrame]]:
    """(group, rows) with the columns `field`, `order` and `value`, all text; `frame` holds one row a key."""
    typed = frame.cast(schema(kind))
    value = pl.struct(~_times(typed), _times(typed).cast(pl.Int64)).struct.json_encode()
    rows = typed.select(
        pl.concat_str(kind.group, separator=SEPARATOR).alias("group"),
        pl.concat_str([name for name in kind.key if name not in kind.group], separator=SEPARATOR).alias("field"),
        pl.concat_str([_comparable(name, typed.schema[name]) for name in kind.order]).alias("order"),
        value.alias("value"),
    )
    # Rows that are alike in everything that orders them: the same one wins everywhere, whichever came first.
    marks = pl.Series("mark", [hashlib.blake2b(text.encode(), digest_size=8).hexdigest() for text in rows["value"]])
    rows = rows.with_columns(pl.concat_str(pl.col("order"), marks))
    for (group,), part in rows.group_by("group", maintain_order=True):
        yield str(group), part.drop("group")


def unpacked(listed: str, kind: Kind) -> pl.DataFrame:
    """Rows of a JSON list of objects."""
    types = schema(kind)
    coded = {name: pl.Int64 if isinstance(held, pl.Datetime) else held for name, held in types.items()}
    lists = pl.Series("row", [listed]).str.json_decode(pl.List(pl.Struct(coded)))
    return lists.explode().struct.unnest().cast(types).select(kind.columns)


def _times(frame: pl.DataFrame) -> pl.selectors.Selector:
    return pl.selectors.by_name(*(name for name, held in frame.schema.items() if isinstance(held, pl.Datetime)))


def _comparable(name: str, held: pl.DataType) -> pl.Expr:
    """Digits only, so that no server's locale can have an opinion; an absent value comes before all others."""
    column = pl.col(name)
    if held == pl.String:
        # A text that another one starts with comes before it: the end is lower than any byte of text.
        return column.str.encode("hex").fill_null("") + "00"
    number = column.cast(pl.Int64) + _BIAS if isinstance(held, pl.Datetime) else column.cast(pl.UInt64)
    filled = pl.lit("1") + number.cast(pl.String).str.zfill(_DIGITS)
    return pl.when(number.is_null()).then(pl.lit("0" * (_DIGITS + 1))).otherwise(filled)
