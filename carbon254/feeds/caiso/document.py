"""OASIS documents in XML: the price report without `resultformat`, the error inside HTTP 200, and the throttling page.

OASISReport / MessagePayload / RTO / REPORT_ITEM holds a REPORT_HEADER (REPORT, MKT_TYPE) and REPORT_DATA of DATA_ITEM,
RESOURCE_NAME, OPR_DATE, INTERVAL_NUM, INTERVAL_START_GMT, INTERVAL_END_GMT and VALUE, in the namespace
http://www.caiso.com/soa/OASISReport_v1.xsd, with the prefix `m:` or as the default. A document type is refused before
parsing: no report has one, and entities are a way to fill memory. Records are numbered from 1 as the `line`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, iterparse

import polars as pl

from carbon254.errors import NothingYet, PayloadRefused

_ITEMS = {
    "LMP_PRC": "LMP",
    "LMP_ENE_PRC": "MCE",
    "LMP_CONG_PRC": "MCC",
    "LMP_LOSS_PRC": "MCL",
    "LMP_GHG_PRC": "MGHG",
}
_FIELDS = ("DATA_ITEM", "RESOURCE_NAME", "INTERVAL_START_GMT", "INTERVAL_END_GMT", "VALUE")
# "No data returned for the specified selection".
_NO_DATA = "1000"
_SPACE = b"\xef\xbb\xbf \t\r\n"
_RUN = re.compile(rb"<(?:\w+:)?MKT_TYPE>\s*(\w+)\s*<")
_ENCODING = re.compile(rb"""^<\?xml[^>]*encoding\s*=\s*["']([\w.-]+)["']""")


def looks_like(data: bytes) -> bool:
    """True for an OASIS report in XML, judged by its first bytes."""
    head = data[:4096].lstrip(_SPACE)
    return head.startswith(b"<") and b"OASISReport" in head


def run_of(head: bytes) -> str:
    """The market run a price report names; empty for a report of anything else."""
    found = _RUN.search(head)
    priced = any(f">{item}<".encode() in head for item in _ITEMS)
    return found[1].decode() if found and priced else ""


def refuse_pages(data: bytes) -> None:
    """Raise PayloadRefused for an empty payload, a web page, or OASIS's own error document."""
    body = data.lstrip(_SPACE)
    if not body:
        raise PayloadRefused("the file is empty")
    head = body[:4096].lower()
    if head.startswith(b"<") and b"<html" in head:
        words = " ".join(re.sub(rb"<[^>]*>", b" ", body[:4096]).decode("utf-8", "replace").split())
        code = "HTTP 429, too many calls" if "acceptable use" in words.lower() else "a web page instead of a report"
        raise PayloadRefused(f"{code}: {words[:200]}")


def components(data: bytes) -> pl.DataFrame:
    """Component records as text, columns as the CSV's lines have them. Raises PayloadRefused."""
    body = data.lstrip(_SPACE)
    encoding = _ENCODING.search(body)
    if b"<!DOCTYPE" in body or (encoding and encoding[1].lower() not in (b"utf-8", b"us-ascii")):
        raise PayloadRefused("an XML document with a document type or a foreign encoding is not an OASIS report")
    try:
        rows = list(_records(body))
    except (ParseError, ValueError, LookupError) as error:
        raise PayloadRefused(f"the XML is broken: {error}") from error
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


def _records(body: bytes) -> Iterator[tuple[str | None, ...]]:
    run, report = "", ""
    item: Element | None = None
    for event, element in iterparse(io.BytesIO(body), events=("start", "end")):
        tag = element.tag.rpartition("}")[2]
        if event == "start":
            item = element if tag == "REPORT_ITEM" else item
        elif tag == "REPORT_HEADER":
            cells = _cells(element)
            run, report = cells.get("MKT_TYPE") or "", cells.get("REPORT") or ""
            if report and "LMP" not in report:
                raise PayloadRefused(f"this is report {report}, not a price report")
        elif tag == "ERROR":
            cells = _cells(element)
            if cells.get("ERR_CODE") == _NO_DATA:
                raise NothingYet("OASIS has no data for this request yet; it will be asked again")
            raise PayloadRefused(f"OASIS refused the request: {cells.get('ERR_CODE')} {cells.get('ERR_DESC')}")
        elif tag == "REPORT_DATA":
            cells = _cells(element)
            yield (run, *(cells.get(name) for name in _FIELDS))
            if item is not None:
                item.clear()


def _cells(element: Element) -> dict[str, str | None]:
    return {child.tag.rpartition("}")[2]: child.text.strip() if child.text else None for child in element}
