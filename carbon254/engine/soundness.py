"""Is what is stored still what was stored? Every payload, record, part and file, each finding named by feed and day.

Four witnesses are asked: the raw archive (names are digests), the log (checksums), the hot store (the engine's own
checksums, and hashes of its rows) and the lake (hashes of its rows). Where hot store and lake disagree about a
partition, the raw payloads decide which of them is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby

import polars as pl
import pyarrow as pa

from carbon254.errors import CorruptPayload
from carbon254.model import Dataset, catalogue
from carbon254.proof.partitions import Chunks
from carbon254.stores.hot import HotStore
from carbon254.stores.lake import Lake
from carbon254.stores.ledger import Ledger
from carbon254.stores.log import Log, records_of
from carbon254.stores.raw import RawArchive

from .codec import decode
from .lakekeeper import broken_files
from .normaliser import Normaliser
from .proof import Prover, RawRecord, by_date, day_span, days_of, raw_records, told
from .source import Source

_MOST = 1_000_000
Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was stored. `feed` and `partition` are empty where it is about a file as a whole."""

    place: str
    feed: str
    partition: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {' '.join(part for part in (self.feed, self.partition) if part)}: {self.what}".replace(
            ": :", ":"
        )


@dataclass
class Soundness:
    """Asks the witnesses of one workspace."""

    log: Log
    raw: RawArchive
    hot: HotStore
    lake: Lake
    ledger: Ledger
    normaliser: Normaliser
    prover: Prover
    sources: Mapping[str, Source]

    def findings(self, advance: Advance | None = None) -> Iterator[Finding]:
        """Everything that is wrong; nothing for a sound workspace. Consumers must have carried what there is."""
        yield from (Finding("log", "", "", problem) for problem in self.log.check())
        topics = sorted(self.sources)
        yield from self.origins()
        for done, topic in enumerate(topics):
            if advance:
                advance(done, len(topics))
            yield from self.payloads(topic)
            yield from self.rows(topic)
        yield from self.engine()
        yield from self.files()
        yield from self.bars()

    def payloads(self, topic: str) -> Iterator[Finding]:
        """Each payload of the raw log is in the archive, whole, with the arrival that the log tells."""
        source = self.sources[topic]
        for record in raw_records(self.log, topic):
            low, high = record.span or (record.received_at, record.received_at)
            days = days_of(source, record.span, low, high + timedelta(microseconds=1))
            day = f"{days[0]} … {days[-1]}" if len(days) > 1 else "".join(days)
            what = self._payload(topic, record)
            if what:
                yield Finding("raw", topic, day, f"payload {record.name} ({record.sha256[:12]}…) {what}")

    def origins(self) -> Iterator[Finding]:
        """Every row in the hot store came from a payload that the raw log still knows."""
        known = {topic: {record.sha256 for record in raw_records(self.log, topic)} for topic in self.sources}
        for dataset in (one for one in catalogue().values() if "payload" in one.names):
            try:
                rows = self.hot.fetch(f"SELECT DISTINCT feed, payload FROM store.{dataset.name}").to_pylist()
            except Exception:  # the engine's own check says what it is
                continue
            for row in rows:
                if row["payload"] not in known.get(row["feed"], ()):
                    what = f"rows came from payload {row['payload'][:12]}…, which the raw log does not know"
                    yield Finding("log", row["feed"], self._days_of(dataset, row["payload"]), what)

    def _days_of(self, dataset: Dataset, payload: str) -> str:
        time = dataset.partition
        found = self.hot.fetch(
            f"SELECT toString(toDate(min({time}))) AS a, toString(toDate(max({time}))) AS b "
            f"FROM store.{dataset.name} WHERE payload = '{payload}'"
        ).to_pylist()[0]
        return found["a"] if found["a"] == found["b"] else f"{found['a']} … {found['b']}"

    def _payload(self, topic: str, record: RawRecord) -> str:
        try:
            self.raw.get(record.sha256)
        except KeyError:
            return "is missing from the raw archive"
        except CorruptPayload as error:
            return f"is harmed: {error}"
        try:
            arrivals = self.raw.provenance(record.sha256)
        except (ValueError, KeyError, TypeError, OSError) as error:
            return f"has an arrival that cannot be read ({type(error).__name__})"
        if any(one.feed == topic and one.received_at == record.received_at for one in arrivals):
            return ""
        return f"arrived at {record.received_at} by the log, which the archive does not know"

    def rows(self, topic: str) -> Iterator[Finding]:
        """Hot store and lake hold the same rows of each partition; the raw payloads decide where they do not."""
        source = self.sources[topic]
        days = sorted(entry.partition for entry in self.ledger.entries(topic, limit=_MOST) if entry.rows)
        if not days:
            return
        low, high = _span(source, days[0])[0], _span(source, days[-1])[1]
        try:
            held, kept = self.prover.held(source, low, high, True), self.prover.kept(source, low, high)
        except Exception:
            yield from self._day_by_day(source, days)
            return
        for day in sorted({*days, *held.days(), *kept.days()}):
            yield from self._judged(source, day, held, kept)

    def _day_by_day(self, source: Source, days: list[str]) -> Iterator[Finding]:
        """What cannot be read whole is read day by day, so that the days that cannot are named."""
        yield from _together(self._each(source, days))

    def _each(self, source: Source, days: list[str]) -> Iterator[Finding]:
        for day in days:
            read: dict[str, Chunks] = {}
            for place, reading in (("hot store", self._held), ("lake", self.prover.kept)):
                try:
                    read[place] = reading(source, *_span(source, day))
                except Exception as error:
                    text = " ".join(str(error).split())[:200]
                    yield Finding(place, source.stream.topic, day, f"cannot be read: {type(error).__name__}: {text}")
            if len(read) == 2:
                yield from self._judged(source, day, read["hot store"], read["lake"])

    def _held(self, source: Source, low: datetime, high: datetime) -> Chunks:
        return self.prover.held(source, low, high, True)

    def _judged(self, source: Source, day: str, held: Chunks, kept: Chunks) -> Iterator[Finding]:
        has, keeps = held.of(day), kept.of(day)
        if has == keeps and has[0]:
            return
        topic = source.stream.topic
        if has == keeps:
            yield Finding("hot store and lake", topic, day, "the ledger noted rows, and neither holds one")
            return
        truth = self._made_again(source, day)
        for place, found in (("hot store", has), ("lake", keeps)):
            if truth is None:
                yield Finding(
                    place, topic, day, f"has {found[0]:,} rows that differ from the other's, and raw is harmed"
                )
            elif found != truth:
                told_rows = f"{found[0]:,} rows, {truth[0]:,} by the raw payloads"
                what = told_rows if found[0] != truth[0] else f"values among its {found[0]:,} rows differ from raw"
                yield Finding(place, topic, day, f"{what}; mend it: c254 feeds replay --feed {topic} --partition {day}")

    def _made_again(self, source: Source, day: str) -> tuple[int, str] | None:
        """(rows, hash) of a partition as its raw payloads say; None where they cannot be read."""
        low, high = _span(source, day)
        tables: list[pa.Table] = []
        for record in list(records_of(self.log, f"raw.{source.stream.topic}")):
            try:
                batches = self.normaliser.outcome(record).batches
                tables += [decode(batch.body) for batch in batches if batch.topic.startswith("rows.")]
            except (KeyError, CorruptPayload):
                return None
        time = source.dataset.partition
        chunks = Chunks(time, source.stream.clock)
        if tables:
            frame = pl.DataFrame(pa.concat_tables(tables).unify_dictionaries()).select(told(source.dataset))
            first, last = (low.date(), high.date()) if by_date(source) else (low, high)
            within = frame.filter((pl.col(time) >= first) & (pl.col(time) < last))
            chunks.add(within.with_columns(pl.col(pl.Categorical).cast(pl.String)).unique())
        return chunks.of(day)

    def engine(self) -> Iterator[Finding]:
        """The engine's own checksums, part by part, and the parts it set aside when it started."""
        for dataset in catalogue().values():
            try:
                parts = self.hot.fetch(f"CHECK TABLE store.{dataset.name} SETTINGS check_query_single_value_result = 0")
            except Exception as error:
                yield Finding("hot store", dataset.name, "", f"cannot be checked: {' '.join(str(error).split())[:200]}")
                continue
            for part in parts.to_pylist():
                if not part["is_passed"]:
                    where, feeds = self._of_part(dataset, part["part_path"])
                    yield Finding(
                        "hot store", feeds, where, f"part {part['part_path']} is harmed: {part['message'][:160]}"
                    )
        aside = "SELECT table, name, reason FROM system.detached_parts WHERE database = 'store'"
        for row in self.hot.fetch(aside).to_pylist():
            where, feeds = self._of_part(catalogue().get(row["table"]), row["name"])
            yield Finding(
                "hot store", feeds, where, f"{row['table']}: part {row['name']} was set aside ({row['reason']})"
            )

    def files(self) -> Iterator[Finding]:
        """The lake's files are those that were committed, byte by byte."""
        for dataset in catalogue().values():
            try:
                for one in broken_files(self.log, self.lake, dataset.name):
                    feeds = self._near(dataset, one.partition) if one.partition else ""
                    yield Finding("lake", feeds or dataset.name, one.partition, f"{one.path}: {one.what}")
            except Exception as error:
                yield Finding("lake", dataset.name, "", f"cannot be read: {' '.join(str(error).split())[:200]}")

    def _of_part(self, dataset: Dataset | None, name: str) -> tuple[str, str]:
        """The month or year of a part, and the feeds that may have rows in it."""
        digits = next((bit for bit in name.replace("-", "_").split("_") if bit.isdigit() and len(bit) in (4, 6)), "")
        where = f"{digits[:4]}-{digits[4:]}".rstrip("-")
        if dataset is None:
            return where, ""
        return where, self._near(dataset, where) or dataset.name

    def _near(self, dataset: Dataset, where: str) -> str:
        """Feeds of a dataset with partitions in a year, month or day (a UTC day may be of the market day before)."""
        topics = [topic for topic, source in self.sources.items() if source.stream.dataset == dataset.name]
        days = {topic: [entry.partition for entry in self.ledger.entries(topic, limit=_MOST)] for topic in topics}
        short = where[:7]
        return ", ".join(sorted(t for t, found in days.items() if any(day.startswith(short) for day in found)))

    def bars(self) -> Iterator[Finding]:
        """Every place and hour with prices has its hourly bar."""
        counted = (
            "SELECT market, market_run, toYYYYMM(interval_start) AS month, "
            "uniqExact(location_id, toStartOfHour(interval_start)) AS n FROM store.interval_prices GROUP BY ALL"
        )
        made = (
            "SELECT market, market_run, toYYYYMM(bar_start) AS month, uniqExact(location_id, bar_start) AS n "
            "FROM store.ohlc_bars WHERE width = '1h' GROUP BY ALL"
        )
        try:
            wanted, there = (
                {tuple(row[name] for name in ("market", "market_run", "month")): row["n"] for row in found.to_pylist()}
                for found in map(self.hot.fetch, (counted, made))
            )
        except Exception as error:
            yield Finding("hot store", "ohlc_bars", "", f"cannot be read: {' '.join(str(error).split())[:200]}")
            return
        for (market, run, month), n in sorted(wanted.items()):
            if there.get((market, run, month), 0) < n:
                what = f"{there.get((market, run, month), 0):,} hourly bars, {n:,} hours with prices"
                yield Finding("hot store", f"ohlc_bars of {market} {run}", str(month), what)


def _together(found: Iterable[Finding]) -> Iterator[Finding]:
    """One finding for days in a row with the same trouble."""
    ordered = sorted(found, key=lambda one: (one.place, one.partition))
    for _, same in groupby(ordered, lambda one: (one.place, one.what)):
        first, *later = same
        yield replace(first, partition=f"{first.partition} … {later[-1].partition}") if later else first


def _span(source: Source, day: str) -> tuple[datetime, datetime]:
    return day_span(source.stream, date.fromisoformat(day))
