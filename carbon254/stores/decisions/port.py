"""A decision, how it is written down, and what a journal of them promises.

The log can be made again from raw payloads, and what people decided cannot: it is written here before it takes effect.
One line of JSON a decision, closed by a CRC-32 of the rest; its id is a hash of what it says, so that writing one down
again changes nothing.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson

from carbon254.errors import CorruptRecord

_CRC = b',"crc":'


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided: its kind (release, resolve, places, …), when, who, and what it is about (JSON)."""

    kind: str
    at: datetime
    who: str
    told: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        """A hash of everything it says, hexadecimal."""
        return hashlib.sha256(_text(self)).hexdigest()


class Journal(Protocol):
    """Decisions in the order in which they were written down."""

    def write(self, decision: Decision) -> None:
        """Write a decision down; on disk when this returns. One that is there already changes nothing."""
        ...

    def every(self) -> list[Decision]:
        """Every decision, first first. Raises CorruptRecord where one was damaged."""
        ...

    def count(self, kinds: Collection[str]) -> int:
        """How many decisions of these kinds there are, without reading what they say."""
        ...


def line(decision: Decision) -> bytes:
    """The decision as a line."""
    text = _text(decision)
    return text[:-1] + _CRC + b"%d}\n" % zlib.crc32(text)


def kind_of(told: bytes) -> str:
    """The kind that a line names; the line is not checked."""
    _, _, rest = told.partition(b'"kind":"')
    return rest.partition(b'"')[0].decode("utf-8", "replace")


def read(told: bytes, place: str) -> Decision:
    """The decision of a line. Raises CorruptRecord."""
    text, marked, crc = told.rstrip(b"\n").rpartition(_CRC)
    try:
        if not marked or int(crc[:-1]) != zlib.crc32(text + b"}"):
            raise ValueError("it does not match its checksum")
        found = orjson.loads(text + b"}")
        return Decision(found["kind"], datetime.fromisoformat(found["at"]), found["who"], found["told"])
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptRecord(f"a decision in {place} was damaged ({error}); restore it from a backup") from error


def _text(decision: Decision) -> bytes:
    facts = {"kind": decision.kind, "at": decision.at.isoformat(), "who": decision.who, "told": decision.told}
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
