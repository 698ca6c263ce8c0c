"""The library's catalog on SQLite, for a lake in a folder that may be moved and copied."""

from __future__ import annotations

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.typedef import EMPTY_DICT, Properties

from .lasting import LastingFileIO
from .noting import Digests


class FolderCatalog(SqlCatalog):
    """What a table says of itself never decides in which folder its files are: the catalog's properties do."""

    def __init__(self, name: str, digests: Digests, **properties: str) -> None:
        self._digests = digests
        super().__init__(name, **properties)

    def _load_file_io(self, properties: Properties = EMPTY_DICT, location: str | None = None) -> LastingFileIO:
        found = LastingFileIO({**properties, **self.properties})
        found.digests = self._digests
        return found
