"""Enrich: what the row is about, from the feed's places and its card: location type, region, commodity, product tier.

A place that is not listed keeps its row: its type is `unknown` and its region the market.
"""

from __future__ import annotations

import io

import polars as pl

from carbon254.model import Stream

PLACES = pl.Schema({"location_id": pl.String, "location": pl.String, "location_type": pl.String, "region": pl.String})


def read_places(text: str) -> pl.DataFrame:
    """A `places.csv` as a frame; an empty one where the feed has no places."""
    if not text.strip():
        return pl.DataFrame(schema=PLACES)
    return pl.read_csv(io.StringIO(text), schema_overrides=dict(PLACES)).select(*PLACES).unique("location_id")


def enrich(frame: pl.DataFrame, stream: Stream, places: pl.DataFrame) -> pl.DataFrame:
    """`frame` with location_type, region, commodity and product_tier where its dataset has them."""
    if stream.dataset != "interval_prices":
        return frame
    own_type = "location_type" in frame.columns
    listed = places.select("location_id", pl.col("location_type").alias("_type"), pl.col("region"))
    joined = frame.drop("region", strict=False).join(listed, on="location_id", how="left", maintain_order="left")
    kinds = [pl.col("_type"), pl.col("location_type"), pl.lit("unknown")] if own_type else [pl.col("_type"), "unknown"]
    kind = pl.coalesce(*(pl.lit(part) if isinstance(part, str) else part for part in kinds))
    return joined.with_columns(
        kind.str.to_lowercase().alias("location_type"),
        pl.col("region").fill_null(stream.market),
        pl.lit(stream.commodity).alias("commodity"),
        pl.lit(stream.product_tier or "unspecified").alias("product_tier"),
    ).drop("_type")
