"""known_at: received live, assumed in a backfill, received again for whatever comes after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from carbon254.feeds import feed
from carbon254.model import Flag
from carbon254.stages import arrivals
from carbon254.stages.arrivals import Arrival, Seen

STREAM = feed("iso.rt.lmp.spp").stream
START = datetime(2025, 7, 1, tzinfo=UTC)
END = START + timedelta(minutes=5)
DUE = END + STREAM.publication.delay


def rows(*places: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "interval_start": [START] * len(places),
            "interval_end": [END] * len(places),
            "location_id": list(places),
            "flags": [0] * len(places),
        },
        schema_overrides={
            "interval_start": pl.Datetime("us", "UTC"),
            "interval_end": pl.Datetime("us", "UTC"),
            "flags": pl.UInt32,
        },
    )


def arrival(at: datetime, payload: str = "a", published: datetime | None = None) -> Arrival:
    return Arrival(at, payload * 64, published)


def test_live_rows_are_known_when_received() -> None:
    at = DUE + timedelta(seconds=3)
    done = arrivals.known(rows("A"), STREAM, arrival(at), Seen()).row(0, named=True)
    assert (done["known_at"], done["known_basis"], done["flags"]) == (at, "received", 0)


def test_live_rows_beyond_the_service_level_are_late() -> None:
    done = arrivals.known(rows("A"), STREAM, arrival(DUE + STREAM.slo * 2), Seen())
    assert done["flags"].to_list() == [Flag.LATE]


def test_a_backfill_is_assumed_known_at_its_publication_and_flagged() -> None:
    done = arrivals.known(rows("A"), STREAM, arrival(DUE + timedelta(days=90)), Seen()).row(0, named=True)
    assert (done["known_at"], done["known_basis"]) == (DUE, "assumed")
    assert done["flags"] == Flag.ASSUMED_KNOWN_AT


def test_a_backfill_with_a_stated_stamp_is_known_when_published() -> None:
    stamp = DUE + timedelta(minutes=2)
    done = arrivals.known(rows("A"), STREAM, arrival(DUE + timedelta(days=90), published=stamp), Seen())
    assert done.select("known_at", "known_basis", "flags").row(0) == (stamp, "published", 0)


def test_what_comes_after_an_earlier_payload_is_known_when_it_came() -> None:
    seen = Seen()
    arrivals.remember(rows("A"), arrival(DUE), seen)
    later = DUE + timedelta(days=90)
    done = arrivals.known(rows("A", "B"), STREAM, arrival(later), seen)
    assert done["known_basis"].to_list() == ["received", "assumed"]
    assert done["known_at"].to_list() == [later, DUE]


def test_a_payload_carried_again_does_not_see_itself() -> None:
    seen = Seen()
    arrivals.remember(rows("A"), arrival(DUE + timedelta(days=90)), seen)
    done = arrivals.known(rows("A"), STREAM, arrival(DUE + timedelta(days=90)), seen)
    assert done["known_basis"].to_list() == ["assumed"]


def test_places_a_complete_correction_lacks_are_withdrawn() -> None:
    seen = Seen()
    arrivals.remember(rows("A", "B", "C"), arrival(DUE), seen)
    second, seen = arrival(DUE, "b"), Seen(seen.by_interval, seen.sets)
    arrivals.remember(rows("A", "C"), second, seen)
    gone = arrivals.retractions(second, seen)
    assert gone["location_id"].to_list() == ["B"]
    assert gone["flags"][0] & Flag.RETRACTED


def test_remember_says_what_changed_once() -> None:
    seen = Seen()
    assert arrivals.remember(rows("B", "A"), arrival(DUE), seen) == {(START, END)}
    assert arrivals.remember(rows("A", "B"), arrival(DUE), seen) == set()
    assert len(seen.sets) == 1


def test_arrivals_are_ordered_by_moment_and_digest_whoever_is_remembered_first() -> None:
    late, early = arrival(DUE + timedelta(seconds=1), "a"), arrival(DUE, "b")
    seen = Seen()
    arrivals.remember(rows("A", "B"), late, seen)
    arrivals.remember(rows("A"), early, seen)
    assert seen.names_before((START, END), early.place) == []
    assert len(seen.names_before((START, END), late.place)) == 1
