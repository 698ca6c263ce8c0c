"""The raw archive on S3: the same names and the same bytes as in a folder, so that one can be copied onto the other.

    prefix/ab/abcdef….zst     the bytes, put only if nobody has
    prefix/ab/abcdef….jsonl   where they came from and when; replaced only if nobody changed it meanwhile

A payload is there, by the service's word and with its checksum, before `put` returns.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from carbon254.errors import TransientError

from .archive import RawRef
from .bucket import Bucket
from .notes import Provenance, arrivals, line, whole
from .packing import is_whole, packed, unpack

# An upload older than this is nobody's any more.
_ABANDONED = timedelta(days=1)
_TURNS = 100


class S3Archive:
    """See `archive.RawArchive`. Raises TransientError where the service does not answer."""

    def __init__(self, url: str, endpoint: str = "") -> None:
        self._bucket = Bucket(url, endpoint)

    def put(self, data: bytes, provenance: Provenance) -> RawRef:
        """Store a payload and note its arrival; both are stored when this returns.

        The same bytes again add only a line of provenance, and mend an object that was damaged since.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        told, name = line(provenance, sha256), _name(sha256)
        found = self._bucket.get(name)
        if found is None:
            self._bucket.put(name, packed(data))
        elif not is_whole(io.BytesIO(found[0]), sha256):
            self._bucket.put(name, packed(data), over=None)
        self._note(_journal(sha256), told)
        return RawRef(sha256, len(data))

    def get(self, sha256: str) -> bytes:
        """The payload's bytes. Raises KeyError where there is none, CorruptPayload where they changed."""
        found = self._bucket.get(_name(sha256))
        if found is None:
            raise KeyError(f"the raw archive has no payload {sha256}")
        return unpack(io.BytesIO(found[0]), sha256, self._bucket.shown(_name(sha256)))

    def provenance(self, sha256: str) -> list[Provenance]:
        """Every arrival of the payload, first first; none where a crash came between the bytes and the note.

        Raises KeyError where there is no payload, CorruptPayload where a line was damaged.
        """
        found = self._bucket.get(_journal(sha256))
        if found is not None:
            return arrivals(found[0], sha256, self._bucket.shown(_journal(sha256)))
        if sha256 not in self:
            raise KeyError(f"the raw archive has no payload {sha256}")
        return []

    def ids(self) -> Iterator[str]:
        """Every payload's SHA-256."""
        for name in self._bucket.names():
            if name.endswith(".zst"):
                yield name.rpartition("/")[2].removesuffix(".zst")

    def __contains__(self, sha256: str) -> bool:
        return self._bucket.has(_name(sha256))

    def sweep(self) -> int:
        """Give up uploads that a crash left half done; how many. Those of the last day may still be going on."""
        return self._bucket.abort_uploads(datetime.now(UTC) - _ABANDONED)

    def _note(self, name: str, told: bytes) -> None:
        """Add a line that is not there yet, whoever else adds one now."""
        for _ in range(_TURNS):
            held, version = self._bucket.get(name) or (b"", "")
            kept = whole(held)
            if told in kept.splitlines(keepends=True) or self._bucket.put(name, kept + told, over=version):
                return
        raise TransientError(f"{self._bucket.shown(name)} is changed by others all the time")


def _name(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}.zst"


def _journal(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}.jsonl"
