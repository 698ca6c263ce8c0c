"""A table of a folder as a plain Iceberg table, with whole paths, that any engine reads by its place.

Engines of others know nothing of `c254://lake/…`. What stands now is put below a folder of its own: data files are
linked where the disk allows it (they never change) and copied elsewhere, manifests and metadata are written anew, under
the names that engines look for in a folder without a catalog (`version-hint.text`, `v1.metadata.json`). Exported again
to the same place, a table gets its next version, and what only the version before named goes.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import ManifestContent, ManifestEntry, ManifestFile, write_manifest, write_manifest_list
from pyiceberg.serializers import ToOutputFile
from pyiceberg.table import StaticTable, Table
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRef, SnapshotRefType
from pyiceberg.table.snapshots import Snapshot

from carbon254.errors import SettingsError, TransientError

from .places import NAMESPACE, path_of
from .reaching import everything

Advance = Callable[[int, int], None]
_HINT = "version-hint.text"
_OURS = "c254."


@dataclass(frozen=True, slots=True)
class Exported:
    """One table: where it is, its rows and files, and how many of the files had to be copied."""

    table: str
    location: str
    metadata: str
    rows: int
    files: int
    copied: int


@dataclass
class Export:
    """Puts one table below a folder. `advance` is told of files done and files in all."""

    name: str
    table: Table
    folder: Path
    advance: Advance

    def run(self) -> Exported:
        """Write it; the version before is what engines find until the new one is whole.

        Raises SettingsError where something else is in the folder, TransientError where upkeep removed a file while it
        was exported.
        """
        version, before = self._before()
        metadata = self.folder / "metadata"
        for part in (metadata, self.folder / "data"):
            part.mkdir(parents=True, exist_ok=True)
        try:
            snapshot, rows, files, copied = self._snapshot()
        except FileNotFoundError as error:
            raise TransientError(
                f"{self.name}: a file was merged away while it was exported: run it again ({error})"
            ) from error
        told = self.table.metadata.model_copy(
            update={
                "location": f"file://{self.folder}",
                "snapshots": [snapshot] if snapshot else [],
                "refs": {MAIN_BRANCH: _main(snapshot)} if snapshot else {},
                "snapshot_log": [],
                "metadata_log": [],
                "statistics": [],
                "partition_statistics": [],
                "properties": {
                    key: text for key, text in self.table.properties.items() if not key.startswith(_OURS)
                },
            }
        )  # fmt: skip
        place = metadata / f"v{version}.metadata.json"
        ToOutputFile.table_metadata(told, self._io.new_output(f"file://{place}"), overwrite=True)
        hint = metadata / f"{_HINT}.tmp"
        hint.write_text(str(version), "utf-8")
        hint.replace(metadata / _HINT)
        self._forget(before, place)
        return Exported(self.name, str(self.folder), str(place), rows, files, copied)

    @property
    def _io(self) -> PyArrowFileIO:
        return PyArrowFileIO()

    def _before(self) -> tuple[int, set[str]]:
        """The number of this version, and the files of an earlier export to the same place."""
        hint = self.folder / "metadata" / _HINT
        if file := next((one for one in (self.folder, *self.folder.parents) if one.is_file()), None):
            raise SettingsError(f"{file} is a file, and tables are exported to a folder: name another")
        if not hint.is_file():
            if self.folder.exists() and any(self.folder.iterdir()):
                raise SettingsError(f"{self.folder} is there and is no earlier export: name another folder")
            return 1, set()
        version = int(hint.read_text("utf-8").strip())
        last = self.folder / "metadata" / f"v{version}.metadata.json"
        return version + 1, everything(StaticTable.from_metadata(f"file://{last}"))

    def _snapshot(self) -> tuple[Snapshot | None, int, int, int]:
        """What stands now, with manifests that name the files of the new place; rows, files, copied files."""
        now = self.table.current_snapshot()
        if now is None:
            return None, 0, 0, 0
        held = [(manifest, self._entries(manifest)) for manifest in now.manifests(self.table.io)]
        total, rows, done, copied, manifests = sum(len(some) for _, some in held), 0, 0, 0, []
        for manifest, entries in held:
            if not entries:
                continue
            with write_manifest(
                format_version=self.table.metadata.format_version,
                spec=self.table.specs()[manifest.partition_spec_id],
                schema=self.table.schema(),
                output_file=self._new("manifest"),
                snapshot_id=now.snapshot_id,
                avro_compression="deflate",
            ) as writer:
                for entry in entries:
                    path, was_copied = self._put(entry.data_file.file_path)
                    writer.existing(_moved(entry, path))
                    rows, done, copied = rows + entry.data_file.record_count, done + 1, copied + was_copied
                    self.advance(done, total)
            manifests.append(writer.to_manifest_file())
        output = self._new(f"snap-{now.snapshot_id}")
        with write_manifest_list(
            format_version=self.table.metadata.format_version,
            output_file=output,
            snapshot_id=now.snapshot_id,
            parent_snapshot_id=None,
            sequence_number=now.sequence_number,
            avro_compression="deflate",
        ) as listing:
            listing.add_manifests(manifests)
        fresh = now.model_copy(update={"manifest_list": output.location, "parent_snapshot_id": None})
        return fresh, rows, done, copied

    def _entries(self, manifest: ManifestFile) -> list[ManifestEntry]:
        if manifest.content != ManifestContent.DATA:
            raise SettingsError(f"{self.name} has files that say which rows are deleted: run c254 lake compact first")
        return manifest.fetch_manifest_entry(self.table.io)

    def _new(self, name: str) -> Any:
        return self._io.new_output(f"file://{self.folder}/metadata/{name}-{uuid.uuid4()}.avro")

    def _put(self, location: str) -> tuple[Path, bool]:
        """A data file in its new place; whether it had to be copied."""
        source = path_of(location, self.table.io.properties)
        assert source is not None
        # Below the table's own `data`: how the partitions are named there stays.
        below = location.rpartition(f"/{NAMESPACE}/{self.name}/")[2].removeprefix("data/")
        target = self.folder / "data" / below
        if target.exists():
            return target, False
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:
            # Another disk, or one without links.
            fresh = target.with_suffix(".tmp")
            shutil.copyfile(source, fresh)
            fresh.replace(target)
            return target, True
        return target, False

    def _forget(self, before: set[str], place: Path) -> None:
        now = everything(StaticTable.from_metadata(f"file://{place}"))
        for location in before - now:
            with suppress(FileNotFoundError):
                Path(location.removeprefix("file://")).unlink()


def _moved(entry: ManifestEntry, path: Path) -> ManifestEntry:
    moved = deepcopy(entry)
    moved.data_file[1] = f"file://{path}"
    return moved


def _main(snapshot: Snapshot) -> SnapshotRef:
    return SnapshotRef.model_validate({"snapshot-id": snapshot.snapshot_id, "type": SnapshotRefType.BRANCH})
