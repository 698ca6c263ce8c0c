"""Enrich: what the row is about, from the market's places and its card: location type, region, commodity, product tier.

Places have a history, and a row takes the version that was valid when its interval started, whenever we learned of it:
a replay gives the same row. No row is dropped or doubled. A place that is not listed for that time keeps its row: its
type is `unknown`, its region the market or the run's area; a flag says so where the place is listed for another time.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carbon254.model import Flag, Stream

UNSPECIFIED = "unspecified"
PLACES = pl.Schema({"location_id": pl.String, "location": pl.String, "location_type": pl.String, "region": pl.String})
_EVER, _OPEN = np.iinfo(np.int64).min, np.iinfo(np.int64).max
_Whole = NDArray[np.int64]


def read_places(text: str) -> pl.DataFrame:
    """A `places.csv` as a frame; an empty one where the feed has no places."""
    if not text.strip():
        return pl.DataFrame(schema=PLACES)
    return pl.read_csv(io.StringIO(text), schema_overrides=dict(PLACES)).select(*PLACES).unique("location_id")


@dataclass(frozen=True)
class Directory:
    """A market's places, arranged for joins.

    `versions` has the columns of PLACES and, where there is history, valid_from and valid_to (UTC; null: since ever,
    open), sorted by location_id and valid_from; versions of one place do not overlap. Make one with `Directory.of`.
    """

    versions: pl.DataFrame

    @classmethod
    def of(cls, places: pl.DataFrame) -> Directory:
        """From a frame of places in any order. Raises ValueError where two versions of a place overlap."""
        if "valid_from" not in places.columns:
            return cls(
                places.select(*PLACES).unique("location_id", keep="first", maintain_order=True).sort("location_id")
            )
        made = cls(places.select(*PLACES, "valid_from", "valid_to").sort("location_id", "valid_from", nulls_last=False))
        place, _ = made._places
        if bool(np.any((place[1:] == place[:-1]) & (made._starts[1:] < made._ends[:-1]))):
            raise ValueError("two versions of a place overlap")
        return made

    def at(self, low: int, high: int) -> pl.DataFrame | None:
        """The versions of the instants low … high (µs since 1970 UTC) if none begins or ends among them, else None."""
        if self._timeless:
            return self.versions
        there = (self._starts <= high) & (self._ends > low)
        if bool(np.any(there & ((self._starts > low) | (self._ends <= high)))):
            return None
        return self.versions.filter(pl.Series(there))

    def rows(self, ids: pl.Series, instants: _Whole) -> pl.Series:
        """For each (id, instant) the row of its version in `versions`, null where there is none: a range join.

        A binary search among the place's own versions, for all rows at once: as many rounds as the longest history has
        binary digits.
        """
        version_place, listed = self._places
        found = ids.to_frame("location_id").join(listed, on="location_id", how="left", maintain_order="left")["place"]
        if not len(version_place):
            return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(ids))
        place = found.fill_null(0).to_numpy()
        first = np.flatnonzero(np.diff(version_place, prepend=-1))
        count = np.diff(first, append=len(version_place))
        row, last = first[place], (first + count - 1)[place]
        for step in 2 ** np.arange(int(count.max()).bit_length())[::-1]:
            probe = np.minimum(row + step, last)
            row = np.where(self._starts[probe] <= instants, probe, row)
        held = (self._starts[row] <= instants) & (instants < self._ends[row])
        return pl.select(pl.when(pl.Series(held) & found.is_not_null()).then(pl.Series(row))).to_series()

    @cached_property
    def ids(self) -> pl.Series | None:
        """Every id that is listed at any time; None where none is listed for a time only."""
        return None if self._timeless else self.versions["location_id"].unique()

    @cached_property
    def _starts(self) -> _Whole:
        return self.versions["valid_from"].cast(pl.Int64).fill_null(_EVER).to_numpy()

    @cached_property
    def _ends(self) -> _Whole:
        return self.versions["valid_to"].cast(pl.Int64).fill_null(_OPEN).to_numpy()

    @cached_property
    def _timeless(self) -> bool:
        if "valid_from" not in self.versions.columns:
            return True
        return bool(np.all(self._starts == _EVER) and np.all(self._ends == _OPEN))

    @cached_property
    def _places(self) -> tuple[_Whole, pl.DataFrame]:
        """Each version's place as a number, and the numbers by id."""
        number = self.versions["location_id"].rle_id().cast(pl.Int64).alias("place")
        return number.to_numpy(), self.versions.select("location_id", number).unique("location_id")


def enrich(frame: pl.DataFrame, stream: Stream, places: pl.DataFrame | Directory) -> pl.DataFrame:
    """`frame` with location_type, region, commodity and product_tier where its dataset has them.

    `places` as `Directory` takes them. Rows keep their order; a payload's own location_type stands where the place is
    not listed.
    """
    if stream.dataset != "interval_prices":
        return frame
    directory = places if isinstance(places, Directory) else Directory.of(places)
    joined = _versioned(frame.drop("region", strict=False), directory, ("location_type", "region"))
    own = [pl.col("location_type")] if "location_type" in frame.columns else []
    kind = pl.coalesce(pl.col("_location_type"), *own).str.to_lowercase()
    if "flags" in frame.columns and directory.ids is not None and joined["_location_type"].null_count():
        other_time = pl.col("_location_type").is_null() & pl.col("location_id").is_in(directory.ids.implode())
        flag = pl.when(other_time).then(pl.lit(Flag.PLACE_NOT_VALID.value)).otherwise(0).cast(pl.UInt32)
        joined = joined.with_columns(pl.col("flags").cast(pl.UInt32) | flag)
    return joined.with_columns(
        kind.fill_null("unknown").alias("location_type"),
        pl.col("_region").fill_null(stream.area or stream.market).alias("region"),
        pl.lit(stream.commodity).alias("commodity"),
        pl.lit(stream.product_tier or "unspecified").alias("product_tier"),
    ).drop("_location_type", "_region")


def enrich_ticks(frame: pl.DataFrame, instruments: pl.DataFrame) -> pl.DataFrame:
    """`frame` of ticks with commodity, region, product_tier, location_id and unit of their instruments.

    `instruments` has those columns and `instrument`, each once. Rows keep their order. An instrument that is not listed
    keeps its row: it is flagged, its region is the market that the message names, the rest is unspecified.
    """
    own = ("commodity", "region", "product_tier", "location_id", "unit")
    listed = instruments.select("instrument", *own, pl.lit(True).alias("_listed"))
    joined = frame.drop(own, strict=False).join(listed, on="instrument", how="left", maintain_order="left")
    unknown = pl.when(pl.col("_listed").is_null()).then(pl.lit(Flag.UNKNOWN_INSTRUMENT.value)).otherwise(0)
    return joined.with_columns(
        pl.col("commodity").fill_null(UNSPECIFIED),
        pl.coalesce("region", pl.col("market").cast(pl.String)).alias("region"),
        pl.col("product_tier").fill_null(UNSPECIFIED),
        (pl.col("flags").cast(pl.UInt32) | unknown.cast(pl.UInt32)).alias("flags"),
    ).drop("_listed")


def name_places(frame: pl.DataFrame, places: pl.DataFrame | Directory) -> pl.DataFrame:
    """`frame` with `location`: the place's name at interval_start, its id where it is not listed."""
    named = _versioned(frame, places if isinstance(places, Directory) else Directory.of(places), ("location",))
    return named.with_columns(pl.coalesce("_location", "location_id").alias("location")).drop("_location")


def _versioned(frame: pl.DataFrame, directory: Directory, columns: Sequence[str]) -> pl.DataFrame:
    """`frame` with each row's version's columns as `_column`, in the order of its rows."""
    instants = frame["interval_start"].dt.epoch("us") if frame.height else pl.Series([0])
    listed = directory.at(int(instants.min() or 0), int(instants.max() or 0))  # type: ignore[arg-type]
    wanted = [pl.col(name).alias(f"_{name}") for name in columns]
    if listed is not None:
        return frame.join(listed.select("location_id", *wanted), on="location_id", how="left", maintain_order="left")
    row = directory.rows(frame["location_id"], instants.to_numpy())
    return frame.with_columns(directory.versions[name].gather(row).alias(f"_{name}") for name in columns)
