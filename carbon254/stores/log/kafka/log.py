"""The log on Kafka: topics and transactions are Kafka's, look-ups are answered by a view made from the journal.

Everything a transaction does is written in one Kafka transaction: its records in their topics, its manifest in the
journal, its offsets in the consumer's group. Several processes write and read at once; see `manifest` for the order
they agree on, `view` for what happens when two of them changed the same thing.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from confluent_kafka import TopicPartition

from carbon254.errors import CorruptRecord, SettingsError

from ..port import Letter, NewRecord, Record, TopicInfo
from .bodies import Bodies
from .cluster import ASK_S, JOURNAL, Cluster, LogUnavailable, patiently, unavailable
from .members import Member
from .tail import Tail
from .topics import Topic, Topics, ensure
from .txn import KafkaTxn
from .view import View
from .writer import NotOurs, Slot, UnknownOutcome, Writer

_PAGE = 100
_SETTLE_S = 60.0
_LOOK_S = 0.25
_ASK_EVERY_S, _ANSWER_S = 2.0, 3.0
Shares = Mapping[str, Sequence[str]]


class KafkaLog:
    """A log on a Kafka cluster. `folder` keeps the view; it may be deleted, and is made again from the journal.

    `shares` names consumers whose partitions are shared with other processes, and the prefixes of their topics. With
    `make`, missing topics are made as they are written. Raises SettingsError where the cluster cannot be used.
    """

    publishes = True

    def __init__(self, cluster: Cluster, folder: Path, shares: Shares | None = None, make: bool = False) -> None:
        self._cluster, self._admin = cluster, cluster.admin()
        self._topics = Topics(cluster, self._admin, make)
        if make:
            ensure(cluster, self._admin, [Topic(JOURNAL)])
        if self._topics.partitions(JOURNAL) != 1:
            raise SettingsError(f"topic {cluster.journal} has to have exactly one partition; make it anew")
        self._view = View(folder / "view.db")
        self._slot = Slot(folder)
        self._tail = Tail(cluster, self._admin, self._view)
        self._adopt()
        self._writer = Writer(cluster, f"{cluster.prefix}{cluster.group}.{self._view.fact('node')}.{self._slot.number}")
        self._bodies = Bodies(cluster)
        self._lock = threading.RLock()
        self._asked_s, self._silence = 0.0, ""
        self._believed: dict[tuple[str, str, int], int] = {}
        self._tail.start()
        self._tail.catch_up(_SETTLE_S)
        wanted = (shares or {}).items()
        self._members = {name: Member(cluster, name, prefixes, self._lock, self._gained) for name, prefixes in wanted}

    def append(self, records: Iterable[NewRecord]) -> list[int]:
        """Append in a transaction of its own."""
        with self.transaction() as txn:
            return txn.append(records)

    @contextmanager
    def transaction(self) -> Iterator[KafkaTxn]:
        """A transaction: committed when the block ends, undone when it raises.

        Raises LogUnavailable while the brokers do not answer, NotOurs where another process changed what it went by.
        """
        with self._lock:
            if self._writer.ready():
                self._tail.catch_up()
            txn = KafkaTxn(self._writer, self._topics, self._view, self._believed, self._partitions)
            try:
                yield txn
                mark = txn.seal()
                self._send_offsets(txn)
            except BaseException:
                self._writer.abort()
                raise
            if mark is not None:
                self._commit(txn, mark)
            else:
                self._writer.abort()

    def read(self, consumer: str, prefix: str, limit: int = 64) -> list[Record]:
        """Records of topics that start with `prefix` beyond the consumer's offsets, oldest first."""
        with self._lock:
            placed = self._view.pending(consumer, prefix, limit, self._owns(consumer))
            # Where this consumer believes to be, its next transaction will say; another's progress refutes it.
            done = self._view.positions(consumer)
            for one in placed:
                place = one.topic, one.partition
                self._believed[consumer, *place] = done.get(place, 0)
        return self._bodies.fetch(placed)

    def fetch(self, offset: int) -> Record:
        """The record at an offset. Raises KeyError where there is none."""
        placed = self._view.at(offset)
        if placed is None:
            raise KeyError(f"the log has no record {offset}")
        return self._bodies.fetch([placed])[0]

    def scan(self, prefix: str, after: int = 0) -> Iterator[Record]:
        """Every record of topics that start with `prefix`, oldest first."""
        while placed := self._view.page(prefix, after, _PAGE):
            yield from self._bodies.fetch(placed)
            after = placed[-1].offset

    def offsets(self, consumer: str) -> dict[str, int]:
        """The consumer's committed offset of each topic."""
        return self._view.carried(consumer)

    def lag(self, consumer: str, prefix: str, ours: bool = False) -> int:
        """Records that the consumer has yet to carry: in whatever process, or in `ours` alone."""
        return self._view.lag(consumer, prefix, self._owns(consumer) if ours else _all)

    def end_offset(self) -> int:
        """The highest offset ever given; 0 for an empty log."""
        return int(self._view.fact("end") or 0)

    def topics(self) -> list[TopicInfo]:
        """How much each topic holds."""
        return self._view.topics()

    def get_state(self, scope: str, key: str) -> bytes | None:
        """The committed value."""
        return self._view.state(scope, key)[0]

    def letters(self, topic: str | None = None, status: str | None = None, limit: int = 1_000) -> list[Letter]:
        """Letters, oldest first."""
        return self._view.letters(topic, status, limit)

    def letter(self, number: int) -> Letter:
        """One letter. Raises KeyError where there is none."""
        return self._view.letter(number)

    def count_letters(self, topic: str | None = None, status: str | None = None) -> int:
        """How many letters there are."""
        return self._view.count_letters(topic, status)

    def trim(self, prefix: str, consumers: Sequence[str], before: datetime) -> int:
        """Delete records of `prefix` that all `consumers` carried and that are older than `before`; how many."""
        done = [self._view.positions(consumer) for consumer in consumers]
        gone, total = [], 0
        with self.transaction() as txn:
            for topic, part in self._view.partitions(prefix):
                carried = min((offsets.get((topic, part), 0) for offsets in done), default=0)
                last, position, count = self._view.cut(topic, part, carried, before)
                if count:
                    txn.trim(topic, part, last)
                    gone.append(TopicPartition(self._cluster.topic(topic), part, position + 1))
                    total += count
        # Nobody reads them any more; what cannot be deleted now, the next trim takes with it.
        for place in gone:
            patiently(
                self._admin, place.topic, "deleting carried records", ASK_S,
                lambda place=place: self._admin.delete_records([place])[place].result(),
            )  # fmt: skip
        return total

    def check(self) -> list[str]:
        """What is wrong with the log; empty when nothing is. Every record is fetched and compared with its checksum."""
        problems = [f"view: {told}" for told in self._view.harm()]
        after = 0
        while placed := self._view.page("", after, 1):
            after = placed[0].offset
            try:
                self._bodies.fetch(placed)
            except CorruptRecord as error:
                problems.append(f"record {after}: {error}")
        return problems

    def news(self) -> int:
        """The journal tells of records, not of offsets: nothing to count, see `wait`."""
        return 0

    def wait(self, timeout_s: float, beyond: int | None = None) -> None:
        """Return when any process has appended something, or after `timeout_s`; soon, where offsets may have moved."""
        self._tail.wait(timeout_s if beyond is None else min(timeout_s, _LOOK_S))

    def visited(self) -> bool:
        """Others write to a cluster at any time."""
        return True

    def wake(self) -> None:
        """Whoever waits looks again soon."""

    def trouble(self) -> str:
        """Why the log does not follow the cluster now; empty when it does."""
        return self._tail.trouble or self._silent()

    def held(self, consumer: str) -> int | None:
        """How many partitions of a shared consumer this process carries; None where it is not shared."""
        member = self._members.get(consumer)
        return member.held if member else None

    def close(self) -> None:
        """Leave the groups and close every connection. Reading or writing afterwards raises WorkspaceError."""
        for member in self._members.values():
            member.close()
        with self._lock:
            self._tail.close()
            self._writer.close()
            self._bodies.close()
            self._view.close()
            self._slot.free()

    def _commit(self, txn: KafkaTxn, mark: int) -> None:
        """End the transaction and read it back; whoever changed what it went by makes it void."""
        try:
            self._writer.commit()
        except UnknownOutcome as unknown:
            if not self._read_back(mark):
                raise unavailable("ending a transaction", str(unknown)) from unknown
        refused = self._tail.settle(mark, _SETTLE_S)
        if refused:
            raise NotOurs(f"the transaction was left out: {refused}; it is done again from where the other one ended")
        for move in txn.moves:
            self._believed[move.consumer, move.topic, move.partition] = max(move.offset, move.before)

    def _read_back(self, mark: int) -> bool:
        """Whether a transaction of unknown outcome was committed. Opening the producer again settles it."""
        self._writer.ready()
        self._tail.catch_up(_SETTLE_S)
        return self._view.verdict(mark) is not None

    def _send_offsets(self, txn: KafkaTxn) -> None:
        for name, member in self._members.items():
            moved = [move for move in txn.moves if move.consumer == name]
            if not moved:
                continue
            if any(not member.owns(move.topic, move.partition) for move in moved):
                raise NotOurs(f"another process carries {moved[0].topic} for {name} now")
            places = [(one.topic, one.partition, self._position(one.topic, one.offset)) for one in moved]
            if member.alone:
                continue
            known = [(topic, part, at) for topic, part, at in places if at is not None]
            if known:
                self._writer.offsets(member.places(known), member.membership)

    def _position(self, topic: str, offset: int) -> int | None:
        placed = self._view.at(offset)
        return placed.position if placed is not None and placed.topic == topic else None

    def _partitions(self, consumer: str, topic: str) -> Iterable[int]:
        member = self._members.get(consumer)
        if member is None or (member.alone and member.held):
            return range(self._topics.partitions(topic))
        held = member.partitions(topic)
        if not held:
            raise NotOurs(f"another process carries {topic} for {consumer} now")
        return held

    def _owns(self, consumer: str) -> Callable[[str, int], bool]:
        member = self._members.get(consumer)
        return member.owns if member else _all

    def _silent(self) -> str:
        """Asks the brokers at most every few seconds: a frozen broker keeps its connections and says nothing."""
        if time.monotonic() > self._asked_s + _ASK_EVERY_S:
            try:
                self._tail.end(_ANSWER_S)
                self._silence = ""
            except LogUnavailable as error:
                self._silence = str(error)
            self._asked_s = time.monotonic()
        return self._silence

    def _gained(self) -> None:
        self._tail.catch_up(_SETTLE_S)

    def _adopt(self) -> None:
        """Begin the view anew where it was made from another journal."""
        cluster = self._admin.list_topics(timeout=ASK_S).cluster_id
        known = self._view.fact("cluster")
        if known and (known != cluster or self._tail.end() < self._tail.resume):
            self._view.forget()
        self._view.note(cluster=cluster, node=self._view.fact("node") or uuid.uuid4().hex[:12])


def _all(topic: str, partition: int) -> bool:
    return True
