"""CAISO OASIS prices: PRC_LMP (DAM), PRC_INTVL_LMP (RTM), PRC_HASP_LMP (HASP) and PRC_RTPD_LMP (RTPD).

CSV (`resultformat=6`) has one line a component: INTERVALSTARTTIME_GMT, INTERVALENDTIME_GMT, NODE, NODE_ID,
MARKET_RUN_ID, LMP_TYPE (LMP, MCE, MCC, MCL, MGHG) and the price in $/MWh under MW, VALUE or PRC, in an order that
differs between the reports. `document` reads the XML variant. Components are brought together to one row a node and
interval, in the order in which they first appear; `line` is that of the LMP component. Only the GMT stamps are read:
OPR_HR is neither dense nor rising on the days the clock changes. The run is that of the payload, so fifteen-minute runs
can be told from five-minute ones whichever stream they came in by.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from carbon254.errors import PayloadRefused
from carbon254.wire import csv

from ..contract import Payload, Rows, rejects
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
_STAMP = "%Y-%m-%dT%H:%M:%S%.f%:z"


def recognise(name: str, head: bytes) -> list[str]:
    """By the columns and the market run of the first line, or by the report an XML document says it is."""
    if document.looks_like(head):
        return list(RUNS.get(document.run_of(head), ()))
    columns = csv.header(head)
    if not set(_NAMES) <= set(columns):
        return []
    lines = head.decode("utf-8", "replace").splitlines()
    first = lines[1].split(",") if len(lines) > 1 else []
    place = columns.index("MARKET_RUN_ID")
    return list(RUNS.get(first[place].strip(' "'), ())) if place < len(first) else []


def parse(payload: Payload) -> Iterator[Rows]:
    """All rows at once. Raises PayloadRefused for an answer that is empty, an error, or another feed's prices."""
    document.refuse_pages(payload.data)
    if document.looks_like(payload.data):
        frame, bad = document.components(payload.data), rejects([], [], [])
        texts: Texts = lambda numbers: document.texts(frame, numbers)  # noqa: E731
    else:
        frame, bad = _lines(payload.data)
        texts = lines_of(payload.data)
    _check_runs(frame, payload)
    sound = _sound(frame, payload, texts)
    once = _once(sound.frame, texts)
    rows = _pivot(once.frame, texts)
    lost = bad.height + sound.rejects.height + once.rejects.height
    # A row whose LMP line was rejected already has its letter: its other components are not rejected once more.
    orphans = rows.rejects.clear() if rows.rejects.height <= lost else rows.rejects
    yield Rows(rows.frame, pl.concat([bad, sound.rejects, once.rejects, orphans]).sort("line"))


def _lines(data: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Component lines of a CSV, and those that could not be read."""
    columns = csv.header(data)
    csv.require(columns, list(_NAMES), "not an OASIS price report")
    price = next((name for name in _PRICES if name in columns), None)
    if price is None or len(set(columns)) < len(columns):
        raise PayloadRefused(f"not an OASIS price report: no single MW, VALUE or PRC among {', '.join(columns)}")
    blocks = list(csv.read(data, {**dict.fromkeys(_NAMES, pl.String), price: pl.Float64}))
    if not blocks:
        raise PayloadRefused("the report has a header and no lines")
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


def _sound(frame: pl.DataFrame, payload: Payload, texts: Texts) -> Rows:
    """Lines that can stand, with their times as instants; the rest are rejects."""
    runs = [run for run, topics in RUNS.items() if payload.stream.topic in topics]
    text = pl.col("location", "location_id", "market_run", "component").str.strip_chars()
    instant = pl.col("opens", "closes").str.strip_chars().str.to_datetime(_STAMP, time_unit="us", strict=False)
    frame = frame.with_columns(text, instant.dt.convert_time_zone("UTC")).rename(
        {"opens": "interval_start", "closes": "interval_end"}
    )
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
    first = pl.struct(key).is_first_distinct().alias("first")
    kept = frame.with_columns(differs, first).filter(pl.col("first") | pl.col("differs"))
    rows = sift(kept, first_of((pl.col("differs"), "duplicate component with another price")), texts)
    return Rows(rows.frame.drop("first", "differs"), rows.rejects)


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
    return Rows(rows.frame.drop("priced"), rows.rejects)


def _kind(node: pl.Expr) -> pl.Expr:
    """Trading hubs and default load aggregation points are told by their names."""
    named = pl.when(node.str.starts_with("TH_")).then(pl.lit("hub")).when(node.str.starts_with("DLAP_"))
    return named.then(pl.lit("zone")).otherwise(pl.lit("node")).alias("location_type")
