"""What a rebuild must not make worse: a rebuilt market day that fails where the standing one does not stays out.

The standing rows of such a day go into the rebuild's place, so that partition and file are swapped whole, readers keep
the last good version, and the day's verdict says why.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime

import polars as pl
import pyarrow as pa

from carbon254.calendars import day_of, market_day_span
from carbon254.model.arrow import arrow_schema
from carbon254.stores.hot import HotStore
from carbon254.stores.hot.literal import within, without
from carbon254.stores.ledger import Act, Ledger
from carbon254.stores.log import Log, NewRecord

from .dayjudge import WHO, DayJudge, worse
from .gate import forgiven
from .quarantine import HELD, RELEASED, RESOLVED, changed, held_record, open_rows, with_key
from .source import Source

Span = tuple[datetime, datetime]
_KEPT = 0.98


class Withholding:
    """Compares rebuilt days with those that stand."""

    def __init__(self, log: Log, hot: HotStore, ledger: Ledger, days: DayJudge) -> None:
        self._log, self._hot, self._ledger, self._days = log, hot, ledger, days

    def kept_back(
        self, source: Source, table: pa.Table | None, days: Sequence[str], span: Span, now: datetime
    ) -> dict[str, str]:
        """Days of the table rebuilt for a span that may not come in, with the reason of each."""
        if source.rules is None or source.dataset.name != "interval_prices":
            return {}
        rebuilt = pl.DataFrame(table) if table is not None else None
        found = {}
        for day in days:
            why = self._compared(source, day, _of_day(source, rebuilt, day), span, now)
            if why and self._days.status(source.stream.topic, day)[0] != RELEASED:
                found[day] = why
        return found

    def with_standing(
        self,
        source: Source,
        table: pa.Table | None,
        days: Sequence[str],
        span: Span,
        coming: Collection[tuple[datetime, str]] = (),
    ) -> pa.Table | None:
        """The rebuilt table with the standing rows, every version, in the place of the rebuilt ones of these days.

        Rows of the arrivals (received_at, payload) in `coming` are no part of the rebuild, and left out.
        """
        if not days:
            return table
        kind = source.dataset
        parts = []
        if table is not None:
            told = day_of(pl.DataFrame(table.select([kind.partition])).to_series(), source.stream.clock)
            stays = ~told.is_in([date.fromisoformat(day) for day in days])
            parts.append(table.filter(pa.array(stays.to_numpy())))
        for day in days:
            first, last = market_day_span(date.fromisoformat(day), source.stream.clock)
            low, high = max(first, span[0]), min(last, span[1])
            where = f"feed = '{source.stream.topic}' AND {within(kind, low, high)}{without(coming)}"
            held = self._hot.fetch(f"SELECT {', '.join(kind.names)} FROM {kind.name}_versions WHERE {where}")
            parts.append(held.cast(arrow_schema(kind)))
        return pa.concat_tables(part.replace_schema_metadata(None) for part in parts).unify_dictionaries()

    def tell(self, source: Source, kept: dict[str, str], now: datetime) -> None:
        """Mark the days for readers, and write the reason down."""
        topic = source.stream.topic
        for day, why in kept.items():
            told = f"the rebuilt day stays out: {why}"
            self._days.mark(source, day, HELD, told, now)
            self._ledger.record([Act(now, WHO, "rebuild held", topic, day, told)])

    def settle(self, source: Source, table: pa.Table | None, held: Sequence[NewRecord], now: datetime) -> None:
        """Rows that today's rules hold go to quarantine; held rows that they let through are resolved.

        A row that was held before is the same record again, and changes nothing.
        """
        records = list(held)
        waiting = open_rows(self._hot, source.stream.topic)
        if waiting.height and table is not None:
            mine = [*source.dataset.key, "payload"]
            rows = pl.DataFrame(table.select(mine)).with_columns(pl.col(pl.Categorical).cast(pl.String))
            back = with_key(waiting, source.dataset).join(rows.unique(), on=mine, how="semi")
            if back.height:
                done = changed(back.select(waiting.columns), RESOLVED, now, WHO, "a rebuild by other rules let it pass")
                records.append(held_record(done, source, f"resolved-rebuild-{now.isoformat()}"))
        if records:
            self._log.append(records)

    def _compared(self, source: Source, day: str, rebuilt: pl.DataFrame, span: Span, now: datetime) -> str:
        time = source.dataset.partition
        whole = self._days.standing(source, day)
        mine = pl.col(time).is_between(*span, closed="left")
        standing = whole.filter(mine)
        if not standing.height:
            return ""
        if not rebuilt.height:
            return f"no row is left of {standing.height:,}"
        names = [one.name for one in source.dataset.columns if one.role in ("key", "value")]
        if rebuilt.select(names).sort(names).equals(standing.select(names).sort(names)):
            return ""
        key = list(source.dataset.key)
        lost = standing.select(key).join(rebuilt.select(key), on=key, how="anti").height
        if lost > forgiven(_KEPT, standing.height):
            return f"{lost:,} of {standing.height:,} standing prices are not in it"
        after = pl.concat([rebuilt.select(whole.columns), whole.filter(~mine)], how="vertical_relaxed")
        _, made = self._days.judge(source, day, after, now)
        _, stood = self._days.judge(source, day, whole, now)
        return worse(made, stood)


def _of_day(source: Source, rebuilt: pl.DataFrame | None, day: str) -> pl.DataFrame:
    """The version that would stand, of each key of a market day."""
    kind = source.dataset
    if rebuilt is None:
        return pl.DataFrame()
    low, high = market_day_span(date.fromisoformat(day), source.stream.clock)
    rows = rebuilt.filter((pl.col(kind.partition) >= low) & (pl.col(kind.partition) < high))
    rows = rows.with_columns(pl.col(pl.Categorical).cast(pl.String))
    return rows.sort(kind.version, maintain_order=True).unique(kind.key, keep="last", maintain_order=True)
