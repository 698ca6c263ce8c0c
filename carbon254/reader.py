"""Reading a workspace from Python: SQL and prices as Arrow, Polars or pandas.

Where a node is running, it is asked over HTTP; else the workspace is opened here, and closed with the reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx2 as httpx
import polars as pl
import pyarrow as pa

from carbon254.api import queries
from carbon254.calendars.zones import zone as zone_named
from carbon254.errors import QueryRefused, WorkspaceError
from carbon254.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from carbon254.app import Node

_QUERY_TIMEOUT_S = 120.0


class Engine(Protocol):
    """What can answer SQL."""

    def query(self, sql: str) -> pa.Table: ...
    def close(self) -> None: ...


class Result:
    """An answer. Zero-copy to anything that reads the Arrow stream interface."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def to_arrow(self) -> pa.Table:
        """As a pyarrow table; times are UTC."""
        return self._table

    def to_polars(self) -> pl.DataFrame:
        """As a Polars frame; times are UTC."""
        return pl.DataFrame(self._table)

    def to_pandas(self) -> pd.DataFrame:
        """As a pandas frame; needs the `pandas` extra."""
        return self._table.to_pandas()

    def in_time_zone(self, zone: str) -> Result:
        """The same instants told in `zone`."""
        frame = self.to_polars()
        timed = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone]
        return Result(frame.with_columns(pl.col(name).dt.convert_time_zone(zone) for name in timed).to_arrow())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return self._table.num_rows

    def __repr__(self) -> str:
        return repr(self.to_polars())


class Reader:
    """Reads one workspace."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def sql(self, statement: str) -> Result:
        """Run one read-only statement (ClickHouse dialect). Raises QueryRefused."""
        return Result(self._engine.query(statement))

    def lmp(
        self,
        market: str,
        start: str | date | datetime,
        end: str | date | datetime,
        locations: str | Sequence[str] = (),
        *,
        run: str | None = None,
        as_of: str | datetime | None = None,
        strict: bool = False,
        tz: str | None = None,
    ) -> Result:
        """Interval prices of [start, end) in USD/MWh, current or as known at `as_of`.

        Dates and naive times are read in `tz`, which is UTC unless given, and the answer is told in it. Locations are
        the provider's names or ids. `strict` leaves out rows whose known_at was assumed.
        """
        zone = tz or "UTC"
        wanted = [locations] if isinstance(locations, str) else list(locations)
        known = instant(as_of, zone) if as_of is not None else None
        statement = queries.prices(market, instant(start, zone), instant(end, zone), wanted, run, known, strict)
        found = self.sql(statement)
        return found.in_time_zone(zone) if tz else found

    def close(self) -> None:
        """Give the workspace up, if it was opened here."""
        self._engine.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class RemoteEngine:
    """A running node, asked over HTTP."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=_QUERY_TIMEOUT_S, trust_env=False)

    def query(self, sql: str) -> pa.Table:
        answer = self._client.post("/v1/sql", json={"sql": sql, "format": "arrow"})
        if answer.status_code != httpx.codes.OK:
            raise QueryRefused(answer.json().get("detail", answer.text))
        with pa.ipc.open_stream(answer.content) as stream:
            return stream.read_all()

    def close(self) -> None:
        self._client.close()


class LocalEngine:
    """A workspace opened in this process."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def query(self, sql: str) -> pa.Table:
        return self._node.hot.query(sql)

    def close(self) -> None:
        self._node.close()


def open_reader(workspace: str | Path) -> Reader:
    """A reader of `workspace`. Raises WorkspaceError where there is none."""
    folder = Workspace(Path(workspace))
    if not folder.path("workspace.json").exists():
        raise WorkspaceError(
            f"there is no workspace at {folder.root}; make one with: c254 demo --workspace {workspace}"
        )
    running = folder.running()
    if running:
        return Reader(RemoteEngine(running.url))
    from carbon254.app import open_node
    from carbon254.settings import load_settings

    return Reader(LocalEngine(open_node(load_settings(workspace=folder.root), secrets={})))


def instant(value: str | date | datetime, zone: str = "UTC") -> datetime:
    """An instant from a datetime, a date (its midnight) or ISO text; naive values are told in `zone`; `now` is now."""
    if isinstance(value, str):
        value = datetime.now(UTC) if value == "now" else datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return (value.replace(tzinfo=zone_named(zone)) if value.tzinfo is None else value).astimezone(UTC)
