"""Sealed bars: those of a market day (ticks: an hour, a day) that is over, stored with the last change they know.

A seal counts only while no later change of its day is told, so a correction opens exactly that day again. The bars come
before the seal: what a crash leaves undone counts for nothing, and is swept away later.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from carbon254.faults import reach
from carbon254.model import Dataset, catalogue
from carbon254.model.bars import WIDTHS

from .bars import ANY, CHANGES, COLUMNS, SEALED, SPANS, current_rows, of_rows
from .literal import literal

# A statement that began before a seal was replaced may still read its bars.
_SWEPT_AFTER = timedelta(hours=1)
_HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class Unit:
    """A market day of a run, or an hour or day of instants: [starts, ends) in UTC, and the feeds that brought rows.

    `sequence` is its last change, `revised` says that something came again, `resolution` is that of the run in seconds.
    """

    market: str
    market_run: str
    grain: str
    starts: datetime
    ends: datetime
    day: date
    feeds: tuple[str, ...]
    sequence: int
    revised: bool
    resolution: int

    @property
    def dataset(self) -> Dataset:
        """Whose rows they are: of the instants with this run, else of intervals."""
        made = [one for one in catalogue().values() if one.bars is not None]
        return next(one for one in made if one.bars and one.bars.run == ("" if self.market else self.market_run))

    @property
    def rows(self) -> str:
        """The unit's rows in the table of their dataset."""
        bars = self.dataset.bars
        assert bars is not None
        where = [f"{bars.start} >= {literal(self.starts)}", f"{bars.start} < {literal(self.ends)}"]
        if self.market:
            where += [f"market = {literal(self.market)}", f"market_run = {literal(self.market_run)}"]
        return " AND ".join(where)

    @property
    def where(self) -> str:
        """The unit in the tables of changes, seals and sealed bars."""
        named = f"market = {literal(self.market)} AND market_run = {literal(self.market_run)}"
        return f"{named} AND grain = {literal(self.grain)} AND starts = {literal(self.starts)}"


class Sealing:
    """Seals units of one store."""

    def __init__(
        self,
        command: Callable[[str], Any],
        fetch: Callable[[str], pa.Table],
        writing: Callable[[str], AbstractContextManager[Any]],
    ) -> None:
        """`writing` is the lock that a dataset's writer holds from telling a change to storing its rows."""
        self._command, self._fetch, self._writing = command, fetch, writing

    def unsealed(self) -> list[Unit]:
        """Units without a seal, oldest first. Runs whose days do not begin at whole hours of UTC are left out, and stay
        so: their windows would lie in two days."""
        whole = f"toUnixTimestamp(starts) % {_HOUR_S} = 0 AND toUnixTimestamp(ends) % {_HOUR_S} = 0"
        sql = (
            "SELECT market, market_run, grain, starts, ends, day, feeds, sequence, revised, resolution "
            f"FROM {CHANGES} FINAL WHERE seal = 0 AND {whole} "
            "ORDER BY ends, market, market_run"
        )
        return [Unit(**_typed(row)) for row in self._fetch(sql).to_pylist()]

    def seal(self, unit: Unit) -> bool:
        """Store the unit's bars as they are now, and the seal; False where a change came meanwhile."""
        with self._writing(unit.dataset.name):
            # Within the lock every change that is told has its rows.
            sequence = self._sequence(unit)
        seal, names = uuid.uuid4().int >> 64 | 1, ", ".join(COLUMNS)
        reach("seal.begun")
        self._command(
            f"INSERT INTO {SEALED} ({names}, sequence, seal) SELECT {names}, {sequence}, {seal} FROM ({computed(unit)})"
        )
        reach("seal.stored")
        # A later change has a higher version: this one then never counts.
        told = "grain, market, market_run, starts, ends, day, feeds, first, last, resolution, revised, sequence"
        self._command(
            f"INSERT INTO {CHANGES} ({told}, seal, bars, version) SELECT {told}, {seal}, "
            f"(SELECT count() FROM {SEALED} WHERE seal = {seal}), 2 * sequence + 1 "
            f"FROM {CHANGES} FINAL WHERE {unit.where} AND sequence = {sequence}"
        )
        reach("seal.done")
        return self._sequence(unit) == sequence

    def _sequence(self, unit: Unit) -> int:
        return self._fetch(f"SELECT max(sequence) AS n FROM {CHANGES} WHERE {unit.where}")["n"][0].as_py()

    def sweep(self) -> int:
        """Take away bars of seals that count no more, an hour after they were stored; how many there were."""
        old = f"sealed_at < now() - {int(_SWEPT_AFTER.total_seconds())}"
        gone = f"{old} AND seal NOT IN (SELECT seal FROM {CHANGES} FINAL WHERE seal != 0)"
        count = self._fetch(f"SELECT count() AS n FROM {SEALED} WHERE {gone}")["n"][0].as_py()
        if count:
            self._command(f"DELETE FROM {SEALED} WHERE {gone} SETTINGS lightweight_deletes_sync = 2")
        return count


def computed(unit: Unit) -> str:
    """SELECT of the bars of a unit, computed from its current rows. Of an hour those of a day are none."""
    bars = unit.dataset.bars
    assert bars is not None
    widths = f"(SELECT * FROM {SPANS} WHERE seconds <= {int(WIDTHS[bars.seal].total_seconds())})"
    return of_rows(unit.dataset, current_rows(unit.dataset, unit.rows, ANY), widths)


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    times = {name: row[name].astimezone(UTC) for name in ("starts", "ends")}
    return row | times | {"feeds": tuple(sorted(row["feeds"])), "revised": bool(row["revised"])}
