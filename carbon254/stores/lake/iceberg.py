"""The lake on pyiceberg: what can be asked of it and done to it, on whichever catalog.

Files an interrupted commit leaves behind belong to no snapshot and are never read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo, GreaterThanOrEqual, LessThan, Not
from pyiceberg.table import Table
from pyiceberg.table.sorting import NullOrder
from pyiceberg.table.update import SetLocationUpdate
from pyiceberg.transforms import IdentityTransform

from carbon254.errors import WorkspaceError
from carbon254.faults import reach
from carbon254.model import Dataset, catalogue
from carbon254.model import dataset as named
from carbon254.model.iceberg import iceberg_partition, iceberg_schema, plain_schema

from .appending import Appending, add_files, shaped, take_away
from .compacting import Compacted, Compaction
from .expiring import Expired, Expiry
from .judging import judge_apart
from .layout import iceberg_sort, sort_columns
from .lying import Lying, Part, lying, parts
from .noting import Digests
from .places import NAMESPACE, is_logical, logical, path_of
from .positions import Again, Following, Position, position_in, position_of
from .reaching import Advance
from .seals import Broken, broken, digest, files_of
from .sweeping import Orphan, orphans, remove
from .trying import looking_again
from .writing import write_batch

_PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.manifest-merge.enabled": "true",
    # An append that lost a race must look at the offset again; done again blindly it would store its rows twice.
    "commit.retry.num-retries": "0",
}


class Lake:
    """See `port.LakeStore`. One writer at a time within a process; other processes may read."""

    def __init__(self, catalog: Catalog, digests: Digests, folder: Path | None = None) -> None:
        self._catalog, self._digests, self._folder = catalog, digests, folder
        self._lock = threading.Lock()
        judge_apart()
        catalog.create_namespace_if_not_exists(NAMESPACE)

    def append(
        self,
        batches: Mapping[str, pa.Table],
        offsets: Mapping[str, int],
        beyond: Mapping[str, int | Position] | None = None,
        following: Following | None = None,
        again: Again | None = None,
    ) -> int:
        """One commit a dataset with its offset; gives the rows stored. See `port.LakeStore.append`."""
        since, stored = beyond or {}, 0
        with self._lock:
            for name, rows in batches.items():
                appending = Appending(named(name), rows, offsets.get(name), since.get(name), following, again)
                stored += looking_again(name, lambda one=appending: one.commit(self._ready(one.dataset)))
        return stored

    def offset(self, dataset: str) -> int:
        """The last log offset stored with the dataset's rows, whichever log it was of; 0 where none."""
        return self.position(dataset).offset

    def position(self, dataset: str, following: Following | None = None) -> Position:
        """How far the dataset has followed its log, and which one that is; see `Position`.

        With `following`, how far it has followed that one: nowhere, where it followed another.
        """
        target = named(dataset)
        table = self._found(target)
        if table is None:
            return Position(log=following.log if following else "")
        return position_in(table, target, following)

    def replace_span(
        self,
        dataset: str,
        feed: str,
        start: datetime,
        end: datetime,
        table: pa.Table | None,
        fence: Callable[[], AbstractContextManager[None]] = nullcontext,
        coming: Collection[tuple[datetime, str]] = (),
    ) -> None:
        """Swap a feed's rows of [start, end) for `table`, in one commit within a block of `fence`. The offset stays as
        it is, and so do rows of the arrivals (received_at, payload) in `coming`."""
        target = named(dataset)
        gone = _span(target, feed, start, end)
        for at, payload in coming:
            gone = And(gone, Not(And(EqualTo("received_at", at.isoformat()), EqualTo("payload", payload))))  # pyright: ignore[reportCallIssue]
        with self._lock:
            looking_again(dataset, lambda: self._replace_span(target, gone, table, fence))

    def _replace_span(
        self,
        target: Dataset,
        gone: BooleanExpression,
        table: pa.Table | None,
        fence: Callable[[], AbstractContextManager[None]],
    ) -> None:
        table_now = self._ready(target)
        change = table_now.transaction()
        if self._found(target, holding_rows=True) is not None:
            take_away(change, gone)
            reach("lake.deleted")
        if table is not None and table.num_rows:
            add_files(change, write_batch(table_now, target, shaped(table, target)))
        with fence():
            change.commit_transaction()

    def scan(self, dataset: str, row_filter: str | None = None, columns: Sequence[str] = ()) -> pa.Table:
        """Rows that pass an Iceberg filter; strings plain, unsigned numbers in their wider signed form."""
        target = named(dataset)
        names = tuple(columns) or target.names
        table = self._found(target)
        if table is None:
            return pa.schema([plain_schema(target).field(name) for name in names]).empty_table()
        held = {field.name for field in table.schema().fields}
        found = table.scan(row_filter or AlwaysTrue(), selected_fields=[n for n in names if n in held]).to_arrow()
        for field in plain_schema(target):
            # A column that came later: a table that nothing was added to since has none of its values.
            if field.name in names and field.name not in held:
                found = found.append_column(field, pa.nulls(found.num_rows, field.type))
        return found.select(list(names))

    def count(self, dataset: str) -> int:
        """Rows held, read from the table's metadata."""
        table = self._found(named(dataset))
        return 0 if table is None else table.scan().count()

    def seals(self, dataset: str, known: Callable[[str], bool]) -> dict[str, str]:
        """Digests (SHA-256) of the files that reading the dataset touches, without those known already."""
        table = self._found(named(dataset))
        found: dict[str, str] = {}
        for path in [] if table is None else files_of(table, known):
            if table is not None and not known(path):
                # A file that upkeep beside us removed since is read by nobody any more.
                with suppress(FileNotFoundError):
                    found[path] = self._digests.take(path) or digest(table.io, path)
        return found

    def broken(self, dataset: str, seal_of: Callable[[str], str]) -> list[Broken]:
        """Files of the dataset that are not as they were committed."""
        table = self._found(named(dataset))
        return [] if table is None else broken(table, seal_of)

    def stats(self, now: datetime) -> list[Lying]:
        """How each table that there is lies, and what upkeep would do to it."""
        tables = [(dataset, self._found(dataset)) for dataset in catalogue().values()]
        return [lying(dataset, table, position_of(table).offset, now) for dataset, table in tables if table is not None]

    def parts(self, dataset: str, now: datetime) -> list[Part]:
        """How each partition of a table lies, oldest first."""
        table = self._found(named(dataset))
        return [] if table is None else parts(named(dataset), table, now)

    def compact(
        self,
        dataset: str,
        now: datetime,
        older_than: timedelta | None = None,
        seal_of: Callable[[str], str] = lambda _: "",
    ) -> Iterator[Compacted]:
        """Merge the small files of each partition, a bounded group of partitions a commit; no row is lost or doubled.

        `seal_of` gives the digest of a file that was kept, empty where none was: a harmed file is left as it is and
        told of. Others may write meanwhile. Raises TransientError where they never let a commit through.
        """
        target = named(dataset)
        if self._found(target, holding_rows=True) is not None:
            yield from Compaction(
                target, lambda: self._ready(target), lambda: self._lock, seal_of, now, older_than
            ).steps()

    def expire(self, dataset: str, before: datetime, advance: Advance | None = None) -> Expired:
        """Forget snapshots from before an instant, and remove the files that only they named. The current one stays."""
        target = named(dataset)
        if self._found(target) is None:
            return Expired(dataset)
        return Expiry(dataset, lambda: self._ready(target), lambda: self._lock, before).run(advance)

    def orphans(self, dataset: str, before: datetime, advance: Advance | None = None) -> list[Orphan]:
        """Files of the dataset last written before an instant that no snapshot names."""
        table = self._found(named(dataset))
        return [] if table is None else orphans(dataset, table, before, advance)

    def remove(self, found: Sequence[Orphan]) -> tuple[int, int]:
        """Remove orphans; gives how many went, and their bytes."""
        by_name = {one.table: self._ready(named(one.table)) for one in found}
        gone = [remove(table.io, (one.path for one in found if one.table == name)) for name, table in by_name.items()]
        return sum(files for files, _ in gone), sum(size for _, size in gone)

    def location(self, dataset: str) -> str:
        """Where the dataset's files are, for engines that read the table by its place: a path in a folder."""
        table = self._ready(named(dataset))
        path = path_of(table.location(), table.io.properties)
        return table.location() if path is None else f"file://{path}"

    def close(self) -> None:
        """Let go of the catalog."""
        self._catalog.close()

    def _found(self, dataset: Dataset, holding_rows: bool = False) -> Table | None:
        try:
            table = self._catalog.load_table((NAMESPACE, dataset.name))
        except NoSuchTableError:
            return None
        return None if holding_rows and table.current_snapshot() is None else table

    def _ready(self, dataset: Dataset) -> Table:
        """The dataset's table: made where there is none, widened where the dataset has new columns."""
        wanted = iceberg_schema(dataset)
        table = self._found(dataset)
        if table is None:
            return self._catalog.create_table(
                (NAMESPACE, dataset.name),
                wanted,
                partition_spec=iceberg_partition(dataset),
                sort_order=iceberg_sort(dataset),
                properties=_PROPERTIES,
            )
        if self._folder is not None and not is_logical(table.location()):
            # From before locations were logical: what is written from now on names no folder.
            with table.transaction() as change:
                change._apply((SetLocationUpdate(location=logical(table.location())),))
        held = {field.name for field in table.schema().fields}
        new = [name for name in dataset.names if name not in held]
        strict = [name for name in new if not dataset.column(name).nullable]
        if strict:
            raise WorkspaceError(
                f"the lake's {dataset.name} was laid out by another version ({', '.join(strict)} is new): "
                "move the lake folder away and rebuild it with `feeds replay`"
            )
        gone = [name for name in dataset.gone if name in held]
        if new or gone:
            with table.update_schema() as change:
                change.union_by_name(wanted)
                for name in gone:
                    change.delete_column(name)
        if table.sort_order().is_unsorted:
            with table.update_sort_order() as order:
                for name in sort_columns(dataset):
                    order.asc(name, IdentityTransform(), NullOrder.NULLS_FIRST)
        return table


def _span(dataset: Dataset, feed: str, start: datetime, end: datetime) -> BooleanExpression:
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("a span needs zone-aware times")
    time = dataset.partition
    if dataset.column(time).type == "date":
        low, high = start.date().isoformat(), end.date().isoformat()
    else:
        low, high = start.isoformat(), end.isoformat()
    bounds = GreaterThanOrEqual(time, low), LessThan(time, high)  # pyright: ignore[reportCallIssue]
    return And(EqualTo("feed", feed), *bounds)  # pyright: ignore[reportCallIssue]
