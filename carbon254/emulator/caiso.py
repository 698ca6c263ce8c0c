"""CAISO OASIS `SingleZip`: a zip of one CSV with `resultformat=6`, of one XML without it.

PRC_LMP (DAM), PRC_INTVL_LMP (RTM), PRC_RTPD_LMP (RTPD) and PRC_HASP_LMP (HASP), one row a component, the window in GMT.
Errors come as HTTP 200 with a zip of `INVALID_REQUEST.xml`. The repeated autumn hour is OPR_HR 25, between 2 and 3; in
spring 3 is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

import numpy as np
import polars as pl

from . import text
from .market import Ints
from .places import Places
from .spoil import zip_bytes
from .world import Answer, Ask, Release, World, starts_between

CLOCK = "America/Los_Angeles"
_STAMP = "%Y-%m-%dT%H:%M:%S-00:00"
_MAX_DAYS = 31
# LMP_TYPE: (XML_DATA_ITEM, component), in the order the components are written.
_ITEMS = {
    "LMP": ("LMP_PRC", "lmp"),
    "MCC": ("LMP_CONG_PRC", "congestion"),
    "MCE": ("LMP_ENE_PRC", "energy"),
    "MCL": ("LMP_LOSS_PRC", "loss"),
    "MGHG": ("LMP_GHG_PRC", "ghg"),
}
# query: (feed, market run, seconds an interval, price column, where OPR_INTERVAL stands)
_QUERIES = {
    "PRC_LMP": ("iso.da.lmp.caiso", "DAM", 3_600, "MW", "early"),
    "PRC_INTVL_LMP": ("iso.rt.lmp.caiso", "RTM", 300, "VALUE", "late"),
    "PRC_RTPD_LMP": ("iso.hasp.lmp.caiso", "RTPD", 900, "PRC", "late"),
    "PRC_HASP_LMP": ("iso.hasp.lmp.caiso", "HASP", 900, "MW", "late"),
}


def answer(ask: Ask, world: World) -> Answer:
    """The report asked for. Wrong parameters get OASIS's own error document inside HTTP 200."""
    if not ask.path.endswith("/SingleZip"):
        return Answer(b"<html><body><h1>Not Found</h1></body></html>", "text/html", 404)
    query = ask.get("queryname")
    if query not in _QUERIES or ask.get("market_run_id") not in ("", _QUERIES[query][1]):
        return _refused(world, 1001, "Invalid Parameters of the given report name")
    begin, end = _moment(ask.get("startdatetime")), _moment(ask.get("enddatetime"))
    if begin is None or end is None:
        return _refused(world, 1002, "Invalid datetime format")
    if end - begin > timedelta(days=_MAX_DAYS, hours=1):
        return _refused(world, 1004, f"Date range exceeds the limit of {_MAX_DAYS} days")
    topic, _, step, _, _ = _QUERIES[query]
    chosen = _nodes(ask, world)
    starts = starts_between(begin, end, step)
    release = world.release(topic, ask.address, starts)
    if not release.count or not len(chosen):
        return _refused(world, 1000, "No data returned for the specified selection")
    return _report(ask, world, query, chosen, starts[: release.count], release)


def _moment(value: str) -> datetime | None:
    """`20000131T08:00-0000`, an instant."""
    try:
        return datetime.strptime(value.replace(" ", "+"), "%Y%m%dT%H:%M%z").astimezone(UTC)
    except ValueError:
        return None


def _nodes(ask: Ask, world: World) -> Places:
    everything = world.places("caiso")
    wanted = [name for value in ask.all("node") for name in value.split(",") if name]
    return everything.named(wanted) if wanted else everything


def _report(ask: Ask, world: World, query: str, chosen: Places, starts: Ints, release: Release) -> Answer:
    run = _QUERIES[query][1]
    made = datetime.fromtimestamp(release.published, UTC)
    window = "_".join(re.sub(r"T.*", "", ask.get(name)) for name in ("startdatetime", "enddatetime"))
    stem = f"{window}_{query}_{run}_{made:%Y%m%d_%H_%M_%S}_v1"
    frame = _table(world, query, chosen, starts)
    if ask.get("resultformat") == "6":
        name, body = f"{stem}.csv", text.csv_bytes(frame)
    else:
        name, body = f"{stem}.xml", _xml(frame, query, run, made)
    headers = {"Content-Disposition": f"attachment; filename={stem}.zip"}
    return Answer(zip_bytes(name, body), "application/x-zip-compressed", published=release.published, headers=headers)


def _table(world: World, query: str, chosen: Places, starts: Ints) -> pl.DataFrame:
    topic, run, step, price, late = _QUERIES[query]
    found = world.prices(topic, chosen, starts)
    base = _intervals(starts, step, len(chosen))
    nodes = text.per_location(chosen.names, len(starts))
    parts = []
    for turn, (kind, (item, component)) in enumerate(_ITEMS.items(), start=1):
        parts.append(
            base.with_columns(
                nodes.alias("NODE_ID_XML"),
                nodes.alias("NODE_ID"),
                nodes.alias("NODE"),
                pl.lit(run).alias("MARKET_RUN_ID"),
                pl.lit(kind).alias("LMP_TYPE"),
                pl.lit(item).alias("XML_DATA_ITEM"),
                nodes.alias("PNODE_RESMRID"),
                pl.lit("ALL_APNODES").alias("GRP_TYPE"),
                pl.lit(0).alias("POS"),
                pl.Series(price, found.dollars(component).reshape(-1)),
                pl.lit(turn).alias("GROUP"),
            )
        )
    frame = pl.concat(parts)
    rest = [name for name in frame.columns if name not in ("OPR_INTERVAL", "GROUP")]
    cut = rest.index("OPR_HR") + 1 if late == "early" else len(rest)
    return frame.select(*rest[:cut], "OPR_INTERVAL", *rest[cut:], "GROUP")


def _intervals(starts: Ints, step: int, locations: int) -> pl.DataFrame:
    hours, numbers, days = _trade_hours(starts, step)
    return pl.DataFrame(
        {
            "INTERVALSTARTTIME_GMT": text.stamps(text.instants(starts), _STAMP),
            "INTERVALENDTIME_GMT": text.stamps(text.instants(starts, step), _STAMP),
            "OPR_DT": days,
            "OPR_HR": hours,
            "OPR_INTERVAL": numbers,
        }
    )[np.repeat(np.arange(len(starts)), locations)]


def _trade_hours(starts: Ints, step: int) -> tuple[list[int], list[int], list[str]]:
    """OPR_HR, OPR_INTERVAL and OPR_DT: hour ending by the local clock, 25 for the second pass of a repeated hour."""
    moments = text.local(starts, CLOCK)
    hours = [25 if moment.fold else moment.hour + 1 for moment in moments]
    numbers = [0 if step == 3_600 else moment.minute * 60 // step + 1 for moment in moments]
    return hours, numbers, [f"{moment:%Y-%m-%d}" for moment in moments]


def _xml(frame: pl.DataFrame, query: str, run: str, made: datetime) -> bytes:
    price = next(name for name in ("MW", "VALUE", "PRC") if name in frame.columns)
    columns = ("XML_DATA_ITEM", "NODE", "OPR_DT", "OPR_HR", "INTERVALSTARTTIME_GMT", "INTERVALENDTIME_GMT", price)
    tags = ("DATA_ITEM", "RESOURCE_NAME", "OPR_DATE", "INTERVAL_NUM", "INTERVAL_START_GMT", "INTERVAL_END_GMT", "VALUE")
    rows = "\n".join(_report_data(tags, row) for row in frame.select(columns).iter_rows())
    header = (
        "<m:REPORT_HEADER><m:SYSTEM>OASIS</m:SYSTEM><m:TZ>PPT</m:TZ>"
        f"<m:REPORT>{query}</m:REPORT><m:MKT_TYPE>{run}</m:MKT_TYPE><m:UOM>US$/MWh</m:UOM>"
        "<m:INTERVAL>ENDING</m:INTERVAL></m:REPORT_HEADER>"
    )
    return _document(made, f"<m:REPORT_ITEM>{header}\n{rows}\n</m:REPORT_ITEM>")


def _report_data(tags: Sequence[str], row: Sequence[object]) -> str:
    cells = "".join(f"<m:{tag}>{escape(str(cell))}</m:{tag}>" for tag, cell in zip(tags, row, strict=True))
    return f"<m:REPORT_DATA>{cells}</m:REPORT_DATA>"


def _document(made: datetime, inside: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<m:OASISReport xmlns:m="http://www.caiso.com/soa/OASISReport_v1.xsd">\n'
        f"<m:MessageHeader><m:TimeDate>{made:%Y-%m-%dT%H:%M:%S}-00:00</m:TimeDate><m:Source>OASIS</m:Source>"
        "<m:Version>v20131201</m:Version></m:MessageHeader>\n"
        f"<m:MessagePayload><m:RTO><m:name>CAISO</m:name>\n{inside}\n</m:RTO></m:MessagePayload>\n</m:OASISReport>\n"
    ).encode()


def _refused(world: World, code: int, words: str) -> Answer:
    inside = f"<m:ERROR><m:ERR_CODE>{code}</m:ERR_CODE><m:ERR_DESC>{words}</m:ERR_DESC></m:ERROR>"
    body = _document(datetime.fromtimestamp(world.now, UTC), inside)
    return Answer(zip_bytes("INVALID_REQUEST.xml", body), "application/x-zip-compressed")
