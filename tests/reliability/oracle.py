"""What must be in the stores, reckoned from acknowledgements alone: a dict of numbers, no code of the product.

`judge` opens the folder as a restart would and says everything that is wrong. What was acknowledged must be there,
once and whole; what was under way may be there whole; nothing else may be there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from .recipe import CONSUMER, DAY, FEED, NOW, TOPIC, Rooms, number_of


class Oracle:
    """What was promised so far. `begun` are numbers that the work may have come to."""

    def __init__(self) -> None:
        self.promised: dict[str, set[int]] = {}
        self.begun: set[int] = set()

    def hear(self, lines: Sequence[str]) -> None:
        """Take in acknowledgements (`accepted 3`)."""
        for line in lines:
            kind, number = line.split()
            self.promised.setdefault(kind, set()).add(int(number))

    def of(self, kind: str) -> set[int]:
        return self.promised.get(kind, set())

    def judge(self, folder: Path) -> list[str]:
        """What is wrong; empty when nothing is."""
        rooms = Rooms(folder)
        try:
            wrong = [*rooms.log.check(), *self._raw(rooms), *self._log(rooms), *self._ledger(rooms)]
            decided = Counter(int(one.told["n"]) for one in rooms.decisions.every())
            wrong += _sets("decisions", decided, self.of("decided"), self.begun)
            held = rooms.budget.validators("url").etag
            last = max(self.of("remembered"), default=-1)
            # The one under way may have been remembered already.
            return wrong + ([f"validators are {held}, promised {last}"] if int(held or -1) < last else [])
        finally:
            rooms.close()

    def _raw(self, rooms: Rooms) -> list[str]:
        wrong, found = [], {number_of(rooms.raw.get(sha)): sha for sha in rooms.raw.ids()}
        wrong += [f"payload {number} was promised and is gone" for number in self.of("accepted") - found.keys()]
        wrong += [f"payload {number} came from nowhere" for number in found.keys() - self.begun]
        for number in self.of("accepted") & found.keys():
            arrivals = len(rooms.raw.provenance(found[number]))
            wrong += [f"payload {number} has {arrivals} arrivals"] if arrivals != 1 else []
        return wrong + [f"left over: {path.name}" for path in (rooms.folder / "raw").rglob("*.tmp")]

    def _log(self, rooms: Rooms) -> list[str]:
        records = list(rooms.log.scan(f"raw.{TOPIC}"))
        numbers = Counter(number_of(rooms.raw.get(record.headers["sha256"])) for record in records)
        wrong = _sets("raw log", numbers, self.of("accepted"), self.begun)
        done = rooms.log.offsets(CONSUMER).get(f"raw.{TOPIC}", 0)
        carried = {number_of(rooms.raw.get(record.headers["sha256"])) for record in records if record.offset <= done}
        rows = Counter(record.headers["n"] for record in rooms.log.scan("rows."))
        letters, states = len(rooms.log.letters(limit=10_000)), {n for n in numbers if _state(rooms, n)}
        wrong += _sets("rows", rows, self.of("carried"), self.begun)
        if set(rows) != carried or states != carried or letters != len(carried):
            wrong.append(f"half a transaction: rows {len(rows)}, offset {len(carried)}, state {len(states)}, {letters}")
        return wrong

    def _ledger(self, rooms: Rooms) -> list[str]:
        entry = next(iter(rooms.ledger.entries(FEED, DAY)), None)
        if entry is None:
            return ["the ledger forgot the day"] if self.of("noted") else []
        rows = {record.headers["n"] for record in rooms.log.scan("rows.")}
        wholes = [self.of("noted"), *(self.of("noted") | {extra} for extra in rows - self.of("noted"))]
        total = (entry.payloads, entry.rows, entry.watermark)
        ends = [rooms.ledger.history(FEED, DAY)[-1][0] == entry.state] if wholes else []
        wrong = [] if all(ends) else [f"state {entry.state} is not the last of the history"]
        if total not in [_summed(numbers) for numbers in wholes]:
            wrong.append(f"the ledger sums to {total}, promised {_summed(self.of('noted'))}")
        return wrong


def _state(rooms: Rooms, number: int) -> bool:
    return rooms.log.get_state("carried", str(number)) is not None


def _sets(what: str, found: Counter[int], promised: set[int], begun: set[int]) -> list[str]:
    wrong = [f"{what}: {number} was promised and is gone" for number in promised - found.keys()]
    wrong += [f"{what}: {number} came from nowhere" for number in found.keys() - begun]
    return wrong + [f"{what}: {number} is there {many} times" for number, many in found.items() if many > 1]


def _summed(numbers: set[int]) -> tuple[object, ...]:
    mark = NOW + timedelta(seconds=max(numbers)) if numbers else None
    return len(numbers), sum(number + 1 for number in numbers), mark
