"""The hot store on ClickHouse: embedded (`chdb:///abs/dir`) or a server (`http(s)://…`), by the same statements."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError

from carbon254.errors import QueryRefused
from carbon254.faults import reach
from carbon254.model import Dataset, catalogue
from carbon254.model import dataset as named
from carbon254.model.bars import BarRun
from carbon254.stores.marks import Mark

from .answer import explain, telling, with_types
from .arrange import by_partition, engine_partition
from .changes import Changes
from .cutoffs import lay_out
from .ddl import TABLES, VIEWS, create_table, keeps_versions
from .frozen import Upto, bounds, computed, setting
from .handles import Handles
from .layout import column_changes, lifetime_changes, setting_changes
from .literal import literal, within, without
from .marks import CREATE as CREATE_MARKS
from .marks import keep as keep_mark
from .marks import read as read_marks
from .packing import pack
from .port import Limits
from .readers import Readers
from .sealing import Sealing
from .sessions import EMBEDDED, SELECT, Params
from .views import create_views, history_name

# One insert makes one part: the limits at which the engine would cut a block are beyond any batch.
_INSERT = {
    "max_insert_threads": 2,
    "optimize_on_insert": 0,
    "max_insert_block_size": 100_000_000,
    "min_insert_block_size_rows": 100_000_000,
    "min_insert_block_size_bytes": 8 << 30,
}
Fence = Callable[[], AbstractContextManager[None]]
_FORGETFUL = ("batch_id", "build", "judged_at", "changed_at")


class HotStore:
    """See `port.Hot`. Safe to use from many threads."""

    def __init__(self, url: str, ttl_days: int = 0, limits: Limits | None = None) -> None:
        self._handles = Handles(url)
        self._readers = Readers(self._handles, limits or Limits())
        self._keep_days = ttl_days or None
        # One writer a dataset: a row that came in between copying a partition and swapping it would be lost.
        self._writing = {name: threading.Lock() for name in catalogue()}
        self._days = Changes(self.command, self.fetch, shared=not url.startswith(EMBEDDED))
        self.sealing = Sealing(self.command, self.fetch, self._writing.__getitem__)

    def ensure(self, runs: Sequence[BarRun] | None = None) -> None:
        """Create databases, tables and views; new descriptive columns are added. Safe to repeat.

        `runs` are the market runs whose rows become bars; without them those that the store knows stay. Raises
        WorkspaceError where a stored table has another layout than this version of the datasets.
        """
        self.command(f"CREATE DATABASE IF NOT EXISTS {TABLES}")
        for dataset in catalogue().values():
            if dataset.derived:
                continue
            self.command(create_table(dataset, keep_days=self._keep_days))
            for change in self._changes(dataset):
                self.command(change)
        lay_out(self.command, self.fetch, self._insert)
        self.command(CREATE_MARKS)
        self._days.lay_out(runs)
        views = self._rows(f"SELECT name, comment FROM system.tables WHERE database = {literal(VIEWS)}")
        for statement in create_views(catalogue().values(), {row["name"]: row["comment"] for row in views}):
            self.command(statement)
        self._drop_derived()
        self.keep_names()

    def marks(self) -> list[Mark]:
        """How far the store has come, in which logs."""
        return read_marks(self.fetch)

    def keep_mark(self, mark: Mark) -> None:
        """Note how far the store has come; never back."""
        keep_mark(self.command, mark)

    def filled(self) -> set[str]:
        """Datasets that hold rows, by the engine's own books."""
        sql = f"SELECT name FROM system.tables WHERE database = {literal(TABLES)} AND total_rows > 0"
        return {row["name"] for row in self._rows(sql)}

    def _drop_derived(self) -> None:
        """Older versions kept derived rows in tables; nobody reads them any more."""
        names = [dataset.name for dataset in catalogue().values() if dataset.derived]
        old = " OR ".join(f"name = {literal(name)} OR startsWith(name, {literal(name + '__')})" for name in names)
        for row in self._rows(f"SELECT name FROM system.tables WHERE database = {literal(TABLES)} AND ({old})"):
            self.command(f"DROP TABLE IF EXISTS {TABLES}.{row['name']} SYNC")

    def keep_names(self) -> None:
        """What was made since is on disk by its name when this returns."""
        self._handles.keep_names()

    def give_back(self) -> None:
        """Hand back what the embedded engine's allocator keeps; a server looks after itself."""
        self._handles.give_back()

    def _columns(self, dataset: Dataset) -> dict[str, str]:
        where = f"database = {literal(TABLES)} AND table = {literal(dataset.name)}"
        return {row["name"]: row["type"] for row in self._rows(f"SELECT name, type FROM system.columns WHERE {where}")}

    def _changes(self, dataset: Dataset) -> list[str]:
        here = f"database = {literal(TABLES)} AND"
        stored = self._rows(f"SELECT engine_full FROM system.tables WHERE {here} name = {literal(dataset.name)}")
        return [
            *column_changes(dataset, self._columns(dataset)),
            *lifetime_changes(dataset, stored[0]["engine_full"], self._keep_days),
            *setting_changes(dataset, stored[0]["engine_full"]),
        ]

    def insert(self, dataset: str, table: pa.Table, token: str, staged: bool = False) -> int:
        """Store rows once per (token, partition); gives the number of rows handed over. See `port.Hot.insert`."""
        target = named(dataset)
        if not table.num_rows:
            return 0
        for partition, rows in by_partition(table, target):
            mark = hashlib.sha256(f"{token}|{partition}".encode()).hexdigest()
            with self._writing[dataset]:
                if not staged:
                    self._days.tell(target, rows)
                self._insert(f"{TABLES}.{_staging(dataset) if staged else dataset}", rows, mark)
        return table.num_rows

    def _insert(self, name: str, rows: pa.Table, token: str) -> None:
        settings = _INSERT | {"insert_deduplication_token": token}
        with self._handles.own() as client:
            body: Any = pack(rows)
            reach("hot.packed")
            client.raw_insert(name, rows.column_names, body, settings=settings, fmt="ArrowStream")
            reach("hot.inserted")

    @property
    def limits(self) -> Limits:
        """A reader's limits where it names no others."""
        return self._readers.limits

    def query(self, sql: str, params: Params = None, limits: Limits | None = None) -> pa.Table:
        """One reading statement by a reader. Instants come in UTC. Raises QueryRefused with what to do."""
        with self._readers.answering(self._readers.checked(sql, params), params, limits, whole=True) as batches:
            return pa.Table.from_batches(batches)

    @contextmanager
    def stream(
        self, sql: str, limits: Limits | None = None, trusted: bool = False
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """As `query`, in batches that come while the engine works; there is at least one, which may be empty.

        `trusted` is for a statement of our own: it may read `store`, within the same limits.
        """
        with self._readers.answering(sql if trusted else self._readers.checked(sql), None, limits) as batches:
            yield batches

    def query_frozen(
        self, sql: str, arrivals: Mapping[str, Upto], at: datetime, limits: Limits | None = None
    ) -> pa.Table:
        """As `query`, over what each feed had brought up to an arrival and was let out by `at`; feeds not named had
        nothing."""
        more = {"additional_table_filters": setting(bounds(arrivals, at))}
        statement = computed(self._readers.checked(sql))
        with self._readers.answering(statement, None, limits, more, whole=True) as batches:
            return pa.Table.from_batches(batches)

    def rewritten(self, sql: str) -> str:
        """A reading statement in the engine's own spelling: without comments, with one way of quoting."""
        return self._readers.checked(sql)

    def fetch(self, sql: str) -> pa.Table:
        """A query of our own: may read `store`, no limits. Never hand it text from outside."""
        with _explained(), self._handles.own() as client:
            table = _arrow(client.raw_query(sql, fmt="ArrowStream"))
            if not (telling(table.schema) and SELECT.match(sql)):
                return table
            kinds = _arrow(client.raw_query(f"DESCRIBE TABLE (\n{sql}\n)", fmt="ArrowStream"))["type"].to_pylist()
        return with_types(table, kinds)

    def command(self, sql: str) -> Any:
        """A statement of our own that changes something. Never hand it text from outside."""
        with self._handles.own() as client:
            return client.command(sql)

    def staging(self, dataset: str) -> None:
        """Start a fresh, empty staging table for a rebuild."""
        self.command(f"DROP TABLE IF EXISTS {TABLES}.{_staging(dataset)} SYNC")
        self.command(create_table(named(dataset), _staging(dataset), self._keep_days))

    def replace_partition(self, dataset: str, partition: str) -> None:
        """Put the staged partition in the place of the live one; an empty staged partition empties the live one."""
        part = engine_partition(partition, named(dataset))
        with self._writing[dataset]:
            for table in (_staging(dataset), dataset):
                self._days.tell_stored(named(dataset), f"{TABLES}.{table}", f"_partition_id = '{part}'")
            self._swap(dataset, _staging(dataset), part)

    def replace_span(
        self,
        dataset: str,
        feed: str,
        start: datetime,
        end: datetime,
        table: pa.Table | None,
        fence: Fence = nullcontext,
        build: int = 0,
        coming: Collection[tuple[datetime, str]] = (),
    ) -> None:
        """Swap a feed's rows of [start, end) (partition column, UTC) for `table`, other rows carried over.

        So are those of the arrivals (received_at, payload) in `coming`, which are no part of the swap.

        Rows of `table` outside the span are stored too. Each partition changes at one moment, within a block of
        `fence`; inserts of the dataset wait until all have. Done again after a crash, it ends the same. What older
        builds (by number) had staged is taken away, so that one which still lives has nothing left to swap in.
        """
        target, staging = named(dataset), _staging(dataset, build)
        gone = f"feed = {literal(feed)} AND {within(target, start, end)}{without(coming)}"
        fresh = list(by_partition(table, target)) if table is not None and table.num_rows else []
        with self._writing[dataset]:
            held = self._rows(f"SELECT DISTINCT _partition_id AS p FROM {TABLES}.{dataset} WHERE {gone}")
            touched = {row["p"] for row in held} | {engine_partition(partition, target) for partition, _ in fresh}
            with fence():
                self._drop_staged(dataset)
                self.command(create_table(target, staging, self._keep_days))
            reach("hot.staged")
            for part in sorted(touched):
                self._carry_over(target, staging, f"_partition_id = '{part}' AND NOT ({gone})")
            reach("hot.carried_over")
            for partition, rows in fresh:
                self._insert(f"{TABLES}.{staging}", rows, partition)
            reach("hot.filled")
            self._days.tell_stored(target, f"{TABLES}.{dataset}", gone)
            for _, rows in fresh:
                self._days.tell(target, rows, again=True)
            reach("hot.days_told_anew")
            for part in sorted(touched):
                with fence():
                    self._swap(dataset, staging, part)
                reach("hot.swapped")
            self.command(f"DROP TABLE IF EXISTS {TABLES}.{staging} SYNC")

    def _drop_staged(self, dataset: str) -> None:
        mine = f"database = {literal(TABLES)} AND startsWith(name, {literal(_staging(dataset))})"
        for row in self._rows(f"SELECT name FROM system.tables WHERE {mine}"):
            self.command(f"DROP TABLE IF EXISTS {TABLES}.{row['name']} SYNC")

    def _carry_over(self, dataset: Dataset, staging: str, where: str) -> None:
        names = ", ".join(dataset.names)
        self.command(
            f"INSERT INTO {TABLES}.{staging} ({names}) SELECT {names} FROM {TABLES}.{dataset.name} WHERE {where}"
        )

    def _swap(self, dataset: str, staging: str, part: str) -> None:
        staged = self._rows(f"SELECT 1 AS x FROM {TABLES}.{staging} WHERE _partition_id = '{part}' LIMIT 1")
        # The engine refuses to replace a partition by an empty one.
        change = f"REPLACE PARTITION ID '{part}' FROM {TABLES}.{staging}"
        drop = f"DROP PARTITION ID '{part}'"
        self.command(f"ALTER TABLE {TABLES}.{dataset} {change if staged else drop}")

    def count(self, dataset: str, partition: str | None = None) -> int:
        """Distinct stored rows, every version included; of one partition where it is named."""
        if named(dataset).derived:
            return self._rows(f"SELECT count() AS n FROM {VIEWS}.{named(dataset).name}")[0]["n"]
        where = ""
        if partition is not None:
            where = f" WHERE _partition_id = '{engine_partition(partition, named(dataset))}'"
        return self._rows(f"SELECT count() AS n FROM {TABLES}.{named(dataset).name} FINAL{where}")[0]["n"]

    def partitions(self, dataset: str) -> list[str]:
        """Partitions that hold rows, in order: `YYYY-MM`, or `YYYY` for datasets by date."""
        found = self._rows(f"SELECT DISTINCT _partition_id AS p FROM {TABLES}.{named(dataset).name} ORDER BY p")
        return [f"{row['p'][:4]}-{row['p'][4:]}".rstrip("-") for row in found]

    def hash(self, dataset: str) -> str:
        """Canonical hash of the collapsed rows without `batch_id` and `build`; 48 hexadecimal digits and more."""
        target = named(dataset)
        row = f"tuple({', '.join(name for name in target.names if name not in _FORGETFUL)})"
        view = history_name(target) if keeps_versions(target) else target.name
        found = self._rows(
            f"SELECT lower(hex(count())) || '-' || lower(hex(sum(cityHash64({row})))) || "
            f"lower(hex(groupBitXor(sipHash64({row})))) AS digest FROM {VIEWS}.{view}"
        )
        return found[0]["digest"]

    def close(self) -> None:
        """Let go of the folder or server. A process must close one folder before it opens another."""
        self._handles.close()

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return self.fetch(sql).to_pylist()


def open_hot(url: str, ttl_days: int = 0, limits: Limits | None = None) -> HotStore:
    """Open `chdb:///abs/dir` or `http(s)://user:password@host:port`; call `ensure()` before the first use.

    `ttl_days` > 0 removes rows that many days after they were received; `limits` are a reader's unless it names
    others. Raises WorkspaceError where the folder is in use, by this process or another, or the server does not answer.
    """
    return HotStore(url, ttl_days, limits)


def _arrow(body: bytes) -> pa.Table:
    return pa.ipc.open_stream(body).read_all() if body else pa.table({})


@contextmanager
def _explained() -> Iterator[None]:
    """The engine's refusal as ours: first sentence only, with what to do."""
    try:
        yield
    except ClickHouseError as error:
        raise QueryRefused(explain(str(error))) from error


def _staging(dataset: str, build: int = 0) -> str:
    return f"{named(dataset).name}__build{f'_{build}' if build else ''}"
