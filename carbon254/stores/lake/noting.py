"""Digests of files while they are written: what was handed over is what is noted, and nothing is read again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from types import TracebackType
from typing import Any

from pyarrow.fs import FileSystem
from pyiceberg.io import OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

# A digest is taken by whoever seals the commit; files of commits that died wait for nobody.
_MOST = 20_000


class Digests:
    """SHA-256 of files this process wrote lately, by location; hexadecimal."""

    def __init__(self) -> None:
        self._noted: OrderedDict[str, str] = OrderedDict()

    def note(self, location: str, digest: str) -> None:
        """Keep the digest of a whole file."""
        self._noted[location] = digest
        while len(self._noted) > _MOST:
            self._noted.popitem(last=False)

    def take(self, location: str) -> str:
        """The digest of a file, once; empty where this process did not write it."""
        return self._noted.pop(location, "")


class Digesting(OutputStream):
    """A stream that notes the digest of what went through it, once it is closed without an error."""

    def __init__(self, stream: OutputStream, location: str, digests: Digests) -> None:
        self._stream, self._location, self._digests = stream, location, digests
        self._whole, self._size, self._closed, self._failed = hashlib.sha256(), 0, False, False

    def write(self, b: Any) -> int:
        """Write bytes, all of them."""
        data = memoryview(b)
        try:
            self._stream.write(data)  # pyright: ignore[reportArgumentType]
        except BaseException:
            self._failed = True
            raise
        self._whole.update(data)
        self._size += data.nbytes
        return data.nbytes

    def tell(self) -> int:
        """Bytes written so far."""
        return self._size

    def flush(self) -> None:
        """Nothing: what counts is closing."""

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._closed

    def writable(self) -> bool:
        """True."""
        return True

    def readable(self) -> bool:
        """False."""
        return False

    def seekable(self) -> bool:
        """False."""
        return False

    def close(self) -> None:
        """Close the stream, and note what it came to."""
        if self._closed:
            return
        self._closed = True
        self._stream.close()
        if not self._failed:
            self._digests.note(self._location, self._whole.hexdigest())

    def __enter__(self) -> Digesting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._failed = self._failed or kind is not None
        self.close()


class NotingFileIO(PyArrowFileIO):
    """The library's own file access, which notes the digest of what it writes where `digests` is set."""

    digests: Digests | None = None

    def new_output(self, location: str) -> PyArrowFile:
        """A file to write."""
        scheme, host, path = self.parse_location(location, self.properties)
        return NotingFile(location, path, self.fs_by_scheme(scheme, host), self.digests)


class NotingFile(PyArrowFile):
    """A file whose digest is noted when its stream is closed."""

    def __init__(self, location: str, path: str, system: FileSystem, digests: Digests | None) -> None:
        super().__init__(location, path, system)
        self._digests = digests

    def create(self, overwrite: bool = False) -> OutputStream:
        """A stream to write. Raises FileExistsError where the file is there and may not be replaced."""
        stream = self._stream(overwrite)
        return stream if self._digests is None else Digesting(stream, self.location, self._digests)

    def _stream(self, overwrite: bool) -> OutputStream:
        return super().create(overwrite)
