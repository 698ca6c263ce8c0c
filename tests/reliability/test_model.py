"""Rows, duplicates, corrections, late files and withdrawals in any order: the store equals a slow model, at every time.

A Hypothesis state machine delivers; the model keeps a dict. Examples share one engine and keep apart by their dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from flow.conftest import spp
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from carbon254.app import Node
from carbon254.ingest import Arrived

from .dying import Lives, abandon
from .tiers import Tally, figure, seed_for, tally
from .twin import FIVE, Payload, Twin

TOPIC = "iso.rt.lmp.spp"
FIRST = datetime(2021, 1, 1, 12, tzinfo=UTC)
VIEWS = {"published": "interval_prices_as_of", "strict": "interval_prices_as_of_strict",
         "received": "interval_prices_as_received"}  # fmt: skip
INTERVALS = st.integers(0, 3)
# A failure is told as it came in tier P, and made small in tier N (or with its seed).
PHASES = (Phase.generate, Phase.shrink)[: figure(1, 2)]
PLACES = ("A", "B", "C", "D")


class Machine(RuleBasedStateMachine):
    """One example: deliveries of a market day of its own."""

    node: Node
    done: Tally
    numbers: Iterator[int]
    moments: st.DrawFn

    def __init__(self) -> None:
        super().__init__()
        self.start = FIRST + timedelta(days=next(self.numbers))
        self.twin, self.clock = Twin(), self.start + timedelta(minutes=30)
        self.sent: list[Payload] = []
        self.listed: dict[int, tuple[str, ...]] = {}

    @rule(
        interval=INTERVALS, cents=st.lists(st.integers(1_000, 4_000), min_size=4, max_size=4), wait=st.integers(1, 900)
    )
    def row(self, interval: int, cents: list[int], wait: int) -> None:
        """A file as it comes, or the correction of one that came."""
        self.send(interval, self.listed.get(interval, PLACES), cents, timedelta(seconds=wait))

    @rule(
        interval=INTERVALS, cents=st.lists(st.integers(1_000, 4_000), min_size=4, max_size=4), days=st.integers(1, 30)
    )
    def late(self, interval: int, cents: list[int], days: int) -> None:
        """A file that comes up to thirty days late."""
        self.send(interval, self.listed.get(interval, PLACES), cents, timedelta(days=days))

    @rule(
        interval=INTERVALS,
        cents=st.lists(st.integers(1_000, 4_000), min_size=4, max_size=4),
        back=st.integers(1, 7_200),
    )
    def reordered(self, interval: int, cents: list[int], back: int) -> None:
        """A file that is taken after others and came before them (or the clock was put back)."""
        self.send(interval, self.listed.get(interval, PLACES), cents, -timedelta(seconds=back))

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 1_000), wait=st.integers(1, 900))
    def again(self, which: int, wait: int) -> None:
        """A file that came already: no news if it is the latest, a price that went back if it is not."""
        old = self.sent[which % len(self.sent)]
        self.pass_time(timedelta(seconds=wait), old.start)
        self.deliver(Payload(old.subject, old.start, old.prices, self.clock))

    @precondition(lambda self: any(len(places) == 4 for places in self.listed.values()))
    @rule(
        which=st.integers(0, 1_000),
        gone=st.integers(0, 3),
        cents=st.lists(st.integers(1_000, 4_000), min_size=4, max_size=4),
    )
    def withdrawn(self, which: int, gone: int, cents: list[int]) -> None:
        """A complete file that no longer lists a place."""
        whole = [interval for interval, places in self.listed.items() if len(places) == 4]
        interval = whole[which % len(whole)]
        places = tuple(place for at, place in enumerate(PLACES) if at != gone)
        self.send(interval, places, cents, timedelta(seconds=60))

    def send(self, interval: int, places: tuple[str, ...], cents: list[int], wait: timedelta) -> None:
        self.listed[interval] = places
        start = self.start + interval * FIVE
        self.pass_time(wait, start)
        prices = tuple((place, cents[PLACES.index(place)] / 100) for place in places)
        self.deliver(Payload(f"{start:%Y%m%d%H%M}", start, prices, self.clock))

    def pass_time(self, wait: timedelta, start: datetime) -> None:
        """On, or back, but not before the interval begins: what comes earlier than that is held, see `test_gate`.

        No two payloads come in one microsecond: between such versions a hash decides (docs/decisions/0001).
        """
        self.clock = max(self.clock + wait, start)
        taken = {one.received for one in self.sent}
        while self.clock in taken:
            self.clock += timedelta(microseconds=1)

    def deliver(self, payload: Payload) -> None:
        self.sent.append(payload)
        end = payload.start + FIVE
        data = spp(dict(payload.prices), f"{end:%m/%d/%Y %H:%M:%S}")
        arrived = Arrived(TOPIC, data, f"{payload.subject}.csv", payload.received, payload.subject)
        _, new = self.node.pipeline.inbox.accept(arrived)
        assert new == self.twin.deliver(payload), "a duplicate was not told from news"
        self.done.add(deliveries=1, duplicates=not new)

    def teardown(self) -> None:
        """Everything is carried; then the store is asked at every moment that matters, and a little before."""
        if not self.sent:
            return
        flow = self.node.pipeline
        for step in (flow.normaliser.step, flow.projector.step, flow.lakekeeper.step, flow.settler.step):
            while step():
                pass
        moments = self.twin.moments()
        some = moments[:: max(1, len(moments) // figure(3, 12))] + moments[-1:]
        for moment in (at + timedelta(microseconds=more) for at in some for more in (0, -1)):
            for basis, view in VIEWS.items():
                assert self.asked(f"{view}(as_of = '{moment:%Y-%m-%d %H:%M:%S.%f}')") == self.twin.as_of(moment, basis)
                self.done.add(as_of=1)
        assert self.asked("current_prices") == self.twin.as_of(moments[-1] + timedelta(days=99), "published")
        self.done.add(examples=1)

    def asked(self, view: str) -> dict[tuple[str, datetime], float | None]:
        until = self.start + timedelta(hours=1)
        where = f"interval_start >= '{self.start:%Y-%m-%d %H:%M:%S}' AND interval_start < '{until:%Y-%m-%d %H:%M:%S}'"
        rows: list[Any] = self.node.hot.fetch(
            f"SELECT location_id, interval_start, lmp FROM {view} WHERE {where}"
        ).to_pylist()
        found = {(row["location_id"], row["interval_start"]): row["lmp"] for row in rows}
        assert len(found) == len(rows), "a key came twice"
        return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    lives = Lives(tmp_path_factory.mktemp("model"), FIRST)
    opened = lives.open()
    yield opened
    abandon(opened)
    lives.close()


@pytest.mark.slow
def test_the_store_is_the_model_at_every_time(node: Node, tmp_path: Path) -> None:
    seed = seed_for("model")
    with tally(8, "state machine: row, late, reordered, again, withdrawn", seed) as done:
        machine = type("Asked", (Machine,), {"node": node, "done": done, "numbers": count()})
        checked = settings(
            max_examples=figure(8, 400), stateful_step_count=figure(15, 50), deadline=None, database=None,
            suppress_health_check=list(HealthCheck), print_blob=True, phases=PHASES,
        )  # fmt: skip
        hypothesis.seed(seed)(machine)
        run_state_machine_as_test(machine, settings=checked)
