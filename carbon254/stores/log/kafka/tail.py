"""Following the journal: each committed transaction goes into the view, in the order of the opening marks.

A mark pins what readers of committed messages see, so a later transaction is never seen before an earlier one has
ended. Their manifests may still come in another order; they wait here for those opened before them.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import structlog
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # pyright: ignore[reportPrivateImportUsage]

from carbon254.errors import TransientError, WorkspaceError

from .cluster import ASK_S, Cluster, Told, patiently, unavailable
from .manifest import OPENING, Manifest, decode
from .view import View

_LATEST: OffsetSpec = OffsetSpec.latest()  # pyright: ignore[reportAssignmentType]
_BATCH, _POLL_S, _AGAIN_S = 500, 0.2, 1.0


class Tail:
    """A thread that keeps the view up with the journal."""

    def __init__(self, cluster: Cluster, admin: AdminClient, view: View) -> None:
        self._cluster, self._admin, self._view, self._told = cluster, admin, view, Told()
        self._news = threading.Condition()
        self._records, self._closed = 0, threading.Event()
        self._waiting: dict[int, Manifest | None] = {}
        self._consumer = self._connect()
        self._thread = threading.Thread(target=self._run, name="c254-journal", daemon=True)
        self.trouble = ""

    def start(self) -> None:
        """Follow from where the view is."""
        self._begin()
        self._thread.start()

    def catch_up(self, timeout_s: float = ASK_S) -> None:
        """Return when everything committed before this call is in the view. Raises LogUnavailable."""
        end = self.end(timeout_s)
        limit = time.monotonic() + timeout_s
        with self._news:
            while self.resume < end:
                if not self._news.wait(min(0.5, max(0.0, limit - time.monotonic()))) and time.monotonic() > limit:
                    raise unavailable("following the journal", self.trouble or "a transaction is still open")

    def settle(self, mark: int, timeout_s: float) -> str:
        """The verdict on a transaction, once it is in the view. Raises LogUnavailable where it does not come."""
        limit = time.monotonic() + timeout_s
        with self._news:
            while (verdict := self._view.verdict(mark)) is None:
                if time.monotonic() > limit:
                    raise unavailable("reading a transaction back", self.trouble or "it is not in the journal")
                self._news.wait(0.25)
        return verdict

    def wait(self, timeout_s: float) -> None:
        """Return when records came, or after `timeout_s`."""
        with self._news:
            seen, limit = self._records, time.monotonic() + timeout_s
            while self._records == seen and (left := limit - time.monotonic()) > 0:
                self._news.wait(left)

    @property
    def resume(self) -> int:
        return int(self._view.fact("resume") or 0)

    def end(self, timeout_s: float = ASK_S) -> int:
        """Where the journal's committed messages end now."""
        place = TopicPartition(self._cluster.journal, 0)

        def ask() -> int:
            asked = self._admin.list_offsets(
                {place: _LATEST}, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=timeout_s
            )
            offset = asked[place].result().offset
            if offset < 0:
                # Where nobody answered in time, the client gives no error and no offset either.
                raise KafkaException(KafkaError(KafkaError._NOENT, "no answer in time"))
            return offset

        return patiently(self._admin, self._cluster.journal, "asking for the end of the journal", timeout_s, ask)

    def close(self) -> None:
        """Stop following."""
        self._closed.set()
        if self._thread.ident:
            self._thread.join()
        self._consumer.close()

    def _connect(self) -> Consumer:
        return Consumer(
            self._cluster.config(
                **{
                    "group.id": f"{self._cluster.group}.journal",
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "error",
                    "check.crcs": True,
                    "fetch.wait.max.ms": 10,
                    "enable.partition.eof": True,
                    "queued.max.messages.kbytes": 32_768,
                    "error_cb": self._told.hear,
                }
            )
        )

    def _begin(self) -> None:
        self._waiting.clear()
        self._consumer.assign([TopicPartition(self._cluster.journal, 0, self.resume)])

    def _run(self) -> None:
        journal = structlog.get_logger().bind(room="log")
        while not self._closed.is_set():
            try:
                first = self._consumer.poll(_POLL_S)
                if first is not None:
                    self._take([first, *self._consumer.consume(_BATCH, 0)])
            except (KafkaException, TransientError, WorkspaceError) as error:
                if self.trouble != str(error):
                    journal.warning("the journal cannot be followed; it is tried again", error=str(error))
                self.trouble = str(error)
                self._closed.wait(_AGAIN_S)
                with suppress(KafkaException, WorkspaceError):
                    self._begin()

    def _take(self, messages: list[Message]) -> None:
        resume = 0
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    # Markers of transactions take places of their own: the end of the journal is beyond its messages.
                    resume = max(resume, message.offset() or 0)
                    continue
                if error.code() == KafkaError._AUTO_OFFSET_RESET:
                    raise WorkspaceError(
                        f"the journal {self._cluster.journal} no longer holds what this view needs; give it "
                        "retention.ms=-1 (c254 bootstrap does)"
                    )
                raise KafkaException(error)
            place = message.offset() or 0
            self._enter(place, message)
            resume = place + 1
        self.trouble = ""
        self._apply(resume)

    def _enter(self, place: int, message: Message) -> None:
        if message.key() == OPENING:
            self._waiting[place] = None
            return
        manifest = decode(message.value() or b"")
        self._waiting[place if manifest.mark is None else manifest.mark] = manifest

    def _apply(self, resume: int) -> None:
        done: list[tuple[int, Manifest]] = []
        for place in sorted(self._waiting):
            manifest = self._waiting[place]
            if manifest is None:
                resume = place
                break
            done.append((place, manifest))
        fresh = self._view.apply(done, resume)
        for place, _ in done:
            del self._waiting[place]
        with self._news:
            self._records += fresh
            self._news.notify_all()
