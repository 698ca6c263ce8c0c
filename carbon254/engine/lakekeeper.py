"""Consumer `lake`: rows.<topic> → Iceberg, one commit for many batches, off the hot path.

The offset consumed and the identity of its log are written in the same Iceberg commit, so that a commit done again
after a crash is seen and skipped. Rows that may stand already are looked for before they are stored: those that arrived
before the table followed this log, and those whose record says that they are read again. All others never are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import pyarrow as pa

from carbon254.faults import reach
from carbon254.stores.lake import Again, Broken, Following, Lake
from carbon254.stores.log import Log, Record, identity_of

from .codec import decode
from .projector import commit, within
from .quarantine import PREFIX, TABLE
from .source import Source

CONSUMER = "lake"
MAX_ROWS = 1_000_000
# A commit of fewer rows is one of a quiet time: the next may wait this many times as long.
_FEW_ROWS, _QUIET = 10_000, 15


class Lakekeeper:
    """Carries rows into the lake."""

    def __init__(self, log: Log, lake: Lake, sources: Mapping[str, Source], every_s: float = 0.0) -> None:
        """`every_s` is how long a running node lets rows gather between two commits; see `rest_s`."""
        self._log, self._lake, self._sources, self._every_s = log, lake, sources, every_s
        self._rest_s = 0.0

    def step(self, limit: int = 512) -> int:
        """Commit what is pending, up to about MAX_ROWS rows; returns the number of records."""
        found = self._log.read(CONSUMER, "rows.", limit)
        records = within(found, MAX_ROWS)
        by_dataset: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_dataset[self._sources[record.topic.removeprefix("rows.")].stream.dataset].append(record)
        held = self._log.read(CONSUMER, PREFIX, limit)
        if held:
            by_dataset[TABLE] += held
        for name, group in by_dataset.items():
            self._append(name, group)
        if records or held:
            commit(self._log, CONSUMER, [*records, *held])
        behind = len(records) < len(found) or len(found) == limit
        few = sum(record.headers["rows"] for record in records) < _FEW_ROWS
        self._rest_s = 0.0 if behind else self._every_s * (_QUIET if few else 1)
        return len(records) + len(held)

    def rest_s(self) -> float:
        """Seconds until the next commit: each one makes files, so that what comes meanwhile shares them.

        None while it is behind, `every_s` while much comes, longer in quiet times.
        """
        return self._rest_s

    def _append(self, name: str, group: Sequence[Record]) -> None:
        """Until the dataset holds the records: where another writer was first, what it left over is chosen anew."""
        following = Following(identity_of(self._log), self._log.end_offset)
        ordered = sorted(group, key=lambda record: record.offset)
        while True:
            stands = self._lake.position(name, following)
            fresh = [record for record in ordered if record.offset > stands.offset]
            if not fresh:
                return
            reach("lake.asked")
            together, again = next(alike(fresh))
            table = pa.concat_tables([decode(record.body) for record in together]).unify_dictionaries()
            self._lake.append({name: table}, {name: together[-1].offset}, {name: stands}, following, again)
            reach("lake.appended")
            keep_seals(self._log, self._lake, name)
            reach("lake.sealed")


def alike(records: Sequence[Record]) -> Iterator[tuple[list[Record], Again | None]]:
    """Records that go into one commit, in their order, and how they are looked for; None where they are new.

    A batch that comes again within them begins another commit: by then the first is there to be found.
    """
    for again, group in groupby(records, _again):
        together, seen = list[Record](), set[tuple[str, ...]]()
        for record in group:
            batch = (record.topic, *(str(record.headers.get(name)) for name in ("received_at", "sha256", "batch")))
            if again is not None and batch in seen:
                yield together, again
                together, seen = [], set()
            together.append(record)
            seen.add(batch)
        yield together, again


def _again(record: Record) -> Again | None:
    told = record.headers
    if not (told.get("again_read") or told.get("replaces")):
        return None
    return Again(bool(told.get("replaces")), str(told.get("reading", "")))


def keep_seals(log: Log, lake: Lake, dataset: str) -> None:
    """Keep the digests of the dataset's new files, so that a harmed one is found."""
    fresh = lake.seals(dataset, lambda path: log.get_state(f"lake:{dataset}", path) is not None)
    if fresh:
        with log.transaction() as txn:
            for path, found in fresh.items():
                txn.put_state(f"lake:{dataset}", path, found.encode())


def broken_files(log: Log, lake: Lake, dataset: str) -> list[Broken]:
    """The dataset's files that are not as they were committed."""
    return lake.broken(dataset, seal_of(log, dataset))


def seal_of(log: Log, dataset: str) -> Callable[[str], str]:
    """Gives the digest that was kept of a file; empty where none was."""
    return lambda path: (log.get_state(f"lake:{dataset}", path) or b"").decode()
