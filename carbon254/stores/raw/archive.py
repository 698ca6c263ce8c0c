"""The raw archive: every payload as it came, compressed, named by its SHA-256, never changed.

    ab/abcdef….zst     the bytes
    ab/abcdef….jsonl   where they came from and when, a line an arrival

A payload is written to a temporary file, synced, renamed, and its folder synced, before `put` returns. Reading checks
the bytes against their name. A later store on S3 keeps the same names.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import orjson
import zstandard

from carbon254.errors import CorruptPayload

_LEVEL = 3
_CHUNK = 4 << 20
_LARGE = 8 << 20


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


@dataclass(frozen=True, slots=True)
class RawRef:
    """A stored payload."""

    sha256: str
    size: int


class RawArchive(Protocol):
    """Payloads by their SHA-256. `put` returns once they are on disk; `get` never returns other bytes than came in."""

    def put(self, data: bytes, provenance: Provenance) -> RawRef: ...
    def get(self, sha256: str) -> bytes: ...
    def provenance(self, sha256: str) -> list[Provenance]: ...
    def ids(self) -> Iterator[str]: ...
    def __contains__(self, sha256: str) -> bool: ...
    def sweep(self) -> int: ...


class FolderArchive:
    """The archive in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes, provenance: Provenance) -> RawRef:
        """Store a payload and note its arrival. The same bytes again add only a line of provenance."""
        sha256 = hashlib.sha256(data).hexdigest()
        target = self._path(sha256)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            self._write(target, data)
        line = orjson.dumps(asdict(provenance)) + b"\n"
        journal = target.with_suffix(".jsonl")
        if not journal.exists() or line not in journal.read_bytes():
            _append(journal, line)
        return RawRef(sha256, len(data))

    def get(self, sha256: str) -> bytes:
        """The payload's bytes. Raises KeyError where there is none, CorruptPayload where they changed."""
        path = self._path(sha256)
        if not path.exists():
            raise KeyError(f"the raw archive has no payload {sha256}")
        try:
            with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
                data = stream.read()
        except zstandard.ZstdError as error:
            raise CorruptPayload(f"payload {sha256} cannot be unpacked: {error}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise CorruptPayload(f"payload {sha256} does not match its name; restore {path} from a backup")
        return data

    def provenance(self, sha256: str) -> list[Provenance]:
        """Every arrival of the payload, first first."""
        journal = self._path(sha256).with_suffix(".jsonl")
        return [_provenance(orjson.loads(line)) for line in journal.read_bytes().splitlines()]

    def ids(self) -> Iterator[str]:
        """Every payload's SHA-256."""
        yield from (path.stem for path in sorted(self._root.glob("*/*.zst")))

    def __contains__(self, sha256: str) -> bool:
        return self._path(sha256).exists()

    def sweep(self) -> int:
        """Remove temporary files that a crash left; how many."""
        orphans = list(self._root.glob("*/*.tmp"))
        for orphan in orphans:
            orphan.unlink()
        return len(orphans)

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / f"{sha256}.zst"

    def _write(self, target: Path, data: bytes) -> None:
        partial = target.with_suffix(f".{os.getpid()}.{os.urandom(4).hex()}.tmp")
        threads = 2 if len(data) > _LARGE else 0
        with partial.open("wb") as file:
            compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=threads)
            with compressor.stream_writer(file, size=len(data), closefd=False) as stream:
                view = memoryview(data)
                for start in range(0, len(data), _CHUNK):
                    stream.write(view[start : start + _CHUNK])
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        _sync_folder(target.parent)


def open_raw(root: Path) -> FolderArchive:
    """The archive in the folder `root`, made where there is none."""
    return FolderArchive(root)


def _append(journal: Path, line: bytes) -> None:
    fresh = not journal.exists()
    with journal.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if fresh:
        _sync_folder(journal.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _provenance(raw: dict[str, Any]) -> Provenance:
    found = Provenance(**{**raw, "received_at": datetime.fromisoformat(raw["received_at"])})
    stamp = raw.get("published_at")
    return replace(found, published_at=datetime.fromisoformat(stamp) if stamp else None)
