"""Where a payload came from and when: a line an arrival, each with a checksum over it and the payload it belongs to."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

import orjson

from carbon254.errors import CorruptPayload

_CRC = b',"crc":'


@dataclass(frozen=True, slots=True)
class Provenance:
    """One arrival of a payload."""

    feed: str
    url: str
    name: str
    subject: str
    received_at: datetime
    published_at: datetime | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)


def line(provenance: Provenance, sha256: str) -> bytes:
    """The arrival as a line. Raises TypeError where a header cannot be written."""
    facts = {one.name: getattr(provenance, one.name) for one in fields(provenance)}
    told = orjson.dumps(facts | {"headers": dict(provenance.headers)})
    return told[:-1] + _CRC + b"%d}\n" % zlib.crc32(told, zlib.crc32(sha256.encode()))


def arrivals(journal: bytes, sha256: str, place: str) -> list[Provenance]:
    """Every arrival, first first. Raises CorruptPayload where a line was damaged."""
    try:
        return [_read(one, sha256) for one in whole(journal).splitlines()]
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptPayload(f"the provenance of {sha256} was damaged; restore {place} from a backup") from error


def whole(journal: bytes) -> bytes:
    """The finished lines: one without its end was never acknowledged."""
    return journal[: journal.rfind(b"\n") + 1]


def _read(line: bytes, sha256: str) -> Provenance:
    """The arrival of a line. Raises ValueError where the line was changed; older lines carry no checksum."""
    told, marked, crc = line.rpartition(_CRC)
    if marked and int(crc[:-1]) != zlib.crc32(told + b"}", zlib.crc32(sha256.encode())):
        raise ValueError("the line does not match its checksum")
    raw: dict[str, Any] = orjson.loads(told + b"}" if marked else line)
    found = Provenance(**{**raw, "received_at": datetime.fromisoformat(raw["received_at"])})
    stamp = raw.get("published_at")
    return replace(found, published_at=datetime.fromisoformat(stamp) if stamp else None)
