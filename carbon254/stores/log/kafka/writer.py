"""The transactional producer: one open transaction at a time, and what to do when its end is not known.

Its transactional id belongs to this process's place in the workspace: a process that starts there ends what the one
before left open, and fences it off. After any error that is not plainly "not written" the producer is made anew, which
settles what was open, and whoever asked reads back what became of it.
"""

from __future__ import annotations

import fcntl
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from .cluster import LARGEST, Cluster, LogUnavailable, Told, cause, unavailable

_STEP_S = 5.0
_SLOTS = 64
_QUEUE_KB = 131_072


class UnknownOutcome(Exception):
    """Whether the transaction was committed is known only after reading back."""


class NotOurs(LogUnavailable):
    """The transaction was refused because another process has taken over what it was working on."""


class Slot:
    """A place among the processes of a workspace: the lowest free number, held as long as the process lives."""

    def __init__(self, folder: Path) -> None:
        for number in range(_SLOTS):
            held = (folder / f"writer-{number}").open("a+")
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                held.close()
                continue
            self.number, self._held = number, held
            return
        raise LogUnavailable(f"{_SLOTS} processes write from {folder} already; stop one")

    _held: IO[str]

    def free(self) -> None:
        """Give the place up."""
        self._held.close()


class Writer:
    """Produces messages in transactions."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self._name = cluster, name
        self._producer: Producer | None = None
        self._told = Told()
        self._failed: KafkaError | None = None
        self._open = False

    def ready(self) -> bool:
        """Have a producer; whether it is fresh, so that anything may have happened before. Raises LogUnavailable."""
        if self._producer is not None:
            return False
        producer = Producer(
            self._cluster.config(
                **{
                    "transactional.id": self._name,
                    "transaction.timeout.ms": int(self._cluster.transaction_s * 1000),
                    "compression.type": "zstd",
                    "linger.ms": 0,
                    # A partition that knows nothing of this producer takes any first batch: were two under way, the
                    # second could come before a first that is tried again, which would then be taken for a repeat.
                    "max.in.flight.requests.per.connection": 1,
                    "message.max.bytes": LARGEST,
                    "queue.buffering.max.kbytes": _QUEUE_KB,
                    "error_cb": self._told.hear,
                }
            )
        )
        try:
            producer.init_transactions(_STEP_S * 2)
        except KafkaException as error:
            raise unavailable("opening a transactional producer", error) from error
        self._producer = producer
        return True

    def begin(self) -> None:
        """Open a transaction, unless one is open."""
        if not self._open:
            self._failed = None
            try:
                self._ours.begin_transaction()
            except KafkaException as error:
                self._drop()
                raise unavailable("beginning a transaction", error) from error
            self._open = True

    def send(
        self,
        topic: str,
        value: bytes,
        key: bytes | None = None,
        partition: int = 0,
        headers: Sequence[tuple[str, Any]] = (),
        placed: Callable[[int], None] | None = None,
    ) -> None:
        """Queue a message; `placed` is told its position. Waits while the queue is full, which bounds memory."""

        def report(error: KafkaError | None, message: Message) -> None:
            at = message.offset()
            if error is not None:
                self._failed = error
            elif at is None or at < 0:
                self._failed = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "the broker gave a record no place")
            elif placed is not None:
                placed(at)

        limit = time.monotonic() + self._cluster.transaction_s
        while True:
            try:
                self._ours.produce(
                    topic, value, key, partition=partition, headers=list(headers), on_delivery=report,
                )  # fmt: skip
                return
            except BufferError:
                if time.monotonic() > limit:
                    raise unavailable("writing", "the broker takes nothing") from None
                self._ours.poll(0.1)
            except KafkaException as error:
                raise unavailable(f"writing to {topic}", error) from error

    def flush(self) -> None:
        """Wait until everything queued has a place. Raises LogUnavailable."""
        left = self._ours.flush(self._cluster.transaction_s)
        if self._failed is not None or left:
            told = self._failed.str() if self._failed is not None else self._told.last or "no answer in time"
            raise unavailable("writing", told)

    def offsets(self, places: Sequence[TopicPartition], membership: object) -> None:
        """Commit a group's offsets with the transaction.

        Raises NotOurs where the group has gone on without us, LogUnavailable where its coordinator does not answer.
        """
        producer, answers = self._ours, queue.SimpleQueue[KafkaException | None]()

        def send() -> None:
            try:
                answers.put(producer.send_offsets_to_transaction(list(places), membership, _STEP_S))
            except KafkaException as error:
                answers.put(error)

        # The client forgets its own limit where the group's coordinator went away and came back (librdkafka 5456), so
        # that the limit is ours, and a producer that does not come back is left to itself.
        threading.Thread(target=send, name="c254-offsets", daemon=True).start()
        try:
            error = answers.get(timeout=_STEP_S + 1.0)
        except queue.Empty:
            self._producer, self._open = None, False
            raise unavailable("committing a group's offsets", "no answer in time") from None
        if error is not None:
            raise NotOurs(f"Kafka: the partitions are carried by another process now: {cause(error).str()}") from error

    def commit(self) -> None:
        """End the transaction. Raises LogUnavailable where nothing of it counts, UnknownOutcome where it may."""
        limit = time.monotonic() + self._cluster.transaction_s + _STEP_S
        while True:
            try:
                self._ours.commit_transaction(_STEP_S)
                self._open = False
                return
            except KafkaException as error:
                told = cause(error)
                if told.retriable() and time.monotonic() < limit:
                    continue
                if told.txn_requires_abort():
                    self.abort()
                    raise unavailable("ending a transaction", error) from error
                self._drop()
                raise UnknownOutcome(told.str()) from error

    def abort(self) -> None:
        """Undo what is open. The broker does so by itself where it cannot be told."""
        if not self._open or self._producer is None:
            return
        self._open = False
        try:
            self._producer.purge()
            self._producer.abort_transaction(_STEP_S)
        except KafkaException:
            self._drop()

    def close(self) -> None:
        """Undo what is open, and end."""
        self.abort()
        self._drop()

    def _drop(self) -> None:
        producer, self._producer, self._open = self._producer, None, False
        if producer is not None:
            with suppress(KafkaException):
                producer.purge()

    @property
    def _ours(self) -> Producer:
        if self._producer is None:
            raise LogUnavailable("Kafka: the producer has to be opened again")
        return self._producer
