"""Where the files of a lake in a folder are: logical locations, and the folder that was opened.

A table's metadata names every file by its whole location. Where these are paths, a copied folder names the files of the
original, and whoever opens the copy reads, writes and sweeps there. So the tables of a folder lie under
`c254://lake/…`, which is `warehouse/…` of whichever folder was opened. Lakes from before have paths in them
(`file:///data/workspace/lake/warehouse/commodity_data/…`), wherever their folder was then: of these the part below the
warehouse counts, and the folder is again the one that was opened. A location that is neither is refused, so that no
file outside the folder is ever read, written or removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from carbon254.errors import WorkspaceError

NAMESPACE = "commodity_data"
LOGICAL = "c254://lake/"
# The property of a catalog that says which folder was opened.
FOLDER = "c254.lake.folder"
WAREHOUSE = "warehouse"
_BEFORE = f"/{WAREHOUSE}/{NAMESPACE}/"


def is_logical(location: str) -> bool:
    """Whether a location says nothing of where the folder is."""
    return location.startswith(LOGICAL)


def logical(location: str) -> str:
    """The location under `c254://lake/`. Raises WorkspaceError where it is not one of a lake in a folder."""
    return LOGICAL + _below(location)


def path_of(location: str, properties: Mapping[str, str]) -> Path | None:
    """The file of a location in the folder that the properties name; None where they name none."""
    folder = properties.get(FOLDER)
    return Path(folder, WAREHOUSE, _below(location)) if folder else None


def _below(location: str) -> str:
    """`commodity_data/energy_prices/data/…`: what is below the warehouse, whichever way the location is written."""
    if is_logical(location):
        rest = location.removeprefix(LOGICAL)
    else:
        # The last one: folders above the warehouse may have any names.
        _, before, rest = location.rpartition(_BEFORE)
        rest = f"{NAMESPACE}/{rest}" if before else ""
    parts = rest.rstrip("/").split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise WorkspaceError(
            f"the lake names a file that is not in its folder ({location}): restore its catalog.db and warehouse from "
            "one copy, or rebuild it with `c254 feeds replay`"
        )
    return "/".join(parts)
