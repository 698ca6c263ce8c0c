"""OASIS documents in XML: the price report without `resultformat`, the error inside HTTP 200, and the throttling page.

OASISReport / MessagePayload / RTO / REPORT_ITEM holds a REPORT_HEADER (REPORT, MKT_TYPE) and REPORT_DATA of DATA_ITEM,
RESOURCE_NAME, OPR_DATE, INTERVAL_NUM, INTERVAL_START_GMT, INTERVAL_END_GMT and VALUE, in the namespace
http://www.caiso.com/soa/OASISReport_v1.xsd, with the prefix `m:` or as the default. Records are numbered from 1 as the
`line`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire.xml import elements

_ITEMS = {
    "LMP_PRC": "LMP",
    "LMP_ENE_PRC": "MCE",
    "LMP_CONG_PRC": "MCC",
    "LMP_LOSS_PRC": "MCL",
    "LMP_GHG_PRC": "MGHG",
}
_FIELDS = ("DATA_ITEM", "RESOURCE_NAME", "INTERVAL_START_GMT", "INTERVAL_END_GMT", "VALUE")
_HEAD = 65_536
# "No data returned for the specified selection".
_NO_DATA = "1000"
_RUN = re.compile(rb"<(?:\w+:)?MKT_TYPE>\s*(\w+)\s*<")


def looks_like(data: bytes) -> bool:
    """True for an OASIS report in XML, judged by its first bytes."""
    head = data[:4096].lstrip()
    return head.startswith(b"<") and b"OASISReport" in head


def run_of(head: bytes) -> str:
    """The market run a price report names; empty for a report of anything else."""
    found = _RUN.search(head)
    priced = any(f">{item}<".encode() in head for item in _ITEMS)
    return found[1].decode() if found and priced else ""


def error_of(head: bytes) -> PayloadRefused | None:
    """What OASIS's own error document says, NothingYet where it is that there is no data; None for any other."""
    try:
        error = next(elements(head, ("ERROR",)), None) if looks_like(head) else None
    except PayloadRefused:
        return None
    if error is None:
        return None
    cells = error.cells()
    if cells.get("ERR_CODE") == _NO_DATA:
        return NothingYet(f"OASIS has no data for this request yet ({_NO_DATA}); it will be asked again")
    said = f"OASIS refused the request: {cells.get('ERR_CODE')} {cells.get('ERR_DESC')}"
    return PayloadRefused(f"{said.rstrip('. ')}; check the report's name, the span (31 days at most) and the nodes")


def components(data: bytes) -> pl.DataFrame:
    """Component records as text, columns as the CSV's lines have them. Raises PayloadRefused."""
    if error := error_of(data[:_HEAD]):
        raise error
    rows = list(_records(data))
    if not rows:
        raise PayloadRefused("the report has no records")
    names = ("market_run", "item", "location", "opens", "closes", "value")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    value = pl.col("value").str.strip_chars()
    # A value that is no number becomes NaN, which the caller rejects with its record number; an empty one is missing.
    price = pl.when(value != "").then(value.cast(pl.Float64, strict=False).fill_null(float("nan")))
    return frame.with_columns(
        pl.col("location").alias("location_id"),
        pl.col("item").str.strip_chars().replace(_ITEMS).alias("component"),
        price.alias("price"),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("line"),
    )


def texts(frame: pl.DataFrame, numbers: list[int]) -> list[str]:
    """What the records with these numbers say."""
    said = frame.select("item", "location", "opens", "closes", "value")
    return [" ".join(cell or "" for cell in said.row(number - 1)) for number in numbers]


def _records(data: bytes) -> Iterator[tuple[str | None, ...]]:
    run = ""
    for element in elements(data, ("REPORT_HEADER", "REPORT_DATA")):
        cells = element.cells()
        if element.name == "REPORT_HEADER":
            run, report = cells.get("MKT_TYPE", ""), cells.get("REPORT", "")
            if report and "LMP" not in report:
                raise PayloadRefused(f"this is report {report}, not a price report")
        else:
            yield (run, *(cells.get(name) or None for name in _FIELDS))
