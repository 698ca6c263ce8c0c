"""ERCOT public API: settlement point prices of the day-ahead market (NP4-190-CD) and of real time (NP6-905-CD).

Answers describe their columns in `fields` and give rows as positional arrays in pages. Hours are told by their end in
Central time; DSTFlag is true on the second pass of the repeated autumn hour and false everywhere else. The
second pass is printed before the first, as in a recorded answer: the columns of the sort tie on the two rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import numpy as np
import orjson
import polars as pl

from carbon254.calendars import market_day_span

from . import text
from .market import Ints
from .places import Places, places
from .world import Answer, Ask, World, starts_between

CLOCK = "America/Chicago"
_DEFAULT_SIZE, _MAX_SIZE = 1_000, 1_000_000
_MAX_DAYS = 366
_DATE = ("deliveryDate", "Delivery Date", "DATE")
_POINT = ("settlementPoint", "Settlement Point", "VARCHAR")
_PRICE = ("settlementPointPrice", "Settlement Point Price", "DOUBLE")
_FLAG = ("DSTFlag", "DST Flag", "BOOLEAN")
# last part of the path: (feed, seconds an interval, report, columns)
_REPORTS = {
    "dam_stlmnt_pnt_prices": (
        "iso.da.lmp.ercot",
        3_600,
        ("DAM Settlement Point Prices", "12331", "NP4-190-CD"),
        (_DATE, ("hourEnding", "Hour Ending", "VARCHAR"), _POINT, _PRICE, _FLAG),
    ),
    "spp_node_zone_hub": (
        "iso.rt.lmp.ercot",
        900,
        ("Settlement Point Prices at Resource Nodes, Hubs and Load Zones", "12301", "NP6-905-CD"),
        (
            _DATE,
            ("deliveryHour", "Delivery Hour", "INTEGER"),
            ("deliveryInterval", "Delivery Interval", "INTEGER"),
            _POINT,
            ("settlementPointType", "Settlement Point Type", "VARCHAR"),
            _PRICE,
            _FLAG,
        ),
    ),
}


def answer(ask: Ask, world: World) -> Answer:
    """One page of the report asked for; days that are not published give no rows."""
    name = ask.path.rstrip("/").rsplit("/", 1)[-1]
    if name not in _REPORTS:
        return _problem(404, "Resource not found")
    try:
        first, last = (date.fromisoformat(ask.get(f"deliveryDate{end}")) for end in ("From", "To"))
        page, size = int(ask.get("page", "1")), min(_MAX_SIZE, int(ask.get("size", str(_DEFAULT_SIZE))))
    except ValueError as error:
        return _problem(400, f"Invalid parameter: {error}")
    if not 0 <= (last - first).days <= _MAX_DAYS or page < 1 or size < 1:
        return _problem(400, "Invalid parameter: deliveryDateFrom, deliveryDateTo, page or size is out of range")
    topic, step, _, _ = _REPORTS[name]
    starts = starts_between(market_day_span(first, CLOCK)[0], market_day_span(last, CLOCK)[1], step)
    release = world.release(topic, ask.address, starts)
    frame = _table(world, ask, name, starts[: release.count])
    body = _document(ask, name, frame, page, size)
    return Answer(body, "application/json", published=release.published if release.count else None)


def _problem(status: int, words: str) -> Answer:
    return Answer(orjson.dumps({"statusCode": status, "message": words}), "application/json", status)


def _chosen(ask: Ask, world: World, real_time: bool) -> Places:
    """Real-time files price load zones twice under one name: plain, and weighted by energy (LZEW)."""
    everything = world.places("ercot") + places("ercot_ew") if real_time else world.places("ercot")
    wanted = [name for value in ask.all("settlementPoint") for name in value.split(",") if name]
    return everything.named(wanted) if wanted else everything


def _table(world: World, ask: Ask, name: str, starts: Ints) -> pl.DataFrame:
    topic, step, _, columns = _REPORTS[name]
    chosen = _chosen(ask, world, step != 3_600)
    chosen = chosen.pick(np.argsort(np.array(chosen.names), kind="stable"))
    found = world.prices(topic, chosen, starts)
    facts = _labels(starts, step)[np.repeat(np.arange(len(starts)), len(chosen))]
    frame = facts.with_columns(
        text.per_location(chosen.names, len(starts)).alias("settlementPoint"),
        text.per_location(chosen.zones, len(starts)).alias("settlementPointType"),
        pl.Series("settlementPointPrice", found.dollars("lmp").reshape(-1)),
    )
    label = "hourEnding" if step == 3_600 else "deliveryHour"
    keys = [label, "settlementPoint"] if step == 3_600 else [label, "deliveryInterval", "settlementPoint"]
    turned = [True, *(False for _ in keys), True]
    ordered = frame.sort(["deliveryDate", *keys, "DSTFlag"], descending=turned, maintain_order=True)
    return _asked_hours(ask, ordered).select([column for column, _, _ in columns])


def _asked_hours(ask: Ask, frame: pl.DataFrame) -> pl.DataFrame:
    for column in ("deliveryHour", "deliveryInterval"):
        for end, holds in (("From", pl.col(column).ge), ("To", pl.col(column).le)):
            if ask.get(f"{column}{end}"):
                frame = frame.filter(holds(int(ask.get(f"{column}{end}"))))
    return frame.filter(pl.col("hourEnding") == ask.get("hourEnding")) if ask.get("hourEnding") else frame


def _labels(starts: Ints, step: int) -> pl.DataFrame:
    moments = text.local(starts, CLOCK)
    return pl.DataFrame(
        {
            "deliveryDate": text.stamps(moments, "%Y-%m-%d"),
            "hourEnding": [f"{moment.hour + 1:02d}:00" for moment in moments],
            "deliveryHour": [moment.hour + 1 for moment in moments],
            "deliveryInterval": [moment.minute * 60 // step + 1 for moment in moments],
            "DSTFlag": [_second_pass(moment) for moment in moments],
        },
        schema_overrides={"deliveryHour": pl.Int64, "deliveryInterval": pl.Int64, "DSTFlag": pl.Boolean},
    )


def _second_pass(moment: datetime) -> bool:
    """True where the same local label came once before."""
    return moment.fold == 1 and moment.replace(fold=0).utcoffset() != moment.utcoffset()


def _document(ask: Ask, name: str, frame: pl.DataFrame, page: int, size: int) -> bytes:
    _, _, (title, number, emil), columns = _REPORTS[name]
    report = f"{emil.lower()}/{name}"
    pages = -(-frame.height // size)
    asked = {key: value for key, value in ask.query if key not in ("page", "size")}
    document: dict[str, Any] = {
        "_meta": {
            "totalRecords": frame.height,
            "pageSize": size,
            "totalPages": pages,
            "currentPage": page,
            "query": {"parameterCount": len(asked), "parameters": asked},
        },
        "report": {
            "reportName": name,
            "reportDisplayName": title,
            "reportId": number,
            "reportEMIL": emil,
            "downloadLimit": 2_000_000,
        },
        "fields": list(_fields(columns)),
        "data": list(zip(*(column.to_list() for column in frame[(page - 1) * size : page * size]), strict=True)),
        "_links": {"self": {"href": f"https://api.ercot.com/api/public-reports/{report}"}},
    }
    return orjson.dumps(document)


def _fields(columns: tuple[tuple[str, str, str], ...]) -> Iterator[dict[str, Any]]:
    for position, (name, label, kind) in enumerate(columns, start=1):
        ranged = kind in ("DATE", "DOUBLE", "INTEGER")
        facts = {"name": name, "label": label, "cardinality": position, "dataType": kind}
        yield {**facts, "searchable": True, "sortable": True, "hasRange": ranged}
