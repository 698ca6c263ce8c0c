"""CAISO OASIS prices: PRC_LMP (DAM), PRC_INTVL_LMP (RTM), PRC_HASP_LMP (HASP) and PRC_RTPD_LMP (RTPD).

CSV (`resultformat=6`) has one line a component: INTERVALSTARTTIME_GMT, INTERVALENDTIME_GMT, NODE, NODE_ID,
MARKET_RUN_ID, LMP_TYPE (LMP, MCE, MCC, MCL, MGHG) and the price in $/MWh under MW, VALUE or PRC, in an order that
differs between the reports. `document` reads the XML variant. Components are brought together to one row a node and
interval, in the order in which they first appear; `line` is that of the LMP component. Only the GMT stamps are read:
OPR_HR is neither dense nor rising on the days the clock changes. The run is that of the payload, so fifteen-minute runs
can be told from five-minute ones whichever stream they came in by.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.model import Stream
from carbon254.wire import csv, names, stamps

from ..contract import Payload, Rows, rejects
from ..reading import checked, unread
from ..sift import Texts, first_of, lines_of, sift, wild
from . import document

COMPONENTS = {"LMP": "lmp", "MCE": "energy", "MCC": "congestion", "MCL": "loss", "MGHG": "ghg"}
RUNS = {
    "RTM": ("iso.rt.lmp.caiso",),
    "HASP": ("iso.hasp.lmp.caiso", "iso.rt.lmp.caiso"),
    "RTPD": ("iso.hasp.lmp.caiso", "iso.rt.lmp.caiso"),
    "DAM": ("iso.da.lmp.caiso",),
}
_NAMES = {
    "NODE": "location",
    "NODE_ID": "location_id",
    "INTERVALSTARTTIME_GMT": "opens",
    "INTERVALENDTIME_GMT": "closes",
    "MARKET_RUN_ID": "market_run",
    "LMP_TYPE": "component",
}
_PRICES = ("MW", "VALUE", "PRC")
_KEY = ["market_run", "location", "location_id", "interval_start", "interval_end"]
_QUICK = ("%Y-%m-%dT%H:%M:%S%.f%:z",)


def recognise(name: str, head: bytes) -> list[str]:
    """By the columns and the market run of the first line, or by the report an XML document says it is."""
    if document.looks_like(head):
        return list(RUNS.get(document.run_of(head), ()))
    if not csv.has(head, *_NAMES):
        return []
    first = next(csv.read(head[: head.rfind(b"\n") + 1], {"MARKET_RUN_ID": pl.String}), None)
    runs = first.frame["MARKET_RUN_ID"].drop_nulls().str.strip_chars() if first else ()
    return list(RUNS.get(next(iter(runs), ""), ()))


def explain(name: str, head: bytes) -> PayloadRefused | None:
    """What an error document of OASIS says."""
    return document.error_of(head)


def parse(payload: Payload) -> Iterator[Rows]:
    """All rows at once. Raises PayloadRefused for an answer that is empty, an error, or another feed's prices."""
    frame, bad, texts = _read(payload)
    yield _rows_of(frame, bad, texts, payload.stream)


def parse_members(members: list[Payload]) -> Iterator[Rows]:
    """All rows of an archive at once: OASIS parts a report over files, of components among others.

    Lines are numbered through the members one after another; a reject says its member and its own line in it.
    """
    read: list[tuple[str, pl.DataFrame, pl.DataFrame, Texts]] = []
    refused: list[tuple[str, PayloadRefused]] = []
    for member in members:
        try:
            read.append((member.name, *checked(member, _read, explain)))
        except PayloadRefused as refusal:
            refused.append((member.name, refusal))
    if read:
        yield _together(read, members[0].stream)
    if refused:
        yield from unread(refused, bool(read))


def _together(read: list[tuple[str, pl.DataFrame, pl.DataFrame, Texts]], stream: Stream) -> Rows:
    offsets, end = [0], 0
    for _, frame, bad, _ in read:
        lines = pl.concat([frame["line"], bad["line"].drop_nulls()])
        end += int(lines.max() or 0)  # type: ignore[arg-type]
        offsets.append(end)

    def place(number: int) -> tuple[int, int]:
        at = bisect_left(offsets, number) - 1
        return at, number - offsets[at]

    def texts(numbers: list[int]) -> list[str]:
        return [read[at][3]([line])[0] for at, line in map(place, numbers)]

    frames = [
        frame.with_columns(pl.col("line") + offset) for (_, frame, _, _), offset in zip(read, offsets, strict=False)
    ]
    bads = [bad.with_columns(pl.col("line") + offset) for (_, _, bad, _), offset in zip(read, offsets, strict=False)]
    columns = ["location", "location_id", "opens", "closes", "market_run", "component", "price", "line"]
    rows = _rows_of(pl.concat([frame.select(columns) for frame in frames]), pl.concat(bads), texts, stream)
    where = [(read[at][0], line) for at, line in map(place, rows.rejects["line"].to_list())]
    named = pl.Series([f"{name} line {line}: " for name, line in where], dtype=pl.String)
    return replace(rows, rejects=rows.rejects.with_columns((named + rows.rejects["reason"]).alias("reason")))


def _read(payload: Payload) -> tuple[pl.DataFrame, pl.DataFrame, Texts]:
    """(component lines, lines that could not be read, texts of lines) of one file."""
    if document.looks_like(payload.data):
        frame, bad = document.components(payload.data), rejects([], [], [])
        texts: Texts = lambda numbers: document.texts(frame, numbers)  # noqa: E731
    else:
        frame, bad = _lines(payload.data)
        texts = lines_of(payload.data)
    _check_runs(frame, payload)
    return frame, bad, texts


def _rows_of(frame: pl.DataFrame, bad: pl.DataFrame, texts: Texts, stream: Stream) -> Rows:
    sound = _sound(frame, stream, texts)
    once = _once(sound.frame, texts)
    rows = _pivot(once.frame, texts)
    lost, orphans, merged = pl.concat([bad, sound.rejects, once.rejects]), rows.rejects, rows.merged
    if 0 < orphans.height <= lost.height:
        # A row whose LMP line was rejected already has its letter: its other components are not rejected once more.
        alone = orphans.select(record="line", line="line")
        merged = pl.concat([alone, rows.merged if rows.merged is not None else alone.clear()]).with_columns(
            pl.when(pl.col("line").is_in(orphans["line"].implode()))
            .then(pl.lit(lost["line"].min(), dtype=pl.Int64))
            .otherwise("line")
            .alias("line")
        )
        orphans = orphans.clear()
    return Rows(rows.frame, pl.concat([lost, orphans]).sort("line"), merged=merged, repeats=once.repeats)


def _lines(data: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Component lines of a CSV, and those that could not be read."""
    columns = csv.header(data)
    csv.require(columns, list(_NAMES), "not an OASIS price report")
    prices = list(names.matched(columns, _PRICES))
    price = prices[0] if prices else None
    if price is None:
        raise PayloadRefused(f"not an OASIS price report: no single MW, VALUE or PRC among {', '.join(columns)}")
    blocks = list(csv.read(data, {**dict.fromkeys(_NAMES, pl.String), price: pl.Float64}))
    if not blocks:
        raise NothingYet("the report has a header and no lines; it will be asked for again")
    frame = pl.concat([block.frame for block in blocks]).rename({**_NAMES, price: "price"})
    bad = [rejects(block.lines, block.reasons, block.raws) for block in blocks]
    return frame, pl.concat(bad)


def _check_runs(frame: pl.DataFrame, payload: Payload) -> None:
    """Refuse a payload none of whose runs belongs to the stream, saying where it belongs."""
    found = [run for run in frame["market_run"].str.strip_chars().unique(maintain_order=True) if run]
    if not found or any(payload.stream.topic in RUNS.get(run, ()) for run in found):
        return
    homes = RUNS.get(found[0])
    where = f"they belong to {homes[0]}" if homes else f"runs this feed knows are {', '.join(RUNS)}"
    raise PayloadRefused(f"these are prices of market run {found[0]}, not of {payload.stream.topic}: {where}")


def _sound(frame: pl.DataFrame, stream: Stream, texts: Texts) -> Rows:
    """Lines that can stand, with their times as instants; the rest are rejects."""
    runs = [run for run, topics in RUNS.items() if stream.topic in topics]
    text = pl.col("location", "location_id", "market_run", "component").str.strip_chars()
    instants = (stamps.utc(pl.col(name), "iso", _QUICK) for name in ("opens", "closes"))
    frame = frame.with_columns(text, *instants).rename({"opens": "interval_start", "closes": "interval_end"})
    frame = frame.with_columns(pl.coalesce("location", "location_id"))
    return sift(
        frame,
        first_of(
            (pl.col("interval_start").is_null() | pl.col("interval_end").is_null(), "a GMT stamp cannot be read"),
            (pl.col("location_id").fill_null("") == "", "the node is empty"),
            (pl.col("component").is_in(list(COMPONENTS)).not_().fill_null(True), "LMP_TYPE is none of the components"),
            (pl.col("market_run").is_in(runs).not_().fill_null(True), "the market run is not of this feed"),
            (wild(["price"]), "the price is not a finite number"),
        ),
        texts,
    )


def _once(frame: pl.DataFrame, texts: Texts) -> Rows:
    """Lines whose component is there once; a repeated equal line is ignored. Where the prices differ every line is a
    reject: nothing says which of them is right, and the order of lines must not."""
    key = [*_KEY, "component"]
    if not frame.select(pl.struct(key).is_duplicated().any()).item():
        return Rows(frame)
    differs = (pl.col("price").n_unique().over(key) > 1).alias("differs")
    marked = frame.with_columns(differs, pl.struct(key).is_first_distinct().alias("first"))
    kept = marked.filter(pl.col("first") | pl.col("differs"))
    rows = sift(kept, first_of((pl.col("differs"), "duplicate component with another price")), texts)
    repeats = marked.filter(~pl.col("first"), ~pl.col("differs"))["line"]
    return Rows(rows.frame.drop("first", "differs"), rows.rejects, repeats=repeats)


def _pivot(frame: pl.DataFrame, texts: Texts) -> Rows:
    """One row a node and interval, in order of first appearance; components nobody published are left out."""
    present = set(frame["component"].unique())
    if frame.height and "LMP" not in present:
        raise PayloadRefused(f"only {', '.join(sorted(present))} and no LMP: ask by node, then one file holds all")
    prices = [
        pl.col("price").filter(pl.col("component") == theirs).first().alias(ours)
        for theirs, ours in COMPONENTS.items()
        if theirs in present | {"LMP"}
    ]
    priced = pl.col("line").filter(pl.col("component") == "LMP").first().alias("priced")
    wide = frame.group_by(_KEY, maintain_order=True).agg(*prices, priced, pl.col("line").first())
    wide = wide.with_columns(pl.coalesce("priced", "line").alias("line"), _kind(pl.col("location_id")))
    rows = sift(wide, first_of((pl.col("priced").is_null(), "no LMP line for this node and interval")), texts)
    mine = pl.coalesce(pl.col("line").filter(pl.col("component") == "LMP").first(), pl.col("line").first()).over(_KEY)
    merged = frame.select(record="line", line=mine).filter(pl.col("record") != pl.col("line"))
    return Rows(rows.frame.drop("priced"), rows.rejects, merged=merged)


def _kind(node: pl.Expr) -> pl.Expr:
    """Trading hubs and default load aggregation points are told by their names."""
    named = pl.when(node.str.starts_with("TH_")).then(pl.lit("hub")).when(node.str.starts_with("DLAP_"))
    return named.then(pl.lit("zone")).otherwise(pl.lit("node")).alias("location_type")
