"""Consumer `lake`: rows.<topic> → Iceberg, one commit for many batches, off the hot path.

The offset consumed is written in the same Iceberg commit, so that a commit done again after a crash is seen and
skipped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import pyarrow as pa

from carbon254.stores.lake import Lake
from carbon254.stores.log import Log, Record

from .carrying import Source
from .codec import decode
from .projector import commit, within

CONSUMER = "lake"
MAX_ROWS = 1_000_000


class Lakekeeper:
    """Carries rows into the lake."""

    def __init__(self, log: Log, lake: Lake, sources: Mapping[str, Source]) -> None:
        self._log, self._lake, self._sources = log, lake, sources

    def step(self, limit: int = 512) -> int:
        """Commit what is pending, up to about MAX_ROWS rows; returns the number of records."""
        records = within(self._log.read(CONSUMER, "rows.", limit), MAX_ROWS)
        by_dataset: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_dataset[self._sources[record.topic.removeprefix("rows.")].stream.dataset].append(record)
        for name, group in by_dataset.items():
            done = self._lake.offset(name)
            fresh = [record for record in group if record.offset > done]
            if fresh:
                table = pa.concat_tables([decode(record.body) for record in fresh]).unify_dictionaries()
                self._lake.append({name: table}, {name: max(record.offset for record in fresh)})
        if records:
            commit(self._log, CONSUMER, records)
        return len(records)
