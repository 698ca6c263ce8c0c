"""Every log engine takes in again what a raw archive knows and it does not, in the order in which it arrived."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contract.log_engines import ENGINES, engine

from carbon254.engine.younger import take_again
from carbon254.ingest import Arrived, Inbox
from carbon254.stores.log import Log, open_log, records_of
from carbon254.stores.raw import RawArchive, arrivals_in, open_raw
from carbon254.telemetry import Metrics

NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)
TOPIC = "iso.rt.lmp.spp"


@pytest.fixture(params=ENGINES)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    with engine(request, tmp_path) as opened:
        yield opened


@pytest.fixture
def raw(tmp_path: Path) -> RawArchive:
    return open_raw(tmp_path / "raw")


def bring(log: Log, raw: RawArchive, text: str, minute: int, subject: str = "s") -> None:
    at = NOW + timedelta(minutes=minute)
    Inbox(raw, log, Metrics()).take(Arrived(TOPIC, text.encode(), f"{subject}.csv", at, subject))


def told(log: Log) -> list[tuple[str, str, str, str]]:
    """Of each payload: when it arrived, its digest, subject and name, in the order of the log."""
    names = ("received_at", "sha256", "subject", "name")
    return [tuple(one.headers[name] for name in names) for one in records_of(log, f"raw.{TOPIC}")]  # type: ignore[misc]


def filled(raw: RawArchive, folder: Path) -> list[tuple[str, str, str, str]]:
    """A to B and back to A, repeats in between, and another subject: what the log made of them that took them in."""
    first = open_log(folder / "first.db")
    try:
        for minute, text in enumerate(("A", "A", "B", "B", "A")):
            bring(first, raw, text, minute)
        bring(first, raw, "C", 2, "other")
        return told(first)
    finally:
        first.close()


def test_an_empty_log_takes_in_all_of_them(log: Log, raw: RawArchive, tmp_path: Path) -> None:
    wanted = sorted(filled(raw, tmp_path))
    assert take_again(log, raw, [TOPIC]).arrivals == len(wanted) == 4
    assert told(log) == wanted
    assert take_again(log, raw, [TOPIC]).arrivals == 0


def test_a_log_that_ends_early_takes_in_the_rest(log: Log, raw: RawArchive, tmp_path: Path) -> None:
    wanted = sorted(filled(raw, tmp_path))
    for minute, text in enumerate(("A", "A", "B")):
        bring(log, raw, text, minute)
    assert take_again(log, raw, [TOPIC]).arrivals == 2
    assert sorted(told(log)) == wanted


def test_a_log_with_a_gap_takes_in_what_is_in_it_and_no_repeat(log: Log, raw: RawArchive, tmp_path: Path) -> None:
    wanted = sorted(filled(raw, tmp_path))
    bring(log, raw, "A", 0)
    bring(log, raw, "A2", 9)
    taken = take_again(log, raw, [TOPIC])
    assert [one for one in sorted(told(log)) if one in wanted] == wanted
    assert (taken.arrivals, len(told(log))) == (3, 5)
    # What is newest stays what the next answer is compared with.
    bring(log, raw, "A2", 10)
    assert len(told(log)) == 5


def test_payloads_of_no_feed_and_damaged_ones_are_left_and_told(log: Log, raw: RawArchive, tmp_path: Path) -> None:
    wanted = filled(raw, tmp_path)
    Inbox(raw, log, Metrics()).take(Arrived("reference", b"a list", "list.csv", NOW))
    lost = next(sha256 for _, sha256, subject, _ in wanted if subject == "other")
    (tmp_path / "raw" / lost[:2] / f"{lost}.zst").write_bytes(b"harmed")
    taken = take_again(log, raw, [TOPIC])
    assert (taken.arrivals, taken.damaged) == (3, (lost,))


def test_arrivals_are_listed_by_the_archive_alone(raw: RawArchive, tmp_path: Path) -> None:
    filled(raw, tmp_path)
    found = sorted(one.provenance.received_at for one in arrivals_in(raw))
    assert found == [NOW + timedelta(minutes=minute) for minute in (0, 1, 2, 2, 3, 4)]
