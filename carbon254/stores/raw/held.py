"""An archive with one payload in memory: whoever has just read it need not read it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .archive import RawArchive, RawRef
from .notes import Provenance


@dataclass(frozen=True, slots=True)
class Held:
    """`data` is the payload `sha256` of the archive `behind`, read and checked."""

    behind: RawArchive
    sha256: str
    data: bytes

    def put(self, data: bytes, provenance: Provenance) -> RawRef:
        return self.behind.put(data, provenance)

    def get(self, sha256: str) -> bytes:
        return self.data if sha256 == self.sha256 else self.behind.get(sha256)

    def provenance(self, sha256: str) -> list[Provenance]:
        return self.behind.provenance(sha256)

    def ids(self) -> Iterator[str]:
        return self.behind.ids()

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self.behind

    def sweep(self) -> int:
        return self.behind.sweep()
