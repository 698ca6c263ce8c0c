"""Bringing a workspace of an older format to the one this version reads and writes.

Steps in an order, each of which may be done twice: what was done is noted in workspace.json, so that an upgrade that
was cut off goes on where it stopped. The first thing written is the new format, so that no older program opens what is
half done; raw payloads are not touched, and no row is taken away before it stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from carbon254.clock import Clock
from carbon254.connections import lake_of, open_named_log
from carbon254.engine.deciding import OLDER_PLACES, RELEASE, RESOLVE, told_of
from carbon254.engine.marking import HOT, Marker, keep_offset
from carbon254.engine.projector import CONSUMER as PROJECT
from carbon254.engine.quarantine import RELEASED, Release, releases
from carbon254.faults import reach
from carbon254.settings import Settings
from carbon254.stores.decisions import Decision, Journal, open_decisions
from carbon254.stores.hot import open_hot
from carbon254.stores.ledger import open_ledger
from carbon254.stores.log import Letter, Log, identity_of
from carbon254.stores.metrics import open_metrics
from carbon254.stores.reference import open_reference
from carbon254.workspace import FORMAT, Workspace

_WHO = "c254 upgrade"
_TOGETHER, _MANY = 1_000, 1_000_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade came to: the format before it, and the steps that it took (those left of it where cut off)."""

    before: int
    steps: tuple[str, ...]


class Upgrade:
    """Brings one workspace over. It needs the workspace to itself."""

    def __init__(self, settings: Settings, workspace: Workspace, clock: Clock) -> None:
        self._settings, self._workspace, self._clock = settings, workspace, clock

    @property
    def steps(self) -> Mapping[str, Callable[[], None]]:
        """What there is to do, in its order; by what each step says of itself."""
        return {
            "write down which payload stood where in the log, for receipts of before": self._places,
            "write down releases and resolved dead letters in the journal beside raw/": self._decisions,
            "ledger: counts by arrival": self._ledger,
            "quality and reference: today's tables": self._databases,
            "hot store: today's tables and views": self._hot,
            "lake: locations that name no folder": self._lake,
            "every store: how far it has come in which log": self._marks,
        }

    def left(self) -> list[str]:
        """The steps that are to be done; none where the workspace has today's format."""
        done = self._workspace.upgrading()
        if self._workspace.format() == FORMAT and done is None:
            return []
        return [step for step in self.steps if step not in (done or ())]

    def run(self, progress: Progress = lambda done, total: None) -> Upgraded:
        """Do what is left. Raises WorkspaceError where another process has the workspace."""
        before, left = self._workspace.format(), self.left()
        if not left and self._workspace.upgrading() is None:
            return Upgraded(before, ())
        done = [step for step in self.steps if step not in left]
        self._workspace.begin_upgrade(done)
        reach("upgrade.begun")
        for step in left:
            progress(len(done), len(self.steps))
            self.steps[step]()
            reach("upgrade.step")
            done.append(step)
            self._workspace.begin_upgrade(done)
            reach("upgrade.noted")
        self._workspace.end_upgrade()
        reach("upgrade.ended")
        return Upgraded(before, tuple(left))

    def _places(self) -> None:
        journal = self._journal()
        with closing(open_named_log(self._settings, self._workspace)) as log:
            topics = sorted(one.topic for one in log.topics() if one.topic.startswith("raw."))
            for topic in topics:
                every = list(_arrivals(log, topic))
                for start in range(0, len(every), _TOGETHER):
                    some = every[start : start + _TOGETHER]
                    last = datetime.fromisoformat(some[-1][1])
                    told = {"feed": topic.removeprefix("raw."), "arrivals": [list(one) for one in some]}
                    journal.write(Decision(OLDER_PLACES, last, _WHO, told))

    def _decisions(self) -> None:
        journal = self._journal()
        with closing(open_named_log(self._settings, self._workspace)) as log:
            resolved = [one for one in log.letters(status="resolved", limit=_MANY) if one.resolved_by]
            for how, some in groupby(sorted(resolved, key=_how), _how):
                letters = list(some)
                at = max(one.received_at for one in letters)
                journal.write(Decision(RESOLVE, at, _WHO, {"how": how, "letters": told_of(letters)}))
            for feed, ids in self._released().items():
                for decision, mine in _by_release(log, feed, ids):
                    told = {"feed": feed, "rows": mine, "day": "", "why": decision.why, "trail": []}
                    journal.write(Decision(RELEASE, decision.at, decision.who, told))

    def _released(self) -> dict[str, list[str]]:
        """Ids of released rows by feed, as the quarantine has them."""
        with closing(open_hot(self._settings.hot_at(self._workspace.path("hot")))) as hot:
            held = "SELECT 1 AS x FROM system.tables WHERE database = 'store' AND name = 'quarantine'"
            if not hot.fetch(held).num_rows:
                return {}
            rows = hot.fetch(f"SELECT feed, row_id FROM store.quarantine FINAL WHERE status = '{RELEASED}'").to_pylist()
        found: dict[str, list[str]] = {}
        for row in rows:
            found.setdefault(str(row["feed"]), []).append(row["row_id"])
        return found

    def _ledger(self) -> None:
        open_ledger(self._settings.ledger_at(self._workspace.path("ledger.db"))).close()

    def _databases(self) -> None:
        for kind in ("quality", "verdict"):
            open_metrics(self._settings.ledger_at(self._workspace.path("quality.db")), kind).close()
        open_reference(self._settings.reference_at(self._workspace.path("reference.db")), self._clock.now).close()

    def _hot(self) -> None:
        with closing(open_hot(self._settings.hot_at(self._workspace.path("hot")), self._settings.ttl_days)) as hot:
            hot.ensure()

    def _lake(self) -> None:
        with closing(lake_of(self._settings, self._workspace)) as lake:
            for one in lake.stats(self._clock.now()):
                lake.location(one.table)

    def _marks(self) -> None:
        self._workspace.identify()
        with closing(open_named_log(self._settings, self._workspace)) as log:
            offset = max((at for name, at in log.offsets(PROJECT).items() if name.startswith("rows.")), default=0)
            mark = Marker(self._workspace.identity.uuid, identity_of(log)).at(offset)
            with closing(open_ledger(self._settings.ledger_at(self._workspace.path("ledger.db")))) as ledger:
                ledger.keep_mark(mark)
            with closing(open_hot(self._settings.hot_at(self._workspace.path("hot")))) as hot:
                hot.keep_mark(mark)
            keep_offset(log, HOT, offset)

    def _journal(self) -> Journal:
        return open_decisions(self._settings.raw_at(self._workspace.path("raw")), self._settings.s3_endpoint)


def _arrivals(log: Log, topic: str) -> Iterator[tuple[int, str, str]]:
    for record in log.scan(topic):
        if record.topic == topic:
            yield record.offset, record.headers["received_at"], record.headers["sha256"]


def _by_release(log: Log, feed: str, ids: list[str]) -> Iterator[tuple[Release, list[str]]]:
    found = releases(log, feed, ids)
    for decision in dict.fromkeys(found.values()):
        yield decision, sorted(row_id for row_id, one in found.items() if one == decision)


def _how(letter: Letter) -> str:
    return letter.resolved_by or ""
