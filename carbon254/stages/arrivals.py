"""When could a desk first have known this? The arrival of a payload, and what had arrived before it.

`known_at` follows DESIGN idea 1. What was polled live is known when it was *received*. A backfill is known when it was
*published*, where the payload states that; otherwise it is *assumed* known the card's publication delay after its
anchor, and flagged. A place and interval that an earlier payload already brought is never assumed: whatever comes
later was known when it came, so a revision changes the present and not the past.

What had arrived is kept as sets of locations per interval (`Seen`), so that it stays small: the same set of locations
is stored once however many intervals it serves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from carbon254.calendars import day_start
from carbon254.model import Flag, Stream
from carbon254.model.arrival import arrival_of

_LIVE_FLOOR = timedelta(hours=1)
_SEPARATOR = "\0"

Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One payload's arrival: when it was received, and its SHA-256."""

    received_at: datetime
    payload: str
    published_at: datetime | None = None

    @property
    def place(self) -> str:
        """Orders it among the others of its feed (see `model.arrival`)."""
        return arrival_of(self.received_at, self.payload)


@dataclass(slots=True)
class Seen:
    """Locations that arrivals brought, per interval.

    `by_interval` maps an interval to the ids of the sets of locations that were brought for it, each with the place of
    the first arrival that did; `sets` holds the locations of a set id; `mine` what the arrival at hand brings.
    """

    by_interval: dict[Interval, dict[str, str]] = field(default_factory=dict)
    sets: dict[str, frozenset[str]] = field(default_factory=dict)
    mine: dict[Interval, set[str]] = field(default_factory=dict)

    def names_before(self, interval: Interval, place: str) -> list[str]:
        """Ids of the sets that arrivals before `place` brought for the interval."""
        return sorted(name for name, first in self.by_interval.get(interval, {}).items() if first < place)

    def union(self, names: Iterable[str]) -> frozenset[str]:
        """The locations of any of the sets."""
        return frozenset[str]().union(*(self.sets[name] for name in names))


def location_sets(frame: pl.DataFrame) -> tuple[dict[Interval, str], dict[str, frozenset[str]]]:
    """(set id of each interval, locations of each set id) of a frame with interval_start, interval_end, location_id.

    Intervals of one payload mostly list the same places in the same order, so only distinct lists are taken apart.
    """
    listed = frame.group_by("interval_start", "interval_end", maintain_order=True).agg(
        pl.col("location_id").str.join(_SEPARATOR)
    )
    sets: dict[str, frozenset[str]] = {}
    names: dict[str, str] = {}
    for text in listed["location_id"].unique():
        locations = frozenset(text.split(_SEPARATOR))
        name = hashlib.sha256(_SEPARATOR.join(sorted(locations)).encode()).hexdigest()[:16]
        names[text], sets[name] = name, locations
    return {(start, end): names[text] for start, end, text in listed.iter_rows()}, sets


def due(frame: pl.DataFrame, stream: Stream) -> pl.Expr:
    """When each interval is normally published, as an expression over `frame`'s interval columns."""
    if stream.publication.anchor == "market_day":
        return day_start(pl.col("interval_start"), stream.clock) + stream.publication.delay
    return pl.col("interval_end") + stream.publication.delay


def known(frame: pl.DataFrame, stream: Stream, arrival: Arrival, seen: Seen) -> pl.DataFrame:
    """`frame` with known_at, known_basis, received_at, published_at and the flags that follow from them."""
    received = pl.lit(arrival.received_at).dt.cast_time_unit("us")
    by_day = stream.publication.anchor == "market_day"
    window = 2 * stream.span if by_day else max(_LIVE_FLOOR, 2 * stream.slo)
    published = pl.col("published_at") if "published_at" in frame.columns else pl.lit(arrival.published_at)
    frame = frame.with_columns(
        published.cast(pl.Datetime("us", "UTC")).alias("published_at"),
        due(frame, stream).alias("_due"),
        _seen_before(frame, arrival, seen).alias("_seen"),
    )
    prompt = pl.col("_due") + window >= received
    live = prompt | pl.col("_seen")
    stated = pl.col("published_at").is_not_null()
    basis = pl.when(live).then(pl.lit("received")).when(stated).then(pl.lit("published")).otherwise(pl.lit("assumed"))
    at = (
        pl.when(live)
        .then(received)
        .when(stated)
        .then(pl.min_horizontal("published_at", received))
        .otherwise(pl.min_horizontal("_due", received))
    )
    late = prompt & (pl.col("_due") + stream.slo < received) & ~pl.col("_seen")
    flags = (
        pl.when(~live & ~stated).then(Flag.ASSUMED_KNOWN_AT.value).otherwise(0)
        | pl.when(late).then(Flag.LATE.value).otherwise(0)
    ).cast(pl.UInt32)
    return frame.with_columns(
        at.alias("known_at"),
        basis.alias("known_basis"),
        received.alias("received_at"),
        (pl.col("flags") | flags).alias("flags"),
    ).drop("_due", "_seen")


def _seen_before(frame: pl.DataFrame, arrival: Arrival, seen: Seen) -> pl.Expr:
    """True for rows whose place and interval an earlier payload brought."""
    place = arrival.place
    names = {interval: seen.names_before(interval, place) for interval in seen.by_interval}
    earlier = {interval: "+".join(found) for interval, found in names.items() if found}
    if not earlier:
        return pl.lit(False)
    intervals = pl.DataFrame(
        {
            "interval_start": [interval[0] for interval in earlier],
            "interval_end": [interval[1] for interval in earlier],
            "_set": list(earlier.values()),
        },
        schema_overrides={"interval_start": pl.Datetime("us", "UTC"), "interval_end": pl.Datetime("us", "UTC")},
    )
    distinct = sorted(set(earlier.values()))
    places = pl.DataFrame(
        {"_set": distinct, "location_id": [list(seen.union(name.split("+"))) for name in distinct]}
    ).explode("location_id")
    keyed = frame.select("interval_start", "interval_end", "location_id").join(
        intervals, on=["interval_start", "interval_end"], how="left", maintain_order="left"
    )
    hit = keyed.join(
        places.with_columns(pl.lit(True).alias("_hit")),
        on=["_set", "location_id"],
        how="left",
        maintain_order="left",
    )
    return pl.lit(hit["_hit"].fill_null(False))


def retractions(arrival: Arrival, seen: Seen) -> pl.DataFrame:
    """Rows without a price for the places that earlier payloads had and this complete one has not.

    Call it once the whole payload is remembered. The rows carry location_id, interval_start, interval_end and the
    flags; the caller fills the rest.
    """
    place = arrival.place
    gone: dict[str, list[object]] = {"location_id": [], "interval_start": [], "interval_end": []}
    for interval, names in seen.mine.items():
        present = seen.union(names)
        earlier = seen.names_before(interval, place)
        for location in sorted(seen.union(earlier) - present):
            gone["location_id"].append(location)
            gone["interval_start"].append(interval[0])
            gone["interval_end"].append(interval[1])
    schema = {
        "location_id": pl.String,
        "interval_start": pl.Datetime("us", "UTC"),
        "interval_end": pl.Datetime("us", "UTC"),
    }
    return pl.DataFrame(gone, schema=schema).with_columns(
        pl.lit(Flag.RETRACTED.value | Flag.MISSING_PRICE.value, dtype=pl.UInt32).alias("flags")
    )


def remember(frame: pl.DataFrame, arrival: Arrival, seen: Seen) -> set[Interval]:
    """Add the frame's places to `seen`; returns the intervals for which a set is new, or earlier than it was."""
    names, sets = location_sets(frame)
    seen.sets.update(sets)
    changed, place = set(), arrival.place
    for interval, name in names.items():
        seen.mine.setdefault(interval, set()).add(name)
        entries = seen.by_interval.setdefault(interval, {})
        if name not in entries or place < entries[name]:
            entries[name] = place
            changed.add(interval)
    return changed
