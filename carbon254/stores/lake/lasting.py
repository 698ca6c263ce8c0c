"""Files of the lake that outlive a power cut: on disk, by their name, before a commit names them.

The library writes files and then makes the catalog point at them. The catalog's database syncs; plain files do not, so
that a power cut could leave a table whose newest metadata is empty, and with it every row unreadable. Here a file is
synced when it is closed, and its folder after it. Only local folders need this; other places are left to the library.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import cast

from pyiceberg.io import OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.typedef import EMPTY_DICT, Properties

from carbon254.lasting import make_folder, sync_folder

from .noting import NotingFile, NotingFileIO
from .places import path_of


class LastingFileIO(NotingFileIO):
    """The library's own file access, in the folder that was opened, with files that are synced before they count."""

    @staticmethod
    def parse_location(location: str, properties: Properties = EMPTY_DICT) -> tuple[str, str, str]:
        """Scheme, host and path of a location; see `places`. Raises WorkspaceError for one outside the folder."""
        path = path_of(location, properties)
        return PyArrowFileIO.parse_location(location, properties) if path is None else ("file", "", str(path))

    def new_output(self, location: str) -> PyArrowFile:
        """A file to write; see `LastingFile`."""
        scheme, place, path = self.parse_location(location, self.properties)
        if scheme != "file":
            return super().new_output(location)
        return LastingFile(location, path, self.fs_by_scheme(scheme, place), self.digests)


class LastingFile(NotingFile):
    """A local file that is on disk once its stream is closed."""

    def _stream(self, overwrite: bool) -> OutputStream:
        path = Path(self._path)
        make_folder(path.parent)
        # The protocol names the arguments of `__exit__` otherwise than the standard library does.
        return cast(OutputStream, _Stream(io.FileIO(path, "wb" if overwrite else "xb")))


class _Stream(io.BufferedWriter):
    """Closing syncs the file and then its folder."""

    def close(self) -> None:
        if self.closed:
            return
        path = Path(self.name)
        try:
            self.flush()
            os.fsync(self.fileno())
        finally:
            super().close()
        sync_folder(path.parent)
