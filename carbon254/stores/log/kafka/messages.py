"""A record as a Kafka message: the body as it is, each header as JSON, a checksum over both."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import orjson
from confluent_kafka import Message

from carbon254.errors import CorruptRecord

from ..port import Letter, NewRecord, Record
from .manifest import Placed

_CRC, _OFFSET = "c254.crc", "c254.offset"


def headers_of(record: NewRecord, offset: int) -> list[tuple[str, bytes]]:
    """The message's headers: the record's own, its offset in the log, and the checksum."""
    own = [(name, orjson.dumps(value)) for name, value in record.headers.items()]
    return [*own, (_OFFSET, str(offset).encode()), (_CRC, str(_checksum(own, record.body, offset)).encode())]


def record_of(message: Message, placed: Placed) -> Record:
    """The record of a message. Raises CorruptRecord where it is not the one that was appended there."""
    found: dict[str, bytes] = dict(message.headers() or ())  # type: ignore[arg-type]
    body = message.value() or b""
    crc, offset = found.pop(_CRC, b""), found.pop(_OFFSET, b"")
    whole = offset == str(placed.offset).encode()
    whole = whole and crc == str(_checksum(list(found.items()), body, placed.offset)).encode()
    if not whole:
        raise CorruptRecord(
            f"record {placed.offset} of {placed.topic} does not match its checksum; rebuild it: c254 feeds replay"
        )
    headers = {name: orjson.loads(value) for name, value in found.items()}
    return Record(placed.offset, placed.topic, placed.key, headers, body, placed.appended_s)


def _checksum(headers: list[tuple[str, Any]], body: bytes, offset: int) -> int:
    crc = zlib.crc32(body, offset & 0xFFFFFFFF)
    for name, value in headers:
        crc = zlib.crc32(value, zlib.crc32(name.encode(), crc))
    return crc


def letter_headers(letter: Letter) -> list[tuple[str, bytes]]:
    """A dead letter's headers, as plain text that any tool shows; the message's value is the raw text."""
    told: Mapping[str, object] = {
        "reason": letter.reason,
        "stage": letter.stage,
        "payload": letter.payload,
        "line": "" if letter.line is None else letter.line,
        "parser": letter.parser,
        "received_at": letter.received_at.isoformat(),
    }
    return [(name, str(value).encode()) for name, value in told.items()]
