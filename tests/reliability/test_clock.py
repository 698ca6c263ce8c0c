"""Clocks that are wrong, step, or stand at the edges: nothing scheduled is lost, nothing waits for a clock put back.

Market days of every zone are compared with an independent reading of the zone rules, hour by hour around each change.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from carbon254.calendars import day_of, market_day_of, market_day_span
from carbon254.feeds import feeds
from carbon254.feeds.budget import open_budget
from carbon254.pipeline import Pipeline
from carbon254.poller import Poller, cadence
from carbon254.stores.ledger import Noted, open_ledger
from carbon254.stores.ledger.port import LeaseLost

from .tiers import figure, seed_for, tally

NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)


@dataclass
class Stepping:
    """A wall clock that runs, and is set ahead and back; the monotonic one only runs."""

    chance: random.Random
    elapsed: float = 0.0
    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.elapsed) + self.ahead

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += max(0.0, seconds)
        if self.chance.random() < 0.1:
            self.ahead += timedelta(seconds=self.chance.choice((-7_200, -3_600, -1, 1, 3_600, 7_200)))

    def received(self, headers: object) -> datetime:
        return self.now()


@dataclass
class Asked:
    """Stands where the pipeline is: notes when which feed was asked for what."""

    clock: Stepping
    calls: dict[str, list[float]] = field(default_factory=dict)

    def fetch(self, topic: str, start: datetime, end: datetime) -> Iterator[Any]:
        assert start < end and start.tzinfo is not None
        self.calls.setdefault(topic, []).append(self.clock.elapsed)
        return iter(())

    @property
    def reasker(self) -> Asked:
        return self

    def spans(self, stream: object, now: datetime) -> list[tuple[datetime, datetime]]:
        return []


def test_every_feed_is_asked_at_its_cadence_whatever_the_wall_clock_does() -> None:
    seed = seed_for("clock steps")
    with tally(7, "schedules under clock steps", seed) as done:
        for turn in range(figure(20, 300)):
            clock = Stepping(random.Random(seed + turn))
            asked, topics = Asked(clock), list(feeds())
            poller = Poller(cast(Pipeline, asked), clock, topics)
            while clock.elapsed < 4 * 3_600:
                clock.sleep(poller.turn())
            for topic in topics:
                times, every = asked.calls[topic], cadence(feeds()[topic].stream).total_seconds()
                gaps = {round(after - before, 6) for before, after in pairwise(times)}
                assert gaps == {every}, f"{topic}: asked after {gaps} s and not every {every} s"
            done.add(schedules=len(topics), polls=sum(map(len, asked.calls.values())))


def test_a_clock_put_back_makes_no_feed_wait_for_it(tmp_path: Path) -> None:
    budget = open_budget(tmp_path / "budget.db")
    with tally(7, "rate budgets under clock steps") as done:
        for step in (1.0, 3_600.0, 7_200.0, 86_400.0 * 365):
            host, now = f"host {step}", NOW.timestamp()
            for _ in range(5):
                budget.take(host, 2.0, 3, now)
            assert budget.take(host, 2.0, 3, now - step) <= min(step, 3_600.0) + 12.0
            budget.pause(host, now + 300.0)
            assert budget.take(host, 2.0, 3, now - step) <= min(step, 3_600.0) + 330.0
            # Set ahead: no more than a burst goes out at once.
            waits = [budget.take(host, 2.0, 3, now + step + 400.0) for _ in range(6)]
            assert waits == sorted(waits) and waits[-1] >= 4.0
            done.add(cases=3)
    budget.close()


def test_a_lease_is_fenced_by_its_token_whatever_the_holders_clocks_say(tmp_path: Path) -> None:
    seed = seed_for("leases under skew")
    chance = random.Random(seed)
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with tally(7, "leases under clock skew", seed) as done:
        skews = [timedelta(seconds=chance.choice((-7_200, -1, 0, 1, 7_200))) for _ in range(4)]
        held: dict[int, Any] = {}
        newest, accepted = 0, 0
        for turn in range(figure(120, 2_000)):
            at, who = NOW + timedelta(seconds=60 * turn), chance.randrange(4)
            if chance.random() < 0.4:
                lease = ledger.acquire("job", f"holder {who}", at + skews[who], timedelta(minutes=10))
                if lease is not None:
                    assert lease.token > newest
                    held[who], newest = lease, lease.token
            elif who in held:
                note = Noted("feed", "2025-07-01", f"{turn}:0", 1, at.isoformat(), at.isoformat())
                try:
                    ledger.complete([note], at + skews[who], held[who])
                    assert held[who].token == newest, "a stale holder wrote"
                    accepted += 1
                except LeaseLost:
                    assert held[who].token < newest, "the holder was refused"
        assert accepted and ledger.entries("feed")[0].rows == accepted
        done.add(turns=figure(120, 2_000), accepted=accepted)
    ledger.close()


EDGES = (
    date(1970, 1, 1),
    date(2000, 2, 29),
    date(2024, 2, 29),
    date(2038, 1, 19),
    date(1999, 12, 31),
    date(2100, 2, 28),
)


def clocks() -> list[str]:
    return sorted({found.stream.clock for found in feeds().values()})


def changes(zone: ZoneInfo, first: int, last: int) -> list[date]:
    """Days on which the clock changes, by asking the standard library about every day."""
    day, found = date(first, 1, 1), []
    while day.year <= last:
        start, end = (datetime(d.year, d.month, d.day, tzinfo=zone).utcoffset() for d in (day, day + timedelta(days=1)))
        found += [day] if start != end else []
        day += timedelta(days=1)
    return found


@pytest.mark.parametrize("clock", clocks())
def test_days_around_every_change_and_at_the_edges_have_their_hours(clock: str) -> None:
    zone = ZoneInfo(clock)
    with tally(7, f"market days of {clock}") as done:
        years = (2005, 2035) if figure(0, 1) else (2024, 2026)
        turning = changes(zone, *years)
        for day in [*EDGES, *(turn + timedelta(days=more) for turn in turning for more in (-1, 0, 1))]:
            start, end = market_day_span(day, clock)
            midnight, next_one = (datetime(d.year, d.month, d.day, tzinfo=zone) for d in (day, day + timedelta(days=1)))
            assert (start, end) == (midnight.astimezone(UTC), next_one.astimezone(UTC)), day
            hours = round((end - start) / timedelta(hours=1))
            assert hours in ((24,) if day not in turning else (23, 25)), f"{day} has {hours} hours"
            inside = [start + timedelta(hours=n) for n in range(hours)]
            assert {market_day_of(moment, clock) for moment in inside} == {day}
            assert market_day_of(end, clock) == day + timedelta(days=1)
            assert set(day_of(pl.Series(inside, dtype=pl.Datetime("us", "UTC")), clock).to_list()) == {day}
            done.add(days=1, hours=hours)
        assert len(turning) == (
            0
            if zone.utcoffset(datetime(2025, 1, 1)) == zone.utcoffset(datetime(2025, 7, 1))
            else 2 * (years[1] - years[0] + 1)
        )
