"""Enrichment: each row takes the version of its place that was valid when its interval started; none is lost."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon254.feeds import feed
from carbon254.model import Flag
from carbon254.stages.enrich import Directory, enrich, name_places, read_places

T0 = datetime(2025, 1, 1, tzinfo=UTC)
PJM = feed("iso.rt.lmp.pjm").stream
_UTC = pl.Datetime("us", "UTC")
Version = tuple[str, str, int | None, int | None]


def hour(number: int) -> datetime:
    return T0 + timedelta(hours=number)


def places(*versions: Version) -> pl.DataFrame:
    """(id, region, from, to) in hours; None is since ever, open."""
    rows = [
        (place, f"{place} {region}", "HUB", region, *(None if edge is None else hour(edge) for edge in edges))
        for place, region, *edges in versions
    ]
    names = ["location_id", "location", "location_type", "region", "valid_from", "valid_to"]
    return pl.DataFrame(rows, schema=dict(zip(names, [pl.String] * 4 + [_UTC] * 2, strict=True)), orient="row")


def prices(*rows: tuple[str, int], **columns: list[object]) -> pl.DataFrame:
    made = pl.DataFrame(
        {"location_id": [place for place, _ in rows], "interval_start": [hour(at) for _, at in rows]},
        schema={"location_id": pl.String, "interval_start": _UTC},
    )
    zero = pl.lit(0, dtype=pl.UInt32)
    return made.with_columns(
        zero.alias("flags"),
        pl.int_range(pl.len()).alias("row"),
        **{name: pl.Series(values) for name, values in columns.items()},
    )


def told(frame: pl.DataFrame, listed: pl.DataFrame) -> list[tuple[str, str, int]]:
    return enrich(frame, PJM, listed).select("location_type", "region", "flags").rows()


def test_a_row_takes_the_version_valid_at_its_start_and_not_at_its_end() -> None:
    listed = places(("A", "old", None, 10), ("A", "new", 10, None))
    assert [row[1] for row in told(prices(("A", 11), ("A", 9), ("A", 10)), listed)] == ["new", "old", "new"]


def test_an_unlisted_place_keeps_its_row_and_one_listed_for_another_time_is_flagged() -> None:
    listed = places(("A", "r", 0, 10), ("B", "r", None, None))
    flag = Flag.PLACE_NOT_VALID.value
    assert told(prices(("A", 10), ("B", 10), ("C", 10), ("A", 9), ("A", -1)), listed) == [
        ("unknown", "PJM", flag),
        ("hub", "r", 0),
        ("unknown", "PJM", 0),
        ("hub", "r", 0),
        ("unknown", "PJM", flag),
    ]


def test_flags_that_were_there_stay() -> None:
    listed = places(("A", "r", 5, None))
    frame = prices(("A", 1)).with_columns(pl.lit(Flag.LATE.value, dtype=pl.UInt32).alias("flags"))
    assert told(frame, listed)[0][2] == Flag.LATE | Flag.PLACE_NOT_VALID
    assert enrich(frame, PJM, listed).schema["flags"] == pl.UInt32


def test_what_the_payload_says_of_the_type_stands_where_the_place_is_not_listed() -> None:
    frame = prices(("A", 1), ("B", 1), location_type=["ZONE", "Gen"])
    assert [row[0] for row in told(frame, places(("A", "r", None, None)))] == ["hub", "gen"]


@pytest.mark.parametrize("listed", [places(), read_places("")])
def test_an_empty_directory_and_an_empty_frame_are_no_trouble(listed: pl.DataFrame) -> None:
    assert told(prices(("A", 1)), listed) == [("unknown", "PJM", 0)]
    assert told(prices(), listed) == []
    assert enrich(prices(), PJM, places(("A", "r", 1, 2))).height == 0


def test_places_without_history_join_as_they_did() -> None:
    listed = read_places("location_id,location,location_type,region\nA,Alpha,hub,West\n")
    assert told(prices(("A", 1), ("B", 1)), listed) == [("hub", "West", 0), ("unknown", "PJM", 0)]


def test_other_datasets_pass_through() -> None:
    frame = prices(("A", 1))
    assert enrich(frame, feed("market.ticks").stream, places()) is frame
    assert enrich(frame, replace(PJM, product_tier=""), places())["product_tier"][0] == "unspecified"


def test_a_withdrawn_price_is_named_as_its_place_was() -> None:
    listed = places(("A", "old", None, 10), ("A", "new", 10, None))
    assert name_places(prices(("A", 3), ("A", 12), ("Z", 3)), listed)["location"].to_list() == ["A old", "A new", "Z"]


def test_versions_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        Directory.of(places(("A", "x", None, 10), ("A", "y", 9, None)))


_EDGES = st.lists(st.integers(0, 12), max_size=6, unique=True).map(sorted)


@st.composite
def histories(draw: st.DrawFn) -> list[Version]:
    """Histories of a few places, with gaps, some since ever and some open."""
    found: list[Version] = []
    for place in "ABC":
        edges: list[int | None] = list(draw(_EDGES))
        if draw(st.booleans()):
            edges = [None, *edges]
        if draw(st.booleans()):
            edges = [*edges, None]
        spans = list(itertools.pairwise(edges))
        kept = [span for span in spans if draw(st.integers(0, 3)) and span != (None, None)] or spans[:1]
        found += [(place, f"r{number}", low, high) for number, (low, high) in enumerate(kept)]
    return found


@settings(max_examples=150, deadline=None)
@given(
    versions=histories(),
    rows=st.lists(st.tuples(st.sampled_from("ABCD"), st.integers(-2, 14)), max_size=20),
)
def test_any_rows_and_any_history_agree_with_a_loop(versions: list[Version], rows: list[tuple[str, int]]) -> None:
    def region(place: str, at: int) -> str:
        for name, value, low, high in versions:
            if name == place and (low is None or low <= at) and (high is None or at < high):
                return value
        return "PJM"

    done = enrich(prices(*rows), PJM, places(*versions))
    assert done["row"].to_list() == list(range(len(rows)))
    assert done["region"].to_list() == [region(place, at) for place, at in rows]


def test_a_day_of_13018_nodes_against_a_directory_of_some_keeps_every_row() -> None:
    nodes, hours = 13_018, 24
    ids = pl.Series([f"N{number}" for number in range(nodes)])
    number = pl.int_range(nodes * hours, eager=True)
    frame = pl.DataFrame(
        {
            "location_id": ids.gather(number % nodes),
            "interval_start": (number // nodes * 3_600_000_000 + int(T0.timestamp()) * 1_000_000).cast(_UTC),
            "flags": pl.zeros(len(number), pl.UInt32, eager=True),
        }
    )
    some = [(f"N{n}", "early", None, 7) for n in range(0, nodes, 3)]
    some += [(f"N{n}", "late", 7, None) for n in range(0, nodes, 6)]
    done = enrich(frame, PJM, places(*some))
    assert done.select("location_id", "interval_start").equals(frame.select("location_id", "interval_start"))
    counts = dict(done.group_by("region").len().rows())
    early, late = len(range(0, nodes, 3)), len(range(0, nodes, 6))
    assert counts == {"early": early * 7, "late": late * 17, "PJM": nodes * hours - early * 7 - late * 17}
