"""A lost store made again, each from what is left: the raw archive, the log, and the journal of decisions.

Hot store and lake are rebuilt feed by feed from raw payloads, as a replay does; what the log alone knows of them (held
rows) comes from the log. The ledger reads the payloads again and counts what they came to. Verdicts follow from
arrivals, and are given anew. The log takes in what the archive knows and it does not. While a store is made again it is
noted as lost, so that a making that is cut off is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import polars as pl
import pyarrow as pa

from carbon254.clock import Clock
from carbon254.model import dataset
from carbon254.model.arrow import arrow_schema, conform
from carbon254.stores.lake import Following
from carbon254.stores.log import Record, records_of
from carbon254.stores.raw import RawArchive

from .codec import decode
from .condition import heal
from .counting import counts_record
from .dayjudge import DayJudge
from .deciding import acts_in, releases_in
from .lost import Watched, keep_marks
from .marking import HOT, LAKE, LEDGER, LOG, QUALITY
from .normaliser import Normaliser
from .noted import COMMANDS, note_lost, note_made_again, noted_lost
from .projector import Projector
from .proof import raw_records
from .quarantine import HELD, PREFIX, RELEASED, TABLE, changed
from .rebuilder import How, Rebuilder
from .source import Source
from .spans import spans_of

_WHO = "c254 rebuild"
_UNDER_WAY = "was being made again, and that was cut off"
Progress = Callable[[int, int], None]


class Remaker:
    """Makes stores again."""

    def __init__(
        self,
        stores: Watched,
        raw: RawArchive,
        normaliser: Normaliser,
        projector: Projector,
        rebuilder: Rebuilder,
        days: DayJudge,
        clock: Clock,
        drain: Callable[[], None],
    ) -> None:
        self._stores, self._raw, self._normaliser, self._projector = stores, raw, normaliser, projector
        self._rebuilder, self._days, self._clock, self._drain = rebuilder, days, clock, drain

    def remake(self, store: str, progress: Progress = lambda done, total: None) -> str:
        """Make a store again; what that came to, in words. Raises MissingRaw where payloads are missing or harmed."""
        ways: dict[str, Callable[[Progress], str]] = {
            HOT: self._hot, LAKE: self._lake, LEDGER: self._ledger, QUALITY: self._quality, LOG: self._log,
        }  # fmt: skip
        if store in COMMANDS:
            note_lost(self._stores.log, store, _UNDER_WAY)
        told = ways[store](progress)
        note_made_again(self._stores.log, store)
        return told

    def _hot(self, progress: Progress) -> str:
        rows = self._rows(HOT, progress)
        for topic, source in self._stores.sources.items():
            table = self._held(topic, source)
            if table is not None:
                self._stores.hot.replace_span(TABLE, topic, *_span(table), table)
        self._mark_released()
        self._days.judge_again()
        self._mark_released()
        keep_marks(self._stores, (LEDGER,))
        return f"{rows:,} rows"

    def _lake(self, progress: Progress) -> str:
        rows = self._rows(LAKE, progress)
        lake, offsets = self._stores.lake, dict[str, int]()
        for topic, source in self._stores.sources.items():
            table = self._held(topic, source)
            if table is not None:
                lake.replace_span(TABLE, topic, *_span(table), table)
        for feed, offset in self._stores.carried("lake").items():
            name = self._stores.sources[feed].dataset.name
            offsets[name] = max(offset, offsets.get(name, 0))
        following = Following(self._stores.marker.log, self._stores.log.end_offset)
        for name, offset in offsets.items():
            lake.append({name: arrow_schema(dataset(name)).empty_table()}, {name: offset}, following=following)
        return f"{rows:,} rows"

    def _ledger(self, progress: Progress) -> str:
        ledger, log, now = self._stores.ledger, self._stores.log, self._clock.now()
        ledger.forget()
        ledger.record(acts_in(self._stores.decisions.every()))
        every = [(topic, one) for topic in self._stores.sources for one in raw_records(log, topic)]
        for done, (_, one) in enumerate(every):
            progress(done, len(every))
            record = log.fetch(one.offset)
            outcome = self._normaliser.outcome(record)
            batches = [Record(0, new.topic, new.key, dict(new.headers), new.body) for new in outcome.batches]
            self._projector.note_again(
                [one for one in batches if one.topic.startswith("rows.")], counts_record(record, outcome)
            )
        keep_marks(self._stores, (HOT,))
        ledger.keep_mark(self._stores.marker.at(self._stores.verdicts.turns()), QUALITY)
        ledger.prune(now - timedelta(days=90))
        return f"{len(every):,} payloads"

    def _quality(self, progress: Progress) -> str:
        return f"{self._days.judge_again(lambda done: progress(done, done)):,} verdicts"

    def _log(self, progress: Progress) -> str:
        self._stores, reread = heal(self._stores, self._raw, noted_lost(self._stores.log), progress)
        self._drain()
        return str(reread)

    def _rows(self, store: str, progress: Progress) -> int:
        """Rebuild every span of every feed in one store; how many rows that came to."""
        spans = [
            (source, *span)
            for source in self._stores.sources.values()
            for span in spans_of(source, self._stores.log, self._stores.ledger)
        ]
        rows = 0
        for done, (source, low, high) in enumerate(spans):
            progress(done, len(spans))
            how = How(only=store, who=_WHO, why=f"the {store} is made again")
            rows += self._rebuilder.rebuild(source, low, high, self._clock.now(), None, how).rows
        return rows

    def _held(self, topic: str, source: Source) -> pa.Table | None:
        """Every statement about held rows of a feed: as the log has them, and what people decided of them."""
        tables = [decode(record.body) for record in records_of(self._stores.log, f"{PREFIX}{topic}")]
        if not tables:
            return None
        rows = pl.DataFrame(pa.concat_tables(tables).unify_dictionaries())
        rows = rows.with_columns(pl.col(pl.Categorical).cast(pl.String))
        found = [rows]
        for feed, _, ids, release in releases_in(self._stores.decisions.every()):
            mine = rows.filter(pl.col("row_id").is_in(list(ids)) & (pl.col("status") == HELD))
            if feed == topic and mine.height:
                done = changed(mine, RELEASED, release.at, release.who, release.why)
                found.append(done.unique("row_id", keep="first", maintain_order=True))
        whole = pl.concat(found, how="vertical_relaxed").unique(["row_id", "status", "changed_at"], maintain_order=True)
        return conform(whole, dataset(TABLE))

    def _mark_released(self) -> None:
        for feed, day, _, release in releases_in(self._stores.decisions.every()):
            source = self._stores.sources.get(feed)
            if day and source is not None:
                self._days.mark(source, day, RELEASED, release.why, release.at)


def _span(table: pa.Table) -> tuple[datetime, datetime]:
    """The span of partition times of a feed's held rows, which is all that is stored of them."""
    times = pl.DataFrame(table.select([dataset(TABLE).partition])).to_series()
    low, high = times.min(), times.max()
    assert isinstance(low, datetime) and isinstance(high, datetime)
    return low, high + timedelta(microseconds=1)
