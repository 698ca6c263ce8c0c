"""Files of instruments: judged row by row against the taxonomy and the places, and taken into the reference store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import polars as pl

from carbon254.engine.seeding import put_listed
from carbon254.errors import AmbiguousPlace, ReferenceRefused, UnknownPlace
from carbon254.stores.reference import Loaded, Reference

_OWN = ("instrument", "name", "commodity", "market", "region", "location_id", "product", "product_tier", "unit")
_NEEDED = ("instrument", "commodity")
_TIERS = ("commodity", "region", "product_tier")
_LONGEST = 128


@dataclass(frozen=True, slots=True)
class Done:
    """What a list came to: rows taken, how many instruments and facts were news, and the rejects."""

    rows: int
    news: int
    loaded: Loaded


def load(reference: Reference, frame: pl.DataFrame, source: str, new: bool) -> Done:
    """Take the rows in that can be; `new` allows commodities that the taxonomy lacks. Raises ReferenceRefused."""
    given = _shaped(frame)
    known = reference.taxonomy(tier="commodity")["name"].to_list()
    good: list[dict[str, Any]] = []
    lines, reasons, raws = [], [], []
    seen: dict[str, int] = {}
    for row in given.iter_rows(named=True):
        try:
            good.append(_judged(reference, row, known, new, seen))
        except (ReferenceRefused, UnknownPlace, AmbiguousPlace) as refusal:
            lines.append(row["line"])
            reasons.append(str(refusal))
            raws.append(json.dumps({name: value for name, value in row.items() if name != "line"}, default=str))
    news = 0
    if good:
        taken = pl.DataFrame(good, schema=dict.fromkeys(given.columns, pl.String) | {"line": pl.Int64})
        more = [name for name in taken.columns if name not in (*_OWN, "line")]
        with reference.together():
            news = put_listed(reference, taken.select(_OWN), source, seeded=False)
            facts = taken.select(pl.lit("instrument").alias("subject"), pl.col("instrument").alias("entity"), *more)
            told = facts.unpivot(more, index=["subject", "entity"], variable_name="key") if more else facts.clear()
            told = told.drop_nulls("value") if more else told
            news += reference.put_facts(told, source) if told.height else 0
    rejects = pl.DataFrame([lines, reasons, raws], schema={"line": pl.Int64, "reason": pl.String, "raw": pl.String})
    return Done(len(good), news, Loaded(rejects=rejects))


def _shaped(frame: pl.DataFrame) -> pl.DataFrame:
    """Own columns and others as stripped text; empty is missing. Raises ReferenceRefused for a column that lacks."""
    frame = frame.rename({name: name.strip().lower() for name in frame.columns})
    lacking = [name for name in _NEEDED if name not in frame.columns]
    if lacking:
        raise ReferenceRefused(
            f"a list of instruments needs the columns {', '.join(_NEEDED)}; it has {', '.join(frame.columns) or 'none'}"
        )
    line = pl.col("line").cast(pl.Int64) if "line" in frame.columns else pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    numbered = frame.with_columns(line.alias("line"))
    absent = [pl.lit(None, dtype=pl.String).alias(name) for name in _OWN if name not in frame.columns]
    texts = [name for name in numbered.columns if name != "line"]
    stripped = [pl.col(name).cast(pl.String).str.strip_chars() for name in texts]
    return (
        numbered.with_columns(stripped)
        .with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in texts)
        .with_columns(absent)
    )


def _judged(
    reference: Reference, row: dict[str, Any], known: list[str], new: bool, seen: dict[str, int]
) -> dict[str, Any]:
    """The row as it is kept. Raises ReferenceRefused and UnknownPlace with what is wrong."""
    name = row["instrument"]
    if name is None or len(name) > _LONGEST:
        raise ReferenceRefused(f"its instrument is empty or longer than {_LONGEST} characters")
    if name in seen:
        raise ReferenceRefused(f"{name} is listed again: line {seen[name]} stands")
    if row["commodity"] is None:
        raise ReferenceRefused(f"{name} has no commodity")
    for tier in _TIERS:
        if "/" in (row[tier] or ""):
            raise ReferenceRefused(f"{name}: {tier} {row[tier]!r} has a slash, which parts the taxonomy's tiers")
    same = next((one for one in known if one.lower() == row["commodity"].lower()), None)
    if same is None and not new:
        near = get_close_matches(row["commodity"].lower(), known, n=3) or known
        raise ReferenceRefused(
            f"{name}: there is no commodity {row['commodity']!r}, did you mean {', '.join(near)}? "
            "A new one is taken with --new-commodities"
        )
    place = row["location_id"]
    if place is not None:
        if row["market"] is None:
            raise ReferenceRefused(f"{name} has a location_id and no market")
        place = reference.resolve(row["market"], place).location_id
    seen[name] = row["line"]
    return row | {"name": row["name"] or name, "commodity": same or row["commodity"], "location_id": place}
