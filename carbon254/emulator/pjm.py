"""PJM Data Miner 2: `da_hrl_lmps`, `rt_hrl_lmps`, `rt_fivemin_hrl_lmps`, `rt_unverified_fivemin_lmps`; JSON, CSV.

Corrected hours keep their old row (row_is_current False) beside the new one (next version_nbr). Answers come in pages
of `rowCount` rows from `startRow`; `download=true` gives the bare rows, `format=csv` a CSV.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlencode

import numpy as np
import orjson
import polars as pl

from carbon254.calendars.zones import zone as zone_named

from . import text
from .market import Ints, Prices
from .places import Places
from .world import Answer, Ask, World, starts_between

CLOCK = "America/New_York"
_MAX_ROWS = 50_000
_DEFAULT_ROWS = 10
_MAX_DAYS = 366
# feed of Data Miner: (topic, seconds an interval, suffix of the price columns)
_FEEDS = {
    "da_hrl_lmps": ("iso.da.lmp.pjm", 3_600, "da"),
    "rt_hrl_lmps": ("iso.rt.lmp.pjm", 3_600, "rt"),
    "rt_fivemin_hrl_lmps": ("iso.rt5.lmp.pjm", 300, "rt"),
    "rt_unverified_fivemin_lmps": ("iso.rt5.lmp.pjm", 300, "rt"),
}
_PRICES = {
    "system_energy_price": "energy",
    "total_lmp": "lmp",
    "congestion_price": "congestion",
    "marginal_loss_price": "loss",
}
_PATTERNS = (
    "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m-%d-%Y %H:%M", "%m/%d/%Y",
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d",
)  # fmt: skip


def answer(ask: Ask, world: World) -> Answer:
    """One page of the feed asked for; spans that are not published give no rows."""
    name = ask.path.rstrip("/").rsplit("/", 1)[-1]
    if name not in _FEEDS:
        return _problem(404, "Resource not found")
    topic, step, _ = _FEEDS[name]
    span = _span(ask)
    if span is None or (span[1] - span[0]).days > _MAX_DAYS:
        return _problem(400, "datetime_beginning_ept or datetime_beginning_utc must be a range of at most 366 days")
    starts = starts_between(*span, step)
    release = world.release(topic, ask.address, starts)
    frame = _table(world, name, _chosen(ask, world), starts[: release.count])
    return _page(ask, frame, release.published if release.count else None)


def _problem(status: int, words: str) -> Answer:
    return Answer(orjson.dumps({"statusCode": status, "message": words}), "application/json", status)


def _span(ask: Ask) -> tuple[datetime, datetime] | None:
    """The half-open span of `A to B` in UTC or Eastern time; B's own interval belongs to it."""
    for name, zone in (("datetime_beginning_utc", UTC), ("datetime_beginning_ept", zone_named(CLOCK))):
        if ask.get(name):
            ends = re.split(r"\s*to\s*", ask.get(name))
            found = [_moment(part) for part in (ends[0], ends[-1])]
            if None in found:
                return None
            # The second pass of a repeated hour belongs to a range that ends inside it.
            first, last = (moment.replace(tzinfo=zone, fold=fold) for fold, moment in enumerate(found) if moment)
            return first.astimezone(UTC), datetime.fromtimestamp(last.timestamp() + 1, UTC)
    return None


def _moment(words: str) -> datetime | None:
    cleaned = words.strip().split(".")[0].removesuffix("Z")
    for pattern in _PATTERNS:
        try:
            return datetime.strptime(cleaned, pattern)
        except ValueError:
            continue
    return None


def _chosen(ask: Ask, world: World) -> Places:
    everything = world.places("pjm")
    if ask.get("type"):
        everything = everything.of_type(*(kind.lower() for kind in ask.get("type").split(";")))
    wanted = [name for value in ask.all("pnode_id") for name in re.split(r"[;,]", value) if name]
    return everything.named(wanted) if wanted else everything


def _table(world: World, name: str, chosen: Places, starts: Ints) -> pl.DataFrame:
    topic, _, suffix = _FEEDS[name]
    history = world.history(topic, chosen, starts)
    versions, frames = np.ones((len(starts), len(chosen)), np.int64), []
    for turn, found in enumerate(history):
        changed = np.ones_like(versions, bool) if turn == 0 else found.lmp != history[turn - 1].lmp
        versions = versions + (changed & (turn > 0))
        frames.append(_version(found, suffix, versions, changed))
    stacked = pl.concat(frames)
    current = pl.col("version_nbr") == pl.col("version_nbr").max().over("cell")
    rows = stacked.with_columns(current.alias("row_is_current")).sort("cell", "version_nbr", maintain_order=True)
    return _named(rows, chosen, starts, suffix)


def _version(found: Prices, suffix: str, versions: np.ndarray, changed: np.ndarray) -> pl.DataFrame:
    """The cells of one version that differ from the one before."""
    columns = {f"{theirs}_{suffix}": found.dollars(ours).reshape(-1) for theirs, ours in _PRICES.items()}
    cells = {"cell": np.arange(versions.size), "version_nbr": versions.reshape(-1)}
    return pl.DataFrame({**cells, **columns}).filter(pl.Series(changed.reshape(-1)))


def _named(rows: pl.DataFrame, chosen: Places, starts: Ints, suffix: str) -> pl.DataFrame:
    cell = rows["cell"].to_numpy()
    interval, location = np.divmod(cell, max(1, len(chosen)))
    nothing = pl.lit(None, dtype=pl.String)
    utc = pl.Series([moment.replace(tzinfo=None) for moment in text.instants(starts)], dtype=pl.Datetime("us"))
    ept = pl.Series([moment.replace(tzinfo=None) for moment in text.local(starts, CLOCK)], dtype=pl.Datetime("us"))
    return rows.select(
        utc.gather(interval).alias("datetime_beginning_utc"),
        ept.gather(interval).alias("datetime_beginning_ept"),
        pl.Series("pnode_id", np.array(chosen.ids, dtype=np.int64)[location]),
        pl.Series(chosen.names, dtype=pl.String).gather(location).alias("pnode_name"),
        nothing.alias("voltage"),
        nothing.alias("equipment"),
        pl.Series(chosen.types, dtype=pl.String).str.to_uppercase().gather(location).alias("type"),
        nothing.alias("zone"),
        *(f"{theirs}_{suffix}" for theirs in _PRICES),
        "row_is_current",
        "version_nbr",
    )


def _page(ask: Ask, frame: pl.DataFrame, published: int | None) -> Answer:
    if ask.get("row_is_current").lower() in ("true", "1"):
        frame = frame.filter("row_is_current")
    first = max(1, int(ask.get("startRow", "1")))
    count = min(_MAX_ROWS, int(ask.get("rowCount", str(_DEFAULT_ROWS))))
    rows = frame[first - 1 : first - 1 + count]
    wanted = [name.strip() for name in ask.get("fields").split(",") if name.strip() in frame.columns]
    rows = rows.select(wanted) if wanted else rows
    headers = {"X-TotalRows": str(frame.height)}
    if ask.get("format").lower() == "csv":
        return Answer(_csv(rows), "text/csv", published=published, headers=headers)
    if ask.get("download").lower() == "true":
        return Answer(_json(rows), "application/json", published=published, headers=headers)
    body = _enveloped(ask, rows, frame.height, first, count)
    return Answer(body, "application/json", published=published, headers=headers)


def _csv(rows: pl.DataFrame) -> bytes:
    """`1/31/2000 5:00:00 AM`: US order, 12-hour clock, no padding; booleans as True and False."""
    pattern = "%-m/%-d/%Y %-I:%M:%S %p"
    stamps = [pl.col(name).dt.strftime(pattern) for name in rows.columns if name.startswith("datetime")]
    flags = [
        pl.when(name).then(pl.lit("True")).otherwise(pl.lit("False")).alias(name)
        for name in rows.columns
        if name == "row_is_current"
    ]
    return text.csv_bytes(rows.with_columns(*stamps, *flags), "\r\n", decimals=6)


def _json(rows: pl.DataFrame) -> bytes:
    stamps = [pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S") for name in rows.columns if name.startswith("datetime")]
    return rows.with_columns(stamps).write_json().encode()


def _enveloped(ask: Ask, rows: pl.DataFrame, total: int, first: int, count: int) -> bytes:
    def link(start: int) -> str:
        query = [pair for pair in ask.query if pair[0].lower() != "startrow"]
        return (
            f"https://api.pjm.com/api/v1/{ask.path.rsplit('/', 1)[-1]}?{urlencode([*query, ('startRow', str(start))])}"
        )

    links = [{"rel": "self", "href": link(first)}]
    if first - 1 + count < total:
        links.append({"rel": "next", "href": link(first + count)})
    envelope = {
        "links": links,
        "items": orjson.Fragment(_json(rows)),
        "searchSpecification": {"rowCount": count, "order": "Asc", "startRow": first, "isActiveMetadata": True},
        "totalRows": total,
    }
    return orjson.dumps(envelope)
