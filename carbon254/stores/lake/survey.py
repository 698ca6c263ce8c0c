"""Which files a table's newest snapshot has in each partition, from its manifests alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyiceberg.manifest import ManifestContent
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform, YearTransform

from carbon254.model import Dataset

from .tiers import Partition, is_by_date, partition_of


@dataclass(frozen=True, slots=True)
class Held:
    """A data file; `since` is the number of the commit that brought it."""

    path: str
    size: int
    rows: int
    since: int


def survey(table: Table, dataset: Dataset) -> Mapping[Partition, Sequence[Held]]:
    """Data files by partition, oldest partition first, oldest file first.

    A table that another engine laid out in other partitions is left alone, and so are files of an older layout.
    """
    snapshot, spec = table.current_snapshot(), table.spec()
    kind = YearTransform if is_by_date(dataset) else DayTransform
    if snapshot is None or [type(field.transform) for field in spec.fields] != [kind]:
        return {}
    found: dict[int, list[Held]] = defaultdict(list)
    for manifest in snapshot.manifests(table.io):
        if manifest.content != ManifestContent.DATA or manifest.partition_spec_id != spec.spec_id:
            continue
        for entry in manifest.fetch_manifest_entry(table.io):
            file, since = entry.data_file, entry.sequence_number or 0
            found[file.partition[0]].append(Held(file.file_path, file.file_size_in_bytes, file.record_count, since))
    return {
        partition_of(dataset, value): sorted(found[value], key=lambda one: (one.since, one.path))
        for value in sorted(found)
    }
