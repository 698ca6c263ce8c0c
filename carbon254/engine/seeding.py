"""What the feeds' folders and cards say of places, brought into the reference store when a node starts.

Their `places.csv` and `instruments.csv`, and from their cards instruments, taxonomy and facts. Starting again changes
nothing; a changed list ends what it no longer says and opens what it now says, and never takes back what a list loaded
since has said.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from datetime import datetime

import polars as pl

from carbon254.stores.log import Log
from carbon254.stores.reference import Reference

from .placing import keep_rejects
from .source import Source

_KIND_OF = {"hub": "hubs", "zone": "zones"}
_SEEDED = ("hubs", "zones", "nodes")
_CARD, _LIST = "feed.toml", "instruments.csv"
_COLUMNS = ("location_id", "location", "location_type")


def seed_reference(reference: Reference, log: Log, sources: Iterable[Source], at: datetime) -> None:
    """Bring every feed's places and card in, in one transaction; rows that cannot be taken become letters."""
    found = list(sources)
    folders = {source.folder: source for source in found}
    with reference.together():
        for source in folders.values():
            _seed_places(reference, log, source, at)
        _seed_cards(reference, found)


def _seed_places(reference: Reference, log: Log, source: Source, at: datetime) -> None:
    listed, market = _listed(source).with_row_index("line", 2), source.stream.market
    kind = pl.col("location_type").str.to_lowercase().replace_strict(_KIND_OF, default="nodes", return_dtype=pl.String)
    payload = hashlib.sha256(source.places.encode()).hexdigest()
    for name in _SEEDED:
        path = f"{source.folder}/places.csv"
        loaded = reference.seed(name, market, listed.filter(kind == name), path, at)
        keep_rejects(log, f"{path} {name}", loaded, payload, source.version, at)


def _listed(source: Source) -> pl.DataFrame:
    if not source.places.strip():
        return pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
    return pl.read_csv(io.StringIO(source.places), infer_schema=False)


def _seed_cards(reference: Reference, found: list[Source]) -> None:
    streams = [source.stream for source in found]
    paths = [(one.commodity, one.market, one.product_tier or "unspecified") for one in streams if one.commodity]
    facts = [
        {"subject": "feed", "entity": one.topic, "key": key, "value": value}
        for one in streams
        for key, value in {
            "title": one.title,
            "dataset": one.dataset,
            "clock": one.clock,
            "provider": one.provider.name,
            "homepage": one.provider.homepage,
            "licence": one.provider.licence,
            "redistribution": one.provider.redistribution,
        }.items()
    ]
    reference.seed_taxonomy(paths, _CARD)
    reference.put_facts(pl.DataFrame(facts), _CARD)
    reference.seed_instruments(pl.concat([_instruments(source) for source in found]), _CARD)
    for source in {source.folder: source for source in found if source.instruments.strip()}.values():
        put_listed(
            reference, pl.read_csv(io.StringIO(source.instruments), infer_schema=False), f"{source.folder}/{_LIST}"
        )


def put_listed(reference: Reference, rows: pl.DataFrame, source: str, seeded: bool = True) -> int:
    """Take a list of instruments in, with the paths of the taxonomy that they need; returns how many were news.

    A list that comes with the code (`seeded`) takes nothing back that another source said since.
    """
    put = reference.seed_instruments if seeded else reference.put_instruments
    news = put(rows.with_columns(pl.col("market").fill_null("")), source)
    facts = reference.instrument_facts().filter(pl.col("instrument").is_in(rows["instrument"].implode()))
    tiers = facts.select("commodity", "region", "product_tier").unique(maintain_order=True).iter_rows()
    # Where an instrument leaves the region to the message, its path ends above it.
    reference.seed_taxonomy([path if path[1] and path[2] else path[: 1 + bool(path[1])] for path in tiers], source)
    return news


def _instruments(source: Source) -> pl.DataFrame:
    """One instrument a hub or zone that the feed prices."""
    stream, listed = source.stream, _listed(source)
    priced = listed.filter(pl.col("location_type").is_in(list(_KIND_OF)) & pl.col("location_id").is_not_null())
    fixed = {
        "commodity": stream.commodity,
        "market": stream.market,
        "product": stream.product,
        "product_tier": stream.product_tier or "unspecified",
    }
    rows = priced.select(
        pl.format("{}/{}", pl.lit(stream.topic), "location_id").alias("instrument"),
        pl.format("{} {}: {}", pl.lit(stream.market), "location", pl.lit(stream.title)).alias("name"),
        *(pl.lit(value).alias(name) for name, value in fixed.items()),
        "location_id",
        pl.lit("USD/MWh").alias("unit"),
    )
    return rows if stream.dataset == "interval_prices" else rows.clear()
