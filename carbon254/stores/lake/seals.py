"""Digests of the lake's files: Parquet and Avro keep none of their own that every reader checks.

Once written, a file of an Iceberg table never changes, so its SHA-256 is kept when it is committed and compared later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from pyiceberg.io import FileIO
from pyiceberg.table import Table

_CHUNK = 4 << 20


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that is not as it was committed; `partition` is the day or year its path names, if it does."""

    path: str
    partition: str
    what: str


def files_of(table: Table, skip: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Every file that reading the table now touches: metadata, manifests, data. Those of a skipped manifest are left
    out: a manifest never changes, and neither do the files it names.
    """
    found = [table.metadata_location]
    snapshot = table.current_snapshot()
    if snapshot is None:
        return found
    found.append(snapshot.manifest_list)
    for manifest in snapshot.manifests(table.io):
        if not skip(manifest.manifest_path):
            found.append(manifest.manifest_path)
            found += [entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)]
    return found


def broken(table: Table, seal_of: Callable[[str], str]) -> list[Broken]:
    """Files of the table whose digest is not the one that was kept; those without one are left out."""
    found = []
    for path in files_of(table):
        kept = seal_of(path)
        if not kept:
            continue
        try:
            what = "" if digest(table.io, path) == kept else "its bytes are not those that were committed"
        except OSError as error:
            what = f"it cannot be read ({type(error).__name__})"
        if what:
            found.append(Broken(path.rsplit("/", 1)[-1], partition_in(path), what))
    return found


def digest(io: FileIO, path: str) -> str:
    """SHA-256 of a file; hexadecimal."""
    whole = hashlib.sha256()
    with io.new_input(path).open() as file:
        while chunk := file.read(_CHUNK):
            whole.update(chunk)
    return whole.hexdigest()


def partition_in(path: str) -> str:
    """`2025-07-01` of `…/interval_start_day=2025-07-01/…`; empty where the path names none."""
    names = [part.split("=", 1)[1] for part in path.split("/") if "=" in part]
    return names[0] if names else ""
