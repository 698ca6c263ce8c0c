"""A list of places as somebody hands it over → rows that can be stored, and rejects with line and reason.

Columns: `location_id`, `name` (or `location`), `type` (or `location_type`), `region`; optional `valid_from` and
`valid_to` where the list itself dates its rows; every other column is an attribute (voltage, zone). Text is stripped,
and what is empty is missing. Two rows are equal where their hashes are: attributes count by name, whatever their order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from carbon254.errors import ReferenceRefused

REJECTS = pl.Schema({"line": pl.Int64, "reason": pl.String, "raw": pl.String})
CONTENT = ("name", "type", "region", "attributes", "hash")
_SYNONYMS = {"location": "name", "location_type": "type"}
_OWN = ("location_id", "name", "type", "region", "valid_from", "valid_to", "line")
_LONGEST = 256
_CONTROL = r"[\x00-\x1f\x7f]"
_WHEN = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Listing:
    """`rows`: line, location_id, CONTENT, `at` and `until` (microseconds since 1970 UTC, null where the list says
    nothing); `rejects`: line, reason, raw; `named`: every id the list names, rejected rows included."""

    rows: pl.DataFrame
    rejects: pl.DataFrame
    named: pl.Series

    @property
    def content(self) -> str:
        """SHA-256 of what the list says, whatever the order of its rows."""
        if self.rows.is_empty():
            return hashlib.sha256(b"").hexdigest()
        told = self.rows.select(pl.concat_str("location_id", "hash", "at", "until", separator="|", ignore_nulls=False))
        undated = self.rows.select(pl.concat_str("location_id", "hash", separator="|"))
        both = pl.concat([told, undated]).to_series().drop_nulls().sort().to_list()
        return hashlib.sha256("\n".join(both).encode()).hexdigest()


@cache
def no_places() -> Listing:
    """What is read from a list without rows; most feeds have one of some kind, and a node starts with all of them."""
    return read_list(pl.DataFrame(schema={"location_id": pl.String}), "")


def read_list(frame: Any, kind: str) -> Listing:
    """Sort a list's rows into those that can be stored and those that cannot.

    `frame` is a polars frame or anything one can be made of. Raises ReferenceRefused where it has no location_id.
    """
    given = _named(frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame))
    raw = given.select(pl.struct(pl.exclude("line")).struct.json_encode().alias("raw")) if given.width else None
    line = pl.col("line").cast(pl.Int64) if "line" in given.columns else pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    dated = _dates(given)
    rows = dated.with_columns(
        line.alias("line"), _id(dated.schema["location_id"]).alias("location_id"), *_words(dated.columns, kind)
    ).with_columns(pl.col("name").fill_null(pl.col("location_id")), _attributes(dated).alias("attributes"))
    rows = rows.with_columns(pl.Series("raw", raw["raw"] if raw is not None else [], dtype=pl.String))
    judged = rows.with_columns(_reason().alias("reason"))
    bad = judged.filter(pl.col("reason").is_not_null())
    good = hashed(judged.filter(pl.col("reason").is_null()))
    first = good.unique(["location_id", "at"], keep="first", maintain_order=True)
    return Listing(
        first.select("line", "location_id", *CONTENT, "at", "until"),
        pl.concat([bad.select(*REJECTS), _repeated(good, first)]).sort("line", maintain_order=True),
        judged["location_id"].drop_nulls().unique(),
    )


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    frame = frame.rename(
        {old: new for old, new in _SYNONYMS.items() if old in frame.columns and new not in frame.columns}
    )
    if "location_id" not in frame.columns:
        found = ", ".join(frame.columns) or "none"
        raise ReferenceRefused(f"a list of places needs a column location_id; it has: {found}")
    return frame


def _id(kind: pl.DataType) -> pl.Expr:
    """Ids are text. One that came as a float (a table with gaps in it) is the whole number it was."""
    whole = pl.col("location_id").cast(pl.Int64, strict=False) if kind.is_float() else pl.col("location_id")
    return _text(whole)


def _text(value: pl.Expr) -> pl.Expr:
    stripped = value.cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _words(columns: list[str], kind: str) -> list[pl.Expr]:
    absent = pl.lit(None, dtype=pl.String)
    words = {name: _text(pl.col(name)) if name in columns else absent for name in ("name", "type", "region")}
    words["type"] = words["type"].fill_null(kind.removesuffix("s"))
    return [value.alias(name) for name, value in words.items()]


def _dates(frame: pl.DataFrame) -> pl.DataFrame:
    """`at` and `until` from valid_from and valid_to; `_undated` marks what is there and names no instant."""
    moments, wrong = [], pl.lit(value=False)
    for name, kept in (("valid_from", "at"), ("valid_to", "until")):
        if name not in frame.columns:
            moments.append(pl.lit(None, dtype=pl.Int64).alias(kept))
            continue
        when = _instant(frame.schema[name], name)
        moments.append(when.dt.epoch("us").alias(kept))
        wrong = wrong | (when.is_null() & _text(pl.col(name)).is_not_null())
    return frame.with_columns(*moments, wrong.alias("_undated"))


def _instant(kind: pl.DataType, name: str) -> pl.Expr:
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        return pl.col(name).dt.convert_time_zone("UTC").cast(_WHEN)
    if kind == pl.String:
        told = pl.col(name).str.strip_chars()
        offset = told.str.contains(r"(Z|[+-]\d\d:?\d\d)$")
        read = told.str.replace(r"Z$", "+00:00").str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
        return pl.when(offset).then(read)
    return pl.lit(None, dtype=_WHEN)


def _attributes(frame: pl.DataFrame) -> pl.Expr:
    """A JSON object of what is left, in the order of names, without what is missing."""
    parts = []
    for name in sorted(set(frame.columns) - {*_OWN, "at", "until", "_undated"}):
        value = _text(pl.col(name)).alias(name) if frame.schema[name] == pl.String else pl.col(name)
        if frame.schema[name].is_float():
            value = value.fill_nan(None)
        pair = pl.struct(value).struct.json_encode().str.strip_prefix("{").str.strip_suffix("}")
        parts.append(pl.when(value.is_not_null()).then(pair))
    if not parts:
        return pl.lit("{}")
    return pl.concat_str(pl.lit("{"), pl.concat_str(parts, separator=",", ignore_nulls=True), pl.lit("}"))


def _reason() -> pl.Expr:
    place = pl.col("location_id")
    control = pl.any_horizontal(
        pl.col(name).str.contains(_CONTROL).fill_null(value=False) for name in ("location_id", "name", "type", "region")
    )
    return (
        pl.when(place.is_null())
        .then(pl.lit("it has no location_id"))
        .when(place.str.len_chars() > _LONGEST)
        .then(pl.lit(f"its location_id is longer than {_LONGEST} characters"))
        .when(control)
        .then(pl.lit("its id, name, type or region has control characters"))
        .when(pl.col("_undated"))
        .then(pl.lit("its valid_from or valid_to is no instant with an offset, such as 1999-12-31T05:00:00Z"))
        .when(pl.col("until") <= pl.col("at"))
        .then(pl.lit("it ends (valid_to) before it starts (valid_from)"))
    )


def hashed(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with `hash`: BLAKE2 over name, type, region and attributes, the same in every process and version."""
    told = rows.select(pl.struct("name", "type", "region", "attributes").struct.json_encode()).to_series().to_list()
    hashes = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in told]
    return rows.with_columns(pl.Series("hash", hashes, dtype=pl.String))


def _repeated(good: pl.DataFrame, first: pl.DataFrame) -> pl.DataFrame:
    """Rejects for places that the list names again: the first row stands."""
    kept = first.select("location_id", "at", pl.col("line").alias("_line"), pl.col("hash").alias("_hash"))
    again = good.join(kept, on=["location_id", "at"], how="inner", nulls_equal=True, maintain_order="left").filter(
        pl.col("line") != pl.col("_line")
    )
    how = pl.when(pl.col("hash") == pl.col("_hash")).then(pl.lit("again")).otherwise(pl.lit("otherwise"))
    reason = pl.format("{} is listed {}: line {} stands", "location_id", how, "_line")
    return again.select("line", reason.alias("reason"), "raw")
