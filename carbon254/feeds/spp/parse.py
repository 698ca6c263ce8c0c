"""SPP prices by settlement location: `DA-LMP-SL-*.csv` and `RTBM-LMP-SL-*.csv`.

Columns Interval, GMTIntervalEnd, [BAA,] Settlement Location, Pnode, LMP, MLC, MCC, MEC. Both stamps are the interval's
end; only the GMT one is used, so the repeated autumn hour needs no mark. Where the BAA column is present it tells the
market's area: SPP itself, or the western one (SWPW), whose rows are a market run of their own. Which areas there are is
on the card; a row of another one is a reject, so that none is lost without a word.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from carbon254.errors import NothingYet
from carbon254.model import Stream
from carbon254.wire import csv, stamps

from ..contract import Payload, Rows
from ..sift import Texts, first_of, lines_of, sift, wild

_END = "GMTIntervalEnd"
_PRICES = {"LMP": "lmp", "MLC": "loss", "MCC": "congestion", "MEC": "energy"}
_TEXT = (_END, "Settlement Location")
_QUICK = ("%m/%d/%Y %H:%M:%S",)
_TYPES: dict[str, type[pl.DataType]] = {
    _END: pl.String,
    "BAA": pl.String,
    "Settlement Location": pl.String,
    **dict.fromkeys(_PRICES, pl.Float64),
}


def recognise(name: str, head: bytes) -> list[str]:
    """SPP files by header and name; the header alone cannot tell day-ahead from real-time."""
    if not csv.has(head, *_TEXT) and not name.upper().startswith(("DA-LMP-SL", "RTBM-LMP-SL")):
        return []
    if name.upper().startswith("DA-"):
        return ["iso.da.lmp.spp"]
    return ["iso.rt.lmp.spp"] if name.upper().startswith("RTBM-") else ["iso.rt.lmp.spp", "iso.da.lmp.spp"]


def parse(payload: Payload) -> Iterator[Rows]:
    """Rows in file order. Raises PayloadRefused for an empty file or a header that is not SPP's."""
    csv.require(csv.header(payload.data), [*_TEXT, *_PRICES], "not an SPP price file")
    empty = True
    for block in csv.read(payload.data, _TYPES):
        empty = False
        yield _rows(block, lines_of(payload.data), payload.stream)
    if empty:
        raise NothingYet("the file has a header and no rows; it will be asked for again")


def _rows(block: csv.Block, texts: Texts, stream: Stream) -> Rows:
    frame = block.frame
    areas = {run.area or run.market: run.market_run for run in stream.every_run}
    area = pl.col("BAA").str.strip_chars().str.to_uppercase() if "BAA" in frame.columns else pl.lit(stream.market)
    end = stamps.utc(pl.col(_END), "mdy", _QUICK)
    frame = frame.select(
        pl.col("Settlement Location").alias("location"),
        pl.col("Settlement Location").alias("location_id"),
        end.alias("interval_end"),
        *(pl.col(theirs).alias(ours) for theirs, ours in _PRICES.items()),
        pl.col("line"),
        area.replace_strict(areas, default=None, return_dtype=pl.String).alias("market_run"),
    )
    reason = first_of(
        (pl.col("interval_end").is_null(), f"{_END} is not a time (month/day/year hour:minute)"),
        (pl.col("location").is_null() | (pl.col("location") == ""), "the settlement location is empty"),
        (wild(_PRICES.values()), "a price is not a finite number"),
        (pl.col("market_run").is_null(), f"BAA names no area of this market; those on the card are {', '.join(areas)}"),
    )
    return sift(frame, reason, texts, block)
