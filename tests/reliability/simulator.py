"""A node's life in one process: a seeded scheduler over feed → log → store → serve, with faults at every named point.

python -m reliability.simulator --seed N [--only K] [--many M]        K replays one case by itself

Real are the log, ledger, raw archive, lake and embedded ClickHouse. The clock is turned by hand, the provider is in
memory, and a node dies by an exception that nothing catches (`dying`). A case is one market day: files are published,
corrected and withdrawn, polled through a bad network, carried by some consumers or others, while the clock steps, a
named point fails or the node dies there and another takes over. A twin that knows only what the provider gave judges.
"""

from __future__ import annotations

import argparse
import errno
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from carbon254 import faults
from carbon254.app import Node
from carbon254.clock import ManualClock
from carbon254.errors import Carbon254Error
from carbon254.feeds import feeds
from carbon254.poller import newest

from .dying import Died, Lives, abandon
from .fakeweb import FakeWeb
from .twin import FIVE, Twin

TOPIC = "iso.rt.lmp.spp"
FIRST = datetime(2021, 1, 1, 12, tzinfo=UTC)
VIEWS = {"published": "interval_prices_as_of", "strict": "interval_prices_as_of_strict",
         "received": "interval_prices_as_received"}  # fmt: skip
INTERVALS, ACTS = 4, 24
WEIGHTS = {"poll": 6, "publish": 4, "carry": 4, "pass time": 3, "look": 1, "step the clock": 1, "fail": 3, "die": 2}
CONSUMERS = ("normalise", "project", "bars", "lake")


class Fault:
    """At the `left`-th named point from here, whichever it is, the disk refuses once, or the node dies for good."""

    def __init__(self, left: int, dies: bool) -> None:
        self.left, self.dies, self.name = left, dies, ""

    def __call__(self, reached: str) -> None:
        self.left -= 1
        if self.left == 0:
            self.name = reached
        if self.name and self.dies:
            raise Died(self.name)
        if self.left == 0:
            raise OSError(errno.ENOSPC, "no space left on the simulated disk")


@dataclass
class Case:
    """One market day in a workspace that may hold others."""

    lives: Lives
    seed: int
    number: int
    node: Node = field(init=False)
    counts: Counter[str] = field(default_factory=Counter)
    trail: list[str] = field(default_factory=list)
    points: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed}/{self.number}")
        self.start = FIRST + timedelta(days=self.number)
        self.lives.now = self.start + timedelta(minutes=30)
        self.twin, self.told = Twin(), 0
        self.web = FakeWeb(self.start, self.chance, ManualClock(self.lives.now))
        self._open()

    def run(self) -> list[str]:
        """Live the day; what is wrong at its end."""
        acts: dict[str, Callable[[], None]] = {
            "poll": self._poll, "publish": self._publish, "carry": self._carry, "pass time": self._pass_time,
            "look": self._look, "step the clock": self._step, "fail": self._fail, "die": self._die,
        }  # fmt: skip
        try:
            self._publish()
            for _ in range(ACTS):
                self._act(acts, self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0])
            self._poll()
            return self._judge()
        finally:
            abandon(self.node)

    def _act(self, acts: dict[str, Callable[[], None]], what: str) -> None:
        self.trail.append(what)
        self.counts[what] += 1
        acts[what]()

    def _open(self) -> None:
        self.lives.now = self.web.clock.now()
        self.node = self.lives.open()
        assert isinstance(self.node.clock, ManualClock)
        self.web.clock = self.node.clock
        self.node.pipeline.fetcher._client.close()
        self.node.pipeline.fetcher._client = self.web.client()
        self.node.pipeline.fetcher._rng = random.Random(self.number)

    def _publish(self) -> None:
        self.web.publish(self.chance.randrange(INTERVALS))

    def _pass_time(self) -> None:
        self.web.clock.sleep(self.chance.choice((1, 60, 300, 900)))

    def _step(self) -> None:
        self.web.clock.instant += timedelta(seconds=self.chance.choice((-3_600, -60, -1, 1, 60, 3_600)))
        self.web.clock.instant = max(self.web.clock.instant, self.start)

    def _poll(self) -> None:
        first, last = newest(feeds()[TOPIC].stream, self.start + INTERVALS * FIVE)
        for fetched in self.node.pipeline.fetch(TOPIC, max(first, self.start), last):
            self.counts[f"fetched {fetched.state}"] += 1
        self._hear(len(self.web.taken))

    def _hear(self, acknowledged: int) -> None:
        """Tell the twin what was taken; `acknowledged` of it must be there, the one after that may be."""
        there = {record.headers["received_at"] for record in self.node.log.scan("raw.")}
        for at in range(self.told, len(self.web.taken)):
            payload = self.web.taken[at]
            held = payload.received.isoformat() in there
            if at >= acknowledged and not held:
                continue
            assert self.twin.deliver(payload) == held, f"payload {at} was {'kept twice' if held else 'lost'}: {payload}"
        self.told = len(self.web.taken)

    def _carry(self) -> None:
        steps = self.node.pipeline.steps()
        for name in self.chance.sample(CONSUMERS, self.chance.randint(1, len(CONSUMERS))):
            steps[name]()

    def _poll_and_carry(self) -> None:
        self._poll()
        for name in CONSUMERS:
            self.node.pipeline.steps()[name]()

    def _fail(self) -> None:
        fault = self._struck(dies=False)
        if fault.name:
            self._hear(len(self.web.taken) - 1)

    def _die(self) -> None:
        fault = self._struck(dies=True)
        abandon(self.node)
        self._open()
        self._hear(len(self.web.taken) - bool(fault.name))

    def _struck(self, dies: bool) -> Fault:
        """Something is done, and on its way a point refuses or is the end."""
        fault = Fault(self.chance.randint(1, 60), dies)
        try:
            with faults.armed(fault):
                self._publish()
                self.chance.choice((self._poll, self._carry, self._poll_and_carry))()
        except (OSError, Carbon254Error, Died):
            self.counts["died" if dies else "refused"] += 1
        self.trail.append(fault.name)
        self.points |= {fault.name} - {""}
        return fault

    def _look(self) -> None:
        """No reader sees half a file: what is there of a payload is all of it."""
        rows = self._fetch(
            "SELECT payload, received_at, count() AS n FROM store.interval_prices FINAL "
            f"WHERE lmp IS NOT NULL AND {self._day()} GROUP BY payload, received_at"
        )
        assert {row["n"] for row in rows} <= {3, 4}, f"half a payload is seen: {rows}"

    def _judge(self) -> list[str]:
        self.node.runner.drain()
        self._look()
        return [*self.node.log.check(), *self._versions(), *self._known()]

    def _known(self) -> Iterator[str]:
        """Every view at moments that matter, and just before, beside the twin."""
        moments = self.twin.moments()
        some = sorted({*self.chance.sample(moments, min(4, len(moments))), *moments[-1:]})
        for moment in (at + timedelta(microseconds=more) for at in some for more in (0, -1)):
            for basis, view in VIEWS.items():
                found = self._prices(f"{view}(as_of = '{moment:%Y-%m-%d %H:%M:%S.%f}')")
                self.counts["as-of questions"] += 1
                if found != self.twin.as_of(moment, basis):
                    yield f"{basis} at {moment}: {found} and not {self.twin.as_of(moment, basis)}"

    def _versions(self) -> Iterator[str]:
        """The hot store and the lake hold each version once, and the same ones."""
        hot = Counter(map(_version, self._fetch(f"SELECT * FROM store.interval_prices FINAL WHERE {self._day()}")))
        day = f"interval_start >= '{self.start.isoformat()}' AND interval_start < '{self._end().isoformat()}'"
        lake = Counter(map(_version, self.node.lake.scan("interval_prices", day).to_pylist()))
        if hot != lake:
            yield f"hot store and lake differ: {hot - lake} / {lake - hot}"
        if any(many > 1 for many in hot.values()):
            yield f"versions are there twice: {hot}"
        if (told := {key[:2] for key in hot}) != self.twin.keys():
            yield f"keys {told} and not {self.twin.keys()}"

    def _prices(self, view: str) -> dict[tuple[str, datetime], float | None]:
        rows = self._fetch(f"SELECT location_id, interval_start, lmp FROM {view} WHERE {self._day()}")
        return {(row["location_id"], row["interval_start"]): row["lmp"] for row in rows}

    def _fetch(self, sql: str) -> list[dict[str, Any]]:
        return self.node.hot.fetch(sql).to_pylist()

    def _end(self) -> datetime:
        return self.start + timedelta(hours=1)

    def _day(self) -> str:
        return (
            f"interval_start >= '{self.start:%Y-%m-%d %H:%M:%S}' AND interval_start < '{self._end():%Y-%m-%d %H:%M:%S}'"
        )


def _version(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["location_id"], row["interval_start"], row["lmp"], row["received_at"], row["payload"]


@contextmanager
def lives() -> Iterator[Lives]:
    """A workspace for some cases."""
    with tempfile.TemporaryDirectory(prefix="c254-sim-") as folder:
        made = Lives(Path(folder), FIRST)
        try:
            yield made
        finally:
            made.close()


def simulate(made: Lives, seed: int, number: int) -> Counter[str]:
    """One case. AssertionError says how to replay it, and what had been done."""
    case = Case(made, seed, number)
    try:
        wrong = case.run()
        assert not wrong, wrong[:3]
    except Exception as error:
        replay = f"python -m reliability.simulator --seed {seed} --only {number}"
        raise AssertionError(f"{replay}\n{' → '.join(case.trail)}\n{type(error).__name__}: {error}") from error
    case.counts.update({f"at {name}": 1 for name in case.points})
    return case.counts + Counter(requests=case.web.asked, payloads=len(case.twin.taken))


def main() -> None:
    parser = argparse.ArgumentParser(description="Live seeded days and judge them.")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--only", type=int)
    parser.add_argument("--many", type=int, default=20)
    asked = parser.parse_args()
    with lives() as made:
        for number in [asked.only] if asked.only is not None else range(asked.many):
            sys.stdout.write(f"{asked.seed}/{number}: {dict(simulate(made, asked.seed, number))}\n")


if __name__ == "__main__":
    main()
