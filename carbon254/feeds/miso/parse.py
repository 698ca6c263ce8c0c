"""MISO prices: the wide daily reports (CSV) and the public API's five-minute tables (JSON).

`YYYYMMDD_da_expost_lmp.csv`, `_da_exante_lmp`, `_rt_lmp_final`, `_rt_lmp_prelim`: a title, the day, perhaps an empty
line, a note that all hours are Eastern standard time, then Node, Type, Value (LMP, MCC or MLC) and HE 1 to HE 24. The
run is told by the title or the name. Energy is not published; it is what congestion and loss leave of LMP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire import csv
from carbon254.wire.blocks import number_text

from ..contract import Payload, Rows, rejects
from ..sift import Texts, first_of, lines_of, sift
from . import table

HOURS = [f"HE {hour}" for hour in range(1, 25)]
COMPONENTS = {"LMP": "lmp", "MCC": "congestion", "MLC": "loss"}
_TOPICS = {
    "DA_EXPOST": "iso.da.lmp.miso",
    "DA_EXANTE": "iso.da.lmp.miso",
    "RT_FINAL": "iso.rth.lmp.miso",
    "RT_PRELIM": "iso.rth.lmp.miso",
}
_NAMES = ("Node", "Type", "Value")
_KINDS = {"loadzone": "zone", "interface": "interface"}
_DAY = re.compile(r"(?<!\d)(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})(?!\d)")
_ISO_DAY = re.compile(r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?!\d)")
_NAMED_DAY = re.compile(r"(?<!\d)(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)_")

_LOOK, _MOST_LINES = 65_536, 50
_ORPHAN = "no LMP line for this node"
_COMPANIONS = len(COMPONENTS) - 1


def recognise(name: str, head: bytes) -> list[str]:
    """Reports by their header line and title; tables by the names in the JSON."""
    if table.looks_like(head):
        return [table.TOPIC]
    skip = _preamble_lines(head)
    if skip is None:
        return []
    run = _run(_first_lines(head, skip), name)
    return [_TOPICS[run]] if run else list(dict.fromkeys(_TOPICS.values()))


def parse(payload: Payload) -> Iterator[Rows]:
    """All rows of the payload. Raises PayloadRefused for what is no price report or belongs to another stream."""
    if payload.data[:_LOOK].lstrip()[:1] in (b"{", b"["):
        yield table.parse(payload)
        return
    yield _report(payload)


def _report(payload: Payload) -> Rows:
    skip = _preamble_lines(payload.data)
    if skip is None:
        raise PayloadRefused("not a MISO price report: no line has the columns Node,Type,Value")
    preamble = _first_lines(payload.data, skip)
    # Where neither title nor name says it, whoever named the feed has: then the run is the card's.
    run = _run(preamble, payload.name) or payload.stream.market_run
    if _TOPICS.get(run) != payload.stream.topic:
        belongs = f"they belong to {_TOPICS[run]}" if run in _TOPICS else "it takes no daily reports"
        raise PayloadRefused(f"these are not prices of {payload.stream.topic}: {belongs}")
    day = _day(preamble, payload.name)
    wide, bad = _lines(payload.data, skip)
    texts = lines_of(payload.data)
    sound = _sound(wide, texts)
    orphans = sound.rejects.filter(pl.col("reason") == _ORPHAN)
    lost = pl.concat([bad, sound.rejects.filter(pl.col("reason") != _ORPHAN)])
    merged = orphans.select(record="line", line=pl.lit(lost["line"].min(), dtype=pl.Int64)).clear()
    if 0 < orphans.height <= _COMPANIONS * lost.height:
        # A node whose LMP line was rejected already has its letter: its other lines are not rejected once more.
        merged = orphans.select(record="line", line=pl.lit(lost["line"].min(), dtype=pl.Int64))
        orphans = orphans.clear()
    rows = _long(sound.frame, day, texts)
    frame = rows.frame.with_columns(pl.lit(run).alias("market_run"))
    twice = sound.merged if sound.merged is not None else merged.clear()
    merged = pl.concat([merged, _companions(sound.frame, rows), twice])
    found = pl.concat([lost, orphans, rows.rejects]).sort("line")
    return Rows(frame, found, merged=merged, repeats=sound.repeats)


def _companions(lines: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """(record, line): each node's congestion and loss lines with its LMP line, or all with what was rejected of it."""
    priced = lines.filter(pl.col("Value") == "LMP").select("Node", at="line")
    there = priced.filter(pl.col("at").is_in(rows.frame["line"].unique().implode()))
    bad = lines.filter(pl.col("line").is_in(rows.rejects["line"].unique().implode())).select("Node", at="line")
    home = pl.concat([there, bad.join(there, on="Node", how="anti")])
    pairs = lines.join(home, on="Node", how="inner").select(record="line", line="at")
    return pairs.filter(pl.col("record") != pl.col("line"))


def _preamble_lines(data: bytes) -> int | None:
    """How many lines precede the header; None where no line of the first ones has its columns."""
    lines = data[:_LOOK].split(b"\n")[:_MOST_LINES]
    heads = (number for number, line in enumerate(lines) if csv.has(line, *_NAMES))
    return next(heads, None)


def _first_lines(data: bytes, count: int) -> str:
    return b"\n".join(data[:_LOOK].split(b"\n")[:count]).decode("utf-8", "replace")


def _run(preamble: str, name: str) -> str:
    """The market run by the title, else by the file's name; empty where neither tells."""
    for said in (preamble.lower(), name.lower()):
        if re.search(r"day[ -]?ahead|\bda_ex|_da_ex", said):
            return "DA_EXANTE" if "ante" in said else "DA_EXPOST"
        if re.search(r"real[ -]?time|\brt_lmp|_rt_lmp", said):
            return "RT_PRELIM" if "prelim" in said + name.lower() else "RT_FINAL"
    return ""


def _day(preamble: str, name: str) -> datetime:
    """The market day's midnight, from the preamble, else from the name."""
    found = _DAY.search(preamble) or _ISO_DAY.search(preamble) or _NAMED_DAY.search(name)
    try:
        if found:
            return datetime(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError as error:
        raise PayloadRefused(f"the report's day cannot be read: {error}") from error
    raise PayloadRefused("the report does not say its day (MM/DD/YYYY below the title)")


def _lines(data: bytes, skip: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines as text, for one bad cell must not cost the other hours; and lines that could not be read."""
    csv.require(csv.header(data, skip), [*_NAMES, *HOURS], "not a MISO price report")
    blocks = list(csv.read(data, dict.fromkeys((*_NAMES, *HOURS), pl.String), skip))
    if not blocks:
        raise NothingYet("the report has a header and no lines; it will be asked for again")
    bad = pl.concat([rejects(block.lines, block.reasons, block.raws) for block in blocks])
    return pl.concat([block.frame for block in blocks]).with_columns(pl.col(pl.String).str.strip_chars()), bad


def _sound(wide: pl.DataFrame, texts: Texts) -> Rows:
    """Lines that can stand: a known component of a named node, once."""
    priced = (pl.col("Value") == "LMP").any().over("Node")
    reason = first_of(
        (pl.col("Node").fill_null("") == "", "the node is empty"),
        (pl.col("Value").is_in(list(COMPONENTS)).not_().fill_null(True), "Value is none of LMP, MCC, MLC"),
        (priced.not_().fill_null(True), _ORPHAN),
    )
    rows = sift(wide, reason, texts)
    return replace(_once(rows.frame), rejects=rows.rejects)


def _once(wide: pl.DataFrame) -> Rows:
    """One line a node and component. Where repeated lines differ in an hour, its cell holds all that was said: it is no
    number, and so a reject. Nothing says which of them is right, and the order of lines must not."""
    key = ["Node", "Value"]
    if not wide.select(pl.struct(key).is_duplicated().any()).item():
        return Rows(wide)
    hours = [
        pl.when(pl.col(hour).n_unique() > 1).then(pl.col(hour).fill_null("").unique().sort().str.join(" or "))
        .otherwise(pl.col(hour).first()).alias(hour)
        for hour in HOURS
    ]  # fmt: skip
    same = pl.all_horizontal(pl.col(hour).n_unique().over(key) == 1 for hour in HOURS).alias("same")
    others = wide.select("line", same, pl.col("line").min().over(key).alias("kept")).filter(
        pl.col("line") != pl.col("kept")
    )
    return Rows(
        wide.group_by(key, maintain_order=True).agg(pl.col("Type").min(), pl.col("line").min(), *hours),
        merged=others.filter(~pl.col("same")).select(record="line", line="kept"),
        repeats=others.filter("same")["line"],
    )


def _long(wide: pl.DataFrame, day: datetime, texts: Texts) -> Rows:
    """One row a node and hour, in the order of the LMP lines; a cell that is no number rejects its node and hour."""
    cells = wide.unpivot(on=HOURS, index=["line", *_NAMES], variable_name="hour", value_name="cell").with_columns(
        pl.col("hour").str.slice(3).cast(pl.Int64).alias("he"),
        number_text(pl.col("cell")).cast(pl.Float64, strict=False).alias("price"),
    )
    bad = (pl.col("cell").fill_null("") != "") & ~pl.col("price").is_finite().fill_null(False)
    cells = cells.with_columns(bad.alias("bad"))
    rows = cells.filter(pl.col("Value") == "LMP").sort("line", "he").rename({"price": "lmp"})
    for theirs, ours in list(COMPONENTS.items())[1:]:
        part = cells.filter(pl.col("Value") == theirs).select("Node", "he", pl.col("price").alias(ours), pl.col("bad"))
        if part.height:
            rows = rows.join(part, on=["Node", "he"], how="left", maintain_order="left", suffix="_part")
            rows = rows.with_columns(pl.col("bad") | pl.col("bad_part").fill_null(False)).drop("bad_part")
    frame = rows.filter(~pl.col("bad")).select(
        pl.col("Node").alias("location"),
        pl.col("Node").alias("location_id"),
        _kind(),
        (pl.lit(day).cast(pl.Datetime("us")) + pl.duration(hours=pl.col("he"))).alias("label"),
        *[ours for ours in COMPONENTS.values() if ours in rows.columns],
        "line",
    )
    return Rows(frame, _bad_cells(cells.filter(pl.col("bad")).sort("line", "he"), texts))


def _kind() -> pl.Expr:
    """Only eight of the hundreds of nodes of type Hub are trading hubs; their names end with .HUB."""
    kind = pl.col("Type").str.to_lowercase().replace_strict(_KINDS, default="node")
    return pl.when(pl.col("Node").str.ends_with(".HUB")).then(pl.lit("hub")).otherwise(kind).alias("location_type")


def _bad_cells(cells: pl.DataFrame, texts: Texts) -> pl.DataFrame:
    if not cells.height:
        return rejects([], [], [])
    numbers = cells["line"].to_list()
    reasons = [f"{hour}: {cell!r} is not a finite number" for hour, cell in cells.select("hour", "cell").iter_rows()]
    return rejects(numbers, reasons, texts(numbers))
