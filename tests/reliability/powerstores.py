"""One kind of store after another as a power cut sees it: opened in a folder, given numbers, asked which it holds.

The product is imported where it is used: a process that does without one sync must have put its mutant in place first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)


class Store(Protocol):
    """One kind of store: opened in a folder, given numbers, asked which it holds."""

    def put(self, number: int) -> None: ...
    def held(self, begun: int) -> set[int]:
        """The numbers that are there; AssertionError where one is there in part."""
        ...

    def close(self) -> None: ...


class Raw:
    """The raw archive, in a workspace."""

    def __init__(self, folder: Path) -> None:
        from carbon254.stores.raw import open_raw
        from carbon254.workspace import Workspace

        Workspace(folder / "desk" / "ws").create()
        self._raw = open_raw(folder / "desk" / "ws" / "raw")

    def put(self, number: int) -> None:
        from carbon254.stores.raw import Provenance

        at = NOW + timedelta(seconds=number)
        self._raw.put(data_of(number), Provenance("feed", "url", f"{number}.csv", "subject", at))

    def held(self, begun: int) -> set[int]:
        from carbon254.errors import CorruptPayload

        found = set()
        for number in range(begun):
            sha = sha_of(number)
            try:
                assert self._raw.get(sha) == data_of(number)
            except (KeyError, CorruptPayload):
                continue
            if [one.received_at for one in self._raw.provenance(sha)] == [NOW + timedelta(seconds=number)]:
                found.add(number)
        return found

    def close(self) -> None:
        pass


class Desk:
    """Workspaces: a new one, in a folder of its own, a number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, number: int) -> None:
        self._of(number).create()

    def held(self, begun: int) -> set[int]:
        found = {n for n in range(begun) if (self._folder / f"desk {n}" / "ws" / "workspace.json").exists()}
        for number in found:
            self._of(number).create()
        return found

    def close(self) -> None:
        pass

    def _of(self, number: int) -> Any:
        from carbon254.workspace import Workspace

        return Workspace(self._folder / f"desk {number}" / "ws")


class Hot:
    """The hot store: one insert of one row a number."""

    def __init__(self, folder: Path) -> None:
        from carbon254.stores.hot import open_hot

        self._hot = open_hot(f"chdb://{folder / 'hot'}")
        self._hot.ensure()

    def put(self, number: int) -> None:
        self._hot.insert("energy_prices", _row(number), f"batch {number}")

    def held(self, begun: int) -> set[int]:
        return {int(row["price"]) for row in self._hot.fetch("SELECT price FROM store.energy_prices").to_pylist()}

    def close(self) -> None:
        self._hot.close()


class History(Hot):
    """The ledger's history in the hot store: one payload noted a number."""

    def __init__(self, folder: Path) -> None:
        from carbon254.stores.ledger import open_history

        super().__init__(folder)
        self._history = open_history(self._hot)

    def put(self, number: int) -> None:
        from carbon254.stores.ledger import Noted

        at = NOW.isoformat()
        self._history.complete([Noted("feed", f"day {number}", f"{number}:0", 7, at, at)], NOW)

    def held(self, begun: int) -> set[int]:
        return {int(one.partition.removeprefix("day ")) for one in self._history.entries(limit=10_000)}


class Ledger:
    """The ledger: one payload noted a number."""

    def __init__(self, folder: Path) -> None:
        from carbon254.stores.ledger import open_ledger

        folder.mkdir(exist_ok=True)
        self._ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}")

    def put(self, number: int) -> None:
        from carbon254.stores.ledger import Noted

        at = NOW.isoformat()
        self._ledger.complete([Noted("feed", f"day {number}", f"{number}:0", 7, at, at)], NOW)

    def held(self, begun: int) -> set[int]:
        entries = self._ledger.entries(limit=10_000)
        assert all((one.payloads, one.rows, one.state) == (1, 7, "completed") for one in entries)
        assert all(len(self._ledger.history("feed", one.partition)) == 1 for one in entries)
        return {int(one.partition.removeprefix("day ")) for one in entries}

    def close(self) -> None:
        self._ledger.close()


class Metrics:
    """The metric store: one partition a number."""

    def __init__(self, folder: Path) -> None:
        from carbon254.stores.metrics import open_metrics

        folder.mkdir(exist_ok=True)
        self._store = open_metrics(f"sqlite:///{folder / 'quality.db'}")

    def put(self, number: int) -> None:
        from carbon254.stores.metrics import Kept

        self._store.put(Kept("feed", f"{number:04}", 1, "source", data_of(number), 1.0, NOW, {}, {"n": number}))

    def held(self, begun: int) -> set[int]:
        kept = self._store.between("feed", "0000", "9999")
        assert all(one.state == data_of(int(one.partition)) and one.metrics for one in kept)
        return {int(one.partition) for one in kept}

    def close(self) -> None:
        self._store.close()


class Reference:
    """The reference store: one instrument's facts a number."""

    def __init__(self, folder: Path) -> None:
        from carbon254.stores.reference import open_reference

        self._store = open_reference(f"sqlite:///{folder / 'desk' / 'reference.db'}", lambda: NOW)

    def put(self, number: int) -> None:
        self._store.put_metadata("instrument", f"I{number}", {"n": str(number)}, "test")

    def held(self, begun: int) -> set[int]:
        return {int(row["value"]) for row in self._store.metadata("instrument").to_dicts()}

    def close(self) -> None:
        self._store.close()


class Lake:
    """The lake: one commit of one row a number."""

    def __init__(self, folder: Path) -> None:
        from carbon254.stores.lake import open_lake

        self._lake = open_lake(folder / "lake")

    def put(self, number: int) -> None:
        self._lake.append({"energy_prices": _row(number)}, {"energy_prices": number + 1})

    def held(self, begun: int) -> set[int]:
        found = [int(row["price"]) for row in self._lake.scan("energy_prices", columns=["price"]).to_pylist()]
        assert sorted(found) == list(range(self._lake.offset("energy_prices"))), "rows and offset disagree"
        return set(found)

    def close(self) -> None:
        self._lake.close()


class Log:
    """The log: one transaction of two records, an offset and a state a number."""

    def __init__(self, folder: Path) -> None:
        from carbon254.stores.log import open_log

        self._log = open_log(folder / "log.db")

    def put(self, number: int) -> None:
        from carbon254.stores.log import NewRecord

        with self._log.transaction() as txn:
            txn.append([NewRecord(topic, str(number), {}, data_of(number)) for topic in ("rows.a", "rows.b")])
            txn.commit("c", "raw.a", number + 1)
            txn.put_state("s", str(number), b"1")

    def held(self, begun: int) -> set[int]:
        assert self._log.check() == []
        rows = [
            int(record.key or -1) for record in self._log.scan("rows.") if record.body == data_of(int(record.key or -1))
        ]
        there = {n for n in range(begun) if self._log.get_state("s", str(n))}
        assert sorted(rows) == sorted([*there, *there]), "half a transaction"
        assert self._log.offsets("c").get("raw.a", 0) == max(there, default=-1) + 1
        return there

    def close(self) -> None:
        self._log.close()


class Decisions:
    """The journal of decisions: one a number, beside the raw archive of a workspace."""

    def __init__(self, folder: Path) -> None:
        from carbon254.stores.decisions import open_decisions

        self._journal = open_decisions(folder / "raw")

    def put(self, number: int) -> None:
        from carbon254.stores.decisions import Decision

        self._journal.write(Decision("release", NOW + timedelta(seconds=number), "test", {"n": number}))

    def held(self, begun: int) -> set[int]:
        found = [int(one.told["n"]) for one in self._journal.every()]
        assert len(found) == len(set(found)), "a decision is there twice"
        return set(found)

    def close(self) -> None:
        pass


KINDS: dict[str, Callable[[Path], Any]] = {
    "workspace": Desk, "hot": Hot, "history": History, "raw": Raw, "log": Log, "ledger": Ledger, "metrics": Metrics,
    "reference": Reference, "lake": Lake, "decisions": Decisions,
}  # fmt: skip


def data_of(number: int) -> bytes:
    """A payload of a number, of its own length."""
    return b"%d,price\n" % number * (1 + number * 97 % 700)


def sha_of(number: int) -> str:
    """Its name."""
    import hashlib

    return hashlib.sha256(data_of(number)).hexdigest()


def _row(number: int) -> Any:
    from contract.given_rows import benchmark, shaped

    return shaped("energy_prices", [benchmark("oil", "WTI", date(2025, 1, 1) + timedelta(days=number), float(number))])
