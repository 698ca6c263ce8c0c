"""Every arrival that an archive knows of, told by the archive alone: the log may be gone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from carbon254.errors import CorruptPayload

from .archive import RawArchive
from .notes import Provenance

# A bucket answers many questions at once.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Arrival:
    """One arrival of a payload."""

    sha256: str
    provenance: Provenance


def arrivals_in(raw: RawArchive, damaged: list[str] | None = None) -> Iterator[Arrival]:
    """Every arrival of every payload, in no order. Payloads whose notes cannot be read go to `damaged`."""

    def told(sha256: str) -> list[Arrival]:
        try:
            return [Arrival(sha256, one) for one in raw.provenance(sha256)]
        except CorruptPayload:
            if damaged is not None:
                damaged.append(sha256)
            return []

    with ThreadPoolExecutor(_AT_ONCE, "c254-arrivals") as pool:
        ids = iter(raw.ids())
        while some := list(islice(ids, 64 * _AT_ONCE)):
            for found in pool.map(told, some):
                yield from found
