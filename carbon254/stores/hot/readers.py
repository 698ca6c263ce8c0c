"""What readers ask: guarded, within limits, stopped when nobody waits any more, and handed on as it comes."""

from __future__ import annotations

import re
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from carbon254.errors import QueryRefused
from carbon254.model.plain import pieces

from .answer import as_typed, names_of, telling, typed, without_inner
from .ddl import VIEWS
from .guard import check
from .handles import Handles
from .literal import literal
from .port import Limits
from .sessions import SELECT, Params, Session
from .stopping import Stop, stop
from .vocabulary import Vocabulary

_BOUND = re.compile(r"\{\s*[A-Za-z_]\w*\s*:")
# The engine's words about tables: what these statements answer may name what readers cannot ask.
_ABOUT = re.compile(r"\s*(explain|show)\b", re.IGNORECASE)
# What is looked at, mended or put into text at once.
_AT_ONCE = 8 << 20
_PARSING = Limits(max_rows=1_000_000, seconds=5.0, memory_bytes=256 << 20)


class Readers:
    """The reading side of one store. Safe to use from many threads."""

    def __init__(self, handles: Handles, limits: Limits) -> None:
        self._handles, self.limits = handles, limits
        self._lock = threading.Lock()
        self._known: Vocabulary | None = None

    def checked(self, sql: str, params: Params = None) -> str:
        """The statement as it may run. Raises QueryRefused with what to do."""
        if params and not _BOUND.search(sql):
            raise QueryRefused("parameters were given, but the statement names none: write {name:Type} where they go")
        known = self._vocabulary()
        with self._handles.session(_PARSING, turn=False) as session:
            try:
                return check(sql, params, session, known)
            except QueryRefused as error:
                if "there is no table" not in str(error) or self._vocabulary(fresh=True) == known:
                    raise
            return check(sql, params, session, self._vocabulary())

    @contextmanager
    def answering(
        self,
        sql: str,
        params: Params = None,
        limits: Limits | None = None,
        more: Mapping[str, Any] | None = None,
        whole: bool = False,
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """Runs a checked statement, or one of our own; `more` are further settings, `whole` says that the answer will
        be held whole.

        The batches come while the engine works; it is stopped where the block ends before they do. Raises QueryRefused
        where a limit is met, also by the answer's size.
        """
        found, asked = limits or self.limits, stop()
        with (
            self._handles.session(found, more) as session,
            asked.watching(lambda: self._handles.kill(session.mark)),
        ):
            batches = self._batches(session, sql, params, found, asked, whole)
            try:
                yield batches
            finally:
                batches.close()

    def _batches(
        self, session: Session, sql: str, params: Params, limits: Limits, asked: Stop, whole: bool
    ) -> Generator[pa.RecordBatch, None, None]:
        made, size = None, 0
        most, said = (limits.whole_bytes, too_large_whole) if whole else (limits.answer_bytes, too_large)
        for batch in session.batches(sql, params):
            asked.check()
            if made is None:
                names_of(batch.schema)
                made = typed(batch.schema, self._kinds(sql, params)) if telling(batch.schema) else {}
            if size + batch.nbytes > most:
                raise said(most)
            for part in pieces(batch, _AT_ONCE):
                asked.check()
                told = as_typed(part, made)
                size += told.nbytes
                if size > most:
                    raise said(most)
                yield _without_inner(told) if _ABOUT.match(sql) else told

    def _kinds(self, sql: str, params: Params) -> list[str]:
        """The engine's names of the answer's types, a column each."""
        if not SELECT.match(sql):
            return []
        with self._handles.session(_PARSING, turn=False) as session:
            asked = session.batches(f"DESCRIBE TABLE (\n{sql}\n)", params)
            return [row["type"] for batch in asked for row in batch.to_pylist()]

    def _vocabulary(self, fresh: bool = False) -> Vocabulary:
        """What the engine holds, asked once, and again where a table is not among it."""
        with self._lock:
            if self._known is None or fresh:
                with self._handles.session(_PARSING, turn=False) as session:
                    ask = lambda column, place: session.text(f"SELECT {column} FROM system.{place}").split()  # noqa: E731
                    self._known = Vocabulary(
                        frozenset(ask("name", f"tables WHERE database = {literal(VIEWS)}")),
                        frozenset(ask("lower(name)", "databases")),
                        frozenset(ask("lower(name)", "functions")),
                        frozenset(ask("lower(name)", "functions WHERE higher_order = 1")),
                    )
            return self._known


def too_large(most: int) -> QueryRefused:
    """What to say of an answer that grows beyond `most` bytes."""
    return QueryRefused(
        f"the answer is larger than {most >> 20:,} MB (C254_ANSWER_MB): add LIMIT, select fewer columns, or narrow it"
    )


def too_large_whole(most: int) -> QueryRefused:
    """As `too_large`, of an answer that is held whole: for a receipt, or in Python."""
    return QueryRefused(
        f"the answer is larger than {most >> 20:,} MB, and is held whole in memory (a quarter of what a "
        "statement may use, C254_QUERY_MEMORY_MB): add LIMIT, select fewer columns, narrow it, or ask without a receipt"
    )


def _without_inner(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = []
    for column in batch.columns:
        if pa.types.is_string(column.type):
            told = [None if text is None else without_inner(text) for text in column.to_pylist()]
            column = pa.array([VIEWS if text == "store" else text for text in told], pa.string())
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
