"""Opening a lake: a folder with a catalog on SQLite, or an Iceberg REST catalog by URL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from carbon254.errors import SettingsError, WorkspaceError
from carbon254.lasting import make_folder
from carbon254.stores.commits import lasting_commits
from carbon254.stores.making import alone_in

from .folder import FolderCatalog
from .iceberg import Lake
from .lasting import LastingFileIO
from .noting import Digests
from .places import FOLDER, LOGICAL, WAREHOUSE
from .rest import trouble

_BUSY_S = 30


def open_lake(url: str | Path, properties: Mapping[str, str] | None = None) -> Lake:
    """Open a folder (made where there is none) or a REST catalog at `http(s)://…`.

    `properties` go to the catalog as they are (see `rest_properties`). Raises WorkspaceError where the folder cannot be
    opened, SettingsError where the REST catalog cannot.
    """
    place = str(url)
    if not place.startswith(("http://", "https://")):
        return _in_folder(Path(place).absolute(), properties or {})
    from .trusting import rest_catalog

    digests = Digests()
    try:
        return Lake(rest_catalog(place, properties or {}, digests), digests)
    except Exception as error:
        raise SettingsError(trouble(place, error)) from error


def _in_folder(folder: Path, properties: Mapping[str, str]) -> Lake:
    options = {
        **properties,
        "uri": f"sqlite:///{folder / 'catalog.db'}?timeout={_BUSY_S}",
        "warehouse": LOGICAL.rstrip("/"),
        "py-io-impl": f"{LastingFileIO.__module__}.{LastingFileIO.__name__}",
        FOLDER: str(folder),
    }
    digests = Digests()
    try:
        make_folder(folder / WAREHOUSE)
        with alone_in(folder):
            catalog = FolderCatalog("carbon254", digests, **options)
            # The library opened connections already, before the rules for them were there.
            lasting_commits(catalog.engine)
            catalog.engine.dispose()
            return Lake(catalog, digests, folder)
    except Exception as error:
        raise WorkspaceError(f"the lake at {folder} cannot be opened: {str(error)[:300]}") from error
