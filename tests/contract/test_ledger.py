"""The ledger's contract: what it says of a partition follows from its payloads, however often they are noted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carbon254.stores.ledger import IllegalTransition, Ledger, Noted, open_ledger

NOW = datetime(2025, 7, 1, tzinfo=UTC)
FEED, DAY = "iso.rt.lmp.spp", "2025-07-01"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


def noted(number: int, day: str = DAY, feed: str = FEED) -> Noted:
    at = (NOW + timedelta(minutes=5 * number)).isoformat()
    return Noted(feed, day, f"sha{number}:0", 10, at, at)


def test_noting_twice_in_any_order_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    parts = [noted(n) for n in range(6)]
    ledger.complete(parts, NOW)
    other = open_ledger(f"sqlite:///{tmp_path / 'other.db'}")
    for part in random.Random(1).sample(parts * 2, 12):
        other.complete([part], NOW)
    (entry,), (same,) = ledger.entries(FEED), other.entries(FEED)
    assert entry == same
    assert (entry.state, entry.rows, entry.payloads, entry.build) == ("completed", 60, 6, 1)
    assert entry.watermark == ledger.watermark(FEED) == NOW + timedelta(minutes=25)
    assert (entry.first_received, entry.last_received) == (NOW, NOW + timedelta(minutes=25))
    other.close()


def test_the_checksum_tells_other_payloads_apart(ledger: Ledger) -> None:
    ledger.complete([noted(1)], NOW)
    before = ledger.entries(FEED)[0].checksum
    ledger.complete([noted(2)], NOW)
    assert ledger.entries(FEED)[0].checksum != before


def test_states_move_as_they_may_and_are_remembered(ledger: Ledger) -> None:
    ledger.begin(FEED, DAY, NOW)
    ledger.fail(FEED, DAY, NOW, "the provider said no")
    ledger.begin(FEED, DAY, NOW)
    ledger.complete([noted(1)], NOW)
    ledger.begin(FEED, DAY, NOW, "replaying")
    ledger.rebuilt(FEED, DAY, NOW)
    (entry,) = ledger.entries(FEED, DAY)
    assert (entry.state, entry.attempts, entry.build, entry.error) == ("completed", 3, 2, "")
    states = [state for state, _, _ in ledger.history(FEED, DAY)]
    assert states == ["running", "failed", "running", "completed", "replaying", "completed"]
    assert ledger.history(FEED, DAY)[1][2] == "the provider said no"


def test_a_state_that_cannot_follow_is_refused(ledger: Ledger) -> None:
    ledger.begin(FEED, DAY, NOW, "pending")
    with pytest.raises(IllegalTransition, match="replaying cannot follow pending"):
        ledger.begin(FEED, DAY, NOW, "replaying")


def test_entries_are_narrowed_and_limited(ledger: Ledger) -> None:
    ledger.complete([noted(1, f"2025-07-{day:02d}") for day in range(1, 8)], NOW)
    ledger.complete([noted(1, feed="iso.da.lmp.spp")], NOW)
    assert [e.partition for e in ledger.entries(FEED, limit=2)] == ["2025-07-07", "2025-07-06"]
    assert len(ledger.entries(state="completed")) == 8
    assert ledger.entries(state="failed") == []
    assert ledger.totals()[FEED][:2] == (7, 70)
    assert ledger.watermark("nothing") is None


def test_old_history_is_pruned_and_standing_stays(ledger: Ledger) -> None:
    ledger.begin(FEED, DAY, NOW)
    ledger.complete([noted(1)], NOW + timedelta(days=100))
    assert ledger.prune(NOW + timedelta(days=1)) == 1
    assert [state for state, _, _ in ledger.history(FEED, DAY)] == ["completed"]
    assert ledger.entries(FEED)[0].rows == 10


def test_a_ledger_opened_again_says_the_same(ledger: Ledger, tmp_path: Path) -> None:
    ledger.complete([noted(1)], NOW)
    ledger.close()
    again = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert again.entries(FEED)[0].rows == 10
    again.close()
