"""Where a raw archive keeps its bytes: each store's own way to look at them, and to harm them, behind its back."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from carbon254.stores.raw import RawArchive, open_raw
from carbon254.stores.raw.bucket import Bucket


class Kept(Protocol):
    """The objects of one archive by payload and suffix."""

    def opened(self) -> RawArchive: ...
    def read(self, sha256: str, suffix: str = ".zst") -> bytes: ...
    def write(self, sha256: str, data: bytes, suffix: str = ".zst") -> None: ...
    def drop(self, sha256: str, suffix: str = ".zst") -> None: ...


class InFolder:
    """Objects that are files."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def opened(self) -> RawArchive:
        return open_raw(self._root)

    def read(self, sha256: str, suffix: str = ".zst") -> bytes:
        return self._path(sha256, suffix).read_bytes()

    def write(self, sha256: str, data: bytes, suffix: str = ".zst") -> None:
        self._path(sha256, suffix).write_bytes(data)

    def drop(self, sha256: str, suffix: str = ".zst") -> None:
        self._path(sha256, suffix).unlink()

    def _path(self, sha256: str, suffix: str) -> Path:
        return self._root / sha256[:2] / f"{sha256}{suffix}"


class InBucket:
    """Objects of an S3 service."""

    def __init__(self, url: str, endpoint: str) -> None:
        self._url, self._endpoint = url, endpoint
        self._bucket = Bucket(url, endpoint)

    def opened(self) -> RawArchive:
        return open_raw(self._url, self._endpoint)

    def read(self, sha256: str, suffix: str = ".zst") -> bytes:
        found = self._bucket.get(f"{sha256[:2]}/{sha256}{suffix}")
        assert found is not None
        return found[0]

    def write(self, sha256: str, data: bytes, suffix: str = ".zst") -> None:
        self._bucket.put(f"{sha256[:2]}/{sha256}{suffix}", bytes(data), over=None)

    def drop(self, sha256: str, suffix: str = ".zst") -> None:
        self._bucket.drop(f"{sha256[:2]}/{sha256}{suffix}")
