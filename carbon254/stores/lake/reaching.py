"""Every file that a table's snapshots name: metadata, manifests, data. What none of them names, nobody can read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

Advance = Callable[[int, int], None]
# Lists and manifests are small files: on an object store the waiting is all there is.
_AT_ONCE = 8


def reached(io: FileIO, snapshots: Iterable[Snapshot], advance: Advance | None = None) -> set[str]:
    """Manifest lists, manifests, data and delete files of the snapshots; a manifest that many share is read once."""
    asked = list(snapshots)
    found = {one.manifest_list for one in asked if one.manifest_list}
    manifests: dict[str, ManifestFile] = {}
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="c254-lake") as pool:
        for done, named in enumerate(pool.map(lambda one: one.manifests(io), asked)):
            manifests |= {manifest.manifest_path: manifest for manifest in named}
            if advance:
                advance(done + 1, len(asked))
        for files in pool.map(lambda manifest: _files(io, manifest), manifests.values()):
            found |= files
    return found | manifests.keys()


def _files(io: FileIO, manifest: ManifestFile) -> set[str]:
    return {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(io)}


def everything(table: Table, advance: Advance | None = None) -> set[str]:
    """What all snapshots of the table name, its metadata now and before, and statistics that other engines keep."""
    metadata = table.metadata
    beside = {table.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
    beside |= {one.statistics_path for one in (*metadata.statistics, *metadata.partition_statistics)}
    return beside | reached(table.io, metadata.snapshots, advance)
