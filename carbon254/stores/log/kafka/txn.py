"""An open transaction: records go out as they are appended, the rest with the manifest at its end."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from ..port import Letter, NewRecord, Published
from .manifest import DONE, MOST_RECORDS, OPENING, Manifest, Move, Placed, offset_of
from .messages import headers_of, letter_headers
from .topics import Topics
from .view import View
from .writer import Writer


class KafkaTxn:
    """Outputs, offsets, state and letters of one transaction."""

    def __init__(
        self,
        writer: Writer,
        topics: Topics,
        view: View,
        believed: Mapping[tuple[str, str, int], int],
        owned: Callable[[str, str], Iterable[int]],
    ) -> None:
        self._writer, self._topics, self._view, self._believed, self._owned = writer, topics, view, believed, owned
        self._places: dict[int, int] = {}
        self._keys: dict[tuple[str, str], int] = {}
        self._states: dict[tuple[str, str], bytes] = {}
        self._reads: dict[tuple[str, str], int] = {}
        self._moves: dict[tuple[str, str, int], Move] = {}
        self.manifest = Manifest()

    def append(self, records: Iterable[NewRecord]) -> list[int]:
        """Offsets of the records; of the stored one where (topic, key) is already there. Raises LogUnavailable."""
        return [self._append(record) for record in records]

    def _append(self, record: NewRecord) -> int:
        if record.key is not None:
            found = self._keys.get((record.topic, record.key)) or self._view.offset_of_key(record.topic, record.key)
            if found is not None:
                return found
        offset = self._next()
        if record.key is not None:
            self._keys[record.topic, record.key] = offset
        count = self._topics.partitions(record.topic)
        partition = (zlib.crc32(record.key.encode()) if record.key else self.manifest.mark or 0) % count
        placed = Placed(offset, record.topic, partition, -1, record.key, time.time())
        self.manifest.records.append(placed)
        self._send(record.topic, record.body, record.key, partition, headers_of(record, offset), offset)
        return offset

    def _next(self) -> int:
        """The next offset. The first needs the opening mark's place, so it waits for the broker."""
        if self.manifest.mark is None:
            self._writer.begin()
            self._writer.send(self._topics.journal, b"", OPENING, placed=lambda at: self._places.__setitem__(-1, at))
            self._writer.flush()
            self.manifest.mark = self._places[-1]
        number = len(self.manifest.records)
        if number >= MOST_RECORDS:
            raise ValueError(f"a transaction holds {MOST_RECORDS} records; append the rest in another")
        return offset_of(self.manifest.mark, number)

    def _send(
        self, topic: str, body: bytes, key: str | None, partition: int, headers: list[tuple[str, bytes]], offset: int
    ) -> None:
        self._writer.send(
            self._topics.name(topic), body, key.encode() if key else None, partition, headers,
            lambda at: self._places.__setitem__(offset, at),
        )  # fmt: skip

    def commit(self, consumer: str, topic: str, offset: int) -> None:
        """Move a consumer's offset forward in its partitions of the topic; never back. Raises NotOurs."""
        for partition in self._owned(consumer, topic):
            place = consumer, topic, partition
            before = self._believed.get(place)
            if before is None:
                before = self._view.positions(consumer).get((topic, partition), 0)
            earlier = self._moves.get(place)
            furthest = max(offset, earlier.offset if earlier else 0)
            self._moves[place] = Move(consumer, topic, partition, furthest, before)

    def put_state(self, scope: str, key: str, value: bytes) -> None:
        """Keep a value by scope and key."""
        self._states[scope, key] = value

    def get_state(self, scope: str, key: str) -> bytes | None:
        """The value of this transaction's view; the transaction counts only if nobody changes it meanwhile."""
        if (scope, key) in self._states:
            return self._states[scope, key]
        value, version = self._view.state(scope, key)
        self._reads.setdefault((scope, key), version)
        return value

    def add_letter(self, letter: Letter) -> None:
        """Keep a letter, in its topic too; one that is already there stays as it is."""
        if self._view.has_letter(letter):
            return
        self._writer.begin()
        told = asdict(letter) | {"received_at": letter.received_at.isoformat()}
        self.manifest.letters.append(told)
        partition = zlib.crc32(letter.payload.encode()) % self._topics.partitions(letter.topic)
        name = self._topics.name(letter.topic)
        self._writer.send(name, letter.raw.encode(), letter.payload.encode(), partition, letter_headers(letter))

    def resolve_letters(self, ids: Sequence[int], how: str) -> None:
        """Mark letters as resolved."""
        if ids:
            self.manifest.resolved.append((list(ids), how))

    def publish(self, messages: Iterable[Published]) -> None:
        """Write messages for readers outside; they see them once it is committed. Raises LogUnavailable."""
        for one in messages:
            self._writer.begin()
            self.manifest.published += 1
            headers = [(name, value.encode()) for name, value in one.headers.items()]
            partition = zlib.crc32(one.key or b"") % self._topics.partitions(one.topic)
            self._writer.send(self._topics.name(one.topic), one.value, one.key, partition, headers)

    def trim(self, topic: str, partition: int, last: int) -> None:
        """Leave out records of a partition up to an offset."""
        self.manifest.trims.append((topic, partition, last))

    @property
    def moves(self) -> Iterable[Move]:
        return self._moves.values()

    def seal(self) -> int | None:
        """Write the manifest; returns its mark, or None where there is nothing to commit. Raises LogUnavailable."""
        manifest = self.manifest
        manifest.states = [(*place, value) for place, value in self._states.items()]
        manifest.reads = [(*place, version) for place, version in self._reads.items()]
        manifest.moves = list(self._moves.values())
        if manifest.idle:
            return None
        self._writer.begin()
        self._writer.flush()
        manifest.records = [replace(one, position=self._places[one.offset]) for one in manifest.records]
        self._writer.send(
            self._topics.journal, manifest.encode(), DONE, placed=lambda at: self._places.__setitem__(-2, at)
        )
        self._writer.flush()
        return self._places[-2] if manifest.mark is None else manifest.mark
