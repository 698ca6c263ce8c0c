"""The commit recipe without the engines that start threads: what a fork may run and die in.

inbox (archive, raw log) → one transaction (rows, letters, state, offset) → ledger → budget. Every acknowledgement is
written to a pipe the moment it is given, so that the oracle knows what was promised when the process died.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from carbon254.feeds.budget import Validators, open_budget
from carbon254.ingest import Arrived, Inbox
from carbon254.stores.decisions import Decision, open_decisions
from carbon254.stores.ledger import Build, Noted, ledger, open_ledger
from carbon254.stores.log import Letter, NewRecord, open_log
from carbon254.stores.raw import open_raw
from carbon254.telemetry import Metrics

NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)
TOPIC, CONSUMER, FEED, DAY = "test", "carry", "test", "2025-07-01"
Said = Callable[[str], None]
FOLD_AT = 2


@dataclass
class Rooms:
    """The stores of one folder, and what carries from one to the next."""

    folder: Path
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.raw = open_raw(self.folder / "raw")
        self.log = open_log(self.folder / "log.db")
        self.ledger = open_ledger(f"sqlite:///{self.folder / 'ledger.db'}")
        self.budget = open_budget(self.folder / "budget.db")
        self.decisions = open_decisions(self.folder / "raw")
        self.inbox = Inbox(self.raw, self.log, self.metrics)

    def close(self) -> None:
        for room in (self.log, self.ledger, self.budget):
            room.close()

    def accept(self, number: int, said: Said) -> None:
        """Take payload `number`; acknowledged as `accepted N`."""
        data, at = payload(number), NOW + timedelta(seconds=number)
        self.inbox.accept(Arrived(TOPIC, data, f"{number}.csv", at, f"subject {number % 7}"))
        said(f"accepted {number}")

    def carry(self, said: Said) -> None:
        """Carry what is pending into rows, letters, state and offset; acknowledged as `carried OFFSET`."""
        for record in self.log.read(CONSUMER, "raw.", 8):
            number = number_of(self.raw.get(record.headers["sha256"]))
            with self.log.transaction() as txn:
                txn.append([NewRecord("rows.test", None, {"raw": record.offset, "n": number}, b"x" * 64)])
                txn.put_state("carried", str(number), b"1")
                txn.add_letter(_letter(record.headers["sha256"]))
                txn.commit(CONSUMER, record.topic, record.offset)
            said(f"carried {number}")

    def note(self, said: Said) -> None:
        """Note in the ledger what the log carried, as the projector does; acknowledged as `noted N`."""
        for record in self.log.read("project", "rows.", 8):
            number = record.headers["n"]
            mark = (NOW + timedelta(seconds=number)).isoformat()
            self.ledger.complete([Noted(FEED, DAY, f"{number}:0", number + 1, mark, mark)], NOW)
            said(f"noted {number}")
            with self.log.transaction() as txn:
                txn.commit("project", record.topic, record.offset)

    def prove(self, number: int, said: Said) -> None:
        """Lease, rebuild, proof and release, as a replay does; letters resolved; the budget asked."""
        lease = self.ledger.acquire("rebuild", "holder", NOW, timedelta(hours=1))
        if lease is not None and self.ledger.entries(FEED, DAY):
            self.ledger.begin(FEED, DAY, NOW, "running", lease)
            self.ledger.rebuilt(FEED, DAY, NOW, "code", lease)
            self.ledger.proven(Build(FEED, DAY, 1, "code", 1, 1, "hash", NOW))
            self.ledger.release(lease, NOW)
        said(f"proven {number}")
        letters = self.log.letters("dlq.test", "open", 2)
        self.decisions.write(Decision("resolve", NOW + timedelta(seconds=number), "test", {"n": number}))
        said(f"decided {number}")
        with self.log.transaction() as txn:
            txn.resolve_letters([one.id for one in letters if one.id], "again")
        self.budget.take("host", 1.0, 1, NOW.timestamp())
        self.budget.remember("url", Validators(str(number)))
        said(f"remembered {number}")
        self.log.trim("raw.", ("nobody",), NOW - timedelta(days=1))


def work(folder: Path, first: int, many: int, said: Said) -> None:
    """`many` payloads from number `first` through everything. In a process of its own: it changes `FOLD_AT`."""
    ledger.FOLD_AT = FOLD_AT
    rooms = Rooms(folder)
    rooms.carry(said)
    rooms.note(said)
    for number in range(first, first + many):
        rooms.accept(number, said)
        rooms.carry(said)
        rooms.note(said)
        rooms.prove(number, said)
    rooms.close()


def payload(number: int) -> bytes:
    """Payload `number`: its own bytes again and again, of a length that differs."""
    return orjson.dumps({"n": number}) + b"\n" + random.Random(number).randbytes(200 + number * 37 % 900)


def number_of(data: bytes) -> int:
    """Which payload these bytes are; AssertionError where they are none."""
    number = int(orjson.loads(data.split(b"\n", 1)[0])["n"])
    assert data == payload(number), f"payload {number} has other bytes"
    return number


def speaking_to(handle: int) -> Said:
    """Acknowledgements as lines on a pipe, out of the process before the next step."""
    return lambda text: (os.write(handle, f"{text}\n".encode()), None)[1]


def _letter(sha256: str) -> Letter:
    return Letter(None, "dlq.test", sha256, 1, "reason", "raw", "parse", "1", NOW)
