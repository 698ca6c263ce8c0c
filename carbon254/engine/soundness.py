"""Is what is stored still what was stored? Every payload, record, part and file, each finding named by feed and day.

Witnesses are asked: the raw archive (names are digests), the log (checksums), the hot store (the engine's own
checksums, and hashes of its rows), the lake (hashes of its rows), the ledger and what is kept of quality. Where hot
store and lake disagree about a partition, the raw payloads decide which of them is wrong. How much was compared is
counted: a store that holds nothing beside a raw archive that does is a finding, and not a sound one. Each payload is
read once, and those of partitions in dispute are parsed from that reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import polars as pl
import pyarrow as pa

from carbon254.calendars import day_of
from carbon254.errors import CorruptPayload, CorruptRecord
from carbon254.model import Dataset, catalogue
from carbon254.proof.partitions import Chunks
from carbon254.stores.hot import HotStore
from carbon254.stores.lake import Lake, Lying
from carbon254.stores.ledger import Ledger
from carbon254.stores.log import Log
from carbon254.stores.metrics import MetricStore
from carbon254.stores.raw import Held, RawArchive

from .codec import decode
from .lakekeeper import broken_files
from .normaliser import Normaliser
from .proof import Prover, RawRecord, by_date, day_span, days_of, raw_records, told
from .source import Source

_MOST = 1_000_000
_ALWAYS = ("", "9999-12-31")
# Beyond so many partitions that only one store has, it has lost them: nobody reads all payloads to say so.
_SPARE = 31
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


@dataclass(frozen=True, slots=True)
class _Disputed:
    """Partitions of a feed on which hot store and lake differ, or of which neither has a row."""

    source: Source
    held: Mapping[str, tuple[int, str]]
    kept: Mapping[str, tuple[int, str]]


@dataclass
class Soundness:
    """Asks the witnesses of one workspace. `compared` says how much of what was looked at, once findings are read."""

    log: Log
    raw: RawArchive
    hot: HotStore
    lake: Lake
    ledger: Ledger
    normaliser: Normaliser
    prover: Prover
    sources: Mapping[str, Source]
    quality: Mapping[str, MetricStore] = field(default_factory=dict)
    compared: Counter[str] = field(default_factory=Counter)

    def findings(self, advance: Advance | None = None) -> Iterator[Finding]:
        """Everything that is wrong; nothing for a sound workspace. Consumers must have carried what there is."""
        yield from (Finding("log", "", "", problem) for problem in self.log.check())
        self.compared["log records"] = sum(one.records for one in self.log.topics())
        yield from self.origins()
        disputed: list[_Disputed] = []
        for topic in sorted(self.sources):
            yield from self.rows(topic, disputed)
        yield from self.payloads(disputed, advance)
        yield from self.engine()
        yield from self.files()
        yield from self.bars()
        yield from self.judged()

    def payloads(self, disputed: Iterable[_Disputed] = (), advance: Advance | None = None) -> Iterator[Finding]:
        """Each payload of the archive is whole, and the log's are there with the arrivals that it tells.

        Each is read once, however often it arrived; where partitions are in dispute their rows are made of it again.
        """
        waiting = {one.source.stream.topic: one for one in disputed}
        ids = set(self.raw.ids())
        records = [(topic, record) for topic in sorted(self.sources) for record in raw_records(self.log, topic)]
        if ids and not records:
            yield Finding("log", "", "", f"knows none of the {len(ids):,} payloads of the raw archive; restore it")
        read: dict[str, str] = {}
        for topic, mine in groupby(records, lambda one: one[0]):
            # What a feed's disputed partitions are made of is kept only while its payloads are read.
            made = _Made(self, waiting[topic]) if topic in waiting else None
            for _, record in mine:
                yield from self._payload(topic, record, read, made)
                if advance:
                    advance(len(read), len(ids))
            if made is not None:
                yield from made.findings()
        for sha256 in sorted(ids - read.keys()):
            what, _ = self._read(sha256)
            read[sha256] = what
            if what:
                yield Finding("raw", "", "", f"payload {sha256[:12]}…, which the log does not know, {what}")
            if advance:
                advance(len(read), len(ids))
        self.compared["payloads"] = len(ids | read.keys())

    def _payload(self, topic: str, record: RawRecord, read: dict[str, str], made: _Made | None) -> Iterator[Finding]:
        data = None
        if record.sha256 not in read:
            read[record.sha256], data = self._read(record.sha256)
        what = read[record.sha256] or self._arrival(topic, record)
        if what:
            low, high = record.span or (record.received_at, record.received_at)
            days = days_of(self.sources[topic], record.span, low, high + timedelta(microseconds=1))
            day = f"{days[0]} … {days[-1]}" if len(days) > 1 else "".join(days)
            yield Finding("raw", topic, day, f"payload {record.name} ({record.sha256[:12]}…) {what}")
        if made is not None:
            made.take(record, None if read[record.sha256] else data)

    def _read(self, sha256: str) -> tuple[str, bytes | None]:
        """(what is wrong with a payload, its bytes)."""
        try:
            data = self.raw.get(sha256)
        except KeyError:
            return "is missing from the raw archive", None
        except CorruptPayload as error:
            return f"is harmed: {error}", None
        self.compared["payload bytes"] += len(data)
        return "", data

    def _arrival(self, topic: str, record: RawRecord) -> str:
        try:
            arrivals = self.raw.provenance(record.sha256)
        except (ValueError, KeyError, TypeError, OSError) as error:
            return f"has an arrival that cannot be read ({type(error).__name__})"
        self.compared["arrivals"] += 1
        if any(one.feed == topic and one.received_at == record.received_at for one in arrivals):
            return ""
        return f"arrived at {record.received_at} by the log, which the archive does not know"

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

    def rows(self, topic: str, disputed: list[_Disputed]) -> Iterator[Finding]:
        """Hot store and lake hold the same rows of each partition, and the ledger knows it; what they do not agree on
        goes to `disputed`, for the raw payloads to decide."""
        source = self.sources[topic]
        noted = {entry.partition for entry in self.ledger.entries(topic, limit=_MOST) if entry.rows}
        self.compared["ledger entries"] += len(noted)
        days = sorted(noted | set(self._brought(source)))
        if not days:
            return
        low, high = _span(source, days[0])[0], _span(source, days[-1])[1]
        try:
            held, kept = self.prover.held(source, low, high, True), self.prover.kept(source, low, high)
        except Exception:
            yield from self._day_by_day(source, days, disputed)
            return
        days = sorted({*days, *held.days(), *kept.days()})
        yield from self._unknown(topic, [day for day in held.days() if day not in noted])
        has, keeps = {day: held.of(day) for day in days}, {day: kept.of(day) for day in days}
        if lost := _lost(topic, days, has, keeps):
            yield lost
            return
        self._judged(source, has, keeps, disputed)

    def _brought(self, source: Source) -> Iterator[str]:
        """Partitions that payloads held rows of, by the log."""
        for record in raw_records(self.log, source.stream.topic):
            if record.span is not None:
                yield from days_of(source, record.span, record.span[0], record.span[1] + timedelta(microseconds=1))

    def _unknown(self, topic: str, days: list[str]) -> Iterator[Finding]:
        if days:
            where = f"{days[0]} … {days[-1]}" if len(days) > 1 else days[0]
            what = (
                f"has no entry of {len(days):,} partitions that the hot store holds; restore the ledger from a backup"
            )
            yield Finding("ledger", topic, where, what)

    def _day_by_day(self, source: Source, days: list[str], disputed: list[_Disputed]) -> Iterator[Finding]:
        """What cannot be read whole is read day by day, so that the days that cannot are named."""
        yield from _together(self._each(source, days, disputed))

    def _each(self, source: Source, days: list[str], disputed: list[_Disputed]) -> Iterator[Finding]:
        held: dict[str, tuple[int, str]] = {}
        kept: dict[str, tuple[int, str]] = {}
        for day in days:
            read: dict[str, Chunks] = {}
            for place, reading in (("hot store", self._held), ("lake", self.prover.kept)):
                try:
                    read[place] = reading(source, *_span(source, day))
                except Exception as error:
                    text = " ".join(str(error).split())[:200]
                    yield Finding(place, source.stream.topic, day, f"cannot be read: {type(error).__name__}: {text}")
            if len(read) == 2:
                held[day], kept[day] = read["hot store"].of(day), read["lake"].of(day)
        self._judged(source, held, kept, disputed)

    def _held(self, source: Source, low: datetime, high: datetime) -> Chunks:
        return self.prover.held(source, low, high, True)

    def _judged(
        self,
        source: Source,
        held: Mapping[str, tuple[int, str]],
        kept: Mapping[str, tuple[int, str]],
        disputed: list[_Disputed],
    ) -> None:
        self.compared["partitions"] += len(held)
        self.compared["hot rows"] += sum(rows for rows, _ in held.values())
        self.compared["lake rows"] += sum(rows for rows, _ in kept.values())
        odd = [day for day in held if held[day] != kept[day] or not held[day][0]]
        if odd:
            disputed.append(_Disputed(source, {day: held[day] for day in odd}, {day: kept[day] for day in odd}))

    def judged(self) -> Iterator[Finding]:
        """What is kept of quality can be read, and readers see no verdict that is kept nowhere."""
        for name, store in self.quality.items():
            for topic in store.feeds():
                try:
                    self.compared[f"{name} states"] += len(store.between(topic, *_ALWAYS))
                except CorruptRecord as error:
                    yield Finding("quality", topic, "", str(error))
        seen = "SELECT feed, uniqExact(market_day) AS n FROM store.verdicts WHERE number > 0 GROUP BY feed"
        try:
            shown = {row["feed"]: row["n"] for row in self.hot.fetch(seen).to_pylist()}
        except Exception:  # the engine's own check says what it is
            return
        self.compared["verdicts"] = sum(shown.values())
        store = self.quality.get("verdict")
        for topic, n in sorted(shown.items()):
            if store is not None and not store.marks(topic, _ALWAYS[1], limit=1):
                yield Finding("quality", topic, "", f"keeps none of the {n:,} verdicts that readers see; restore it")

    def engine(self) -> Iterator[Finding]:
        """The engine's own checksums, part by part, and the parts it set aside when it started."""
        for dataset in catalogue().values():
            try:
                parts = self.hot.fetch(f"CHECK TABLE store.{dataset.name} SETTINGS check_query_single_value_result = 0")
            except Exception as error:
                yield Finding("hot store", dataset.name, "", f"cannot be checked: {' '.join(str(error).split())[:200]}")
                continue
            self.compared["hot parts"] += parts.num_rows
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
        self.compared["lake files"] = sum(one.files for one in self._laid())
        for dataset in catalogue().values():
            try:
                for one in broken_files(self.log, self.lake, dataset.name):
                    feeds = self._near(dataset, one.partition) if one.partition else ""
                    yield Finding("lake", feeds or dataset.name, one.partition, f"{one.path}: {one.what}")
            except Exception as error:
                yield Finding("lake", dataset.name, "", f"cannot be read: {' '.join(str(error).split())[:200]}")

    def _laid(self) -> Iterable[Lying]:
        try:
            return self.lake.stats(datetime.now(UTC))
        except Exception:  # each table is asked by itself
            return ()

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
        self.compared["hours with bars"] = sum(wanted.values())
        for (market, run, month), n in sorted(wanted.items()):
            if there.get((market, run, month), 0) < n:
                what = f"{there.get((market, run, month), 0):,} hourly bars, {n:,} hours with prices"
                yield Finding("hot store", f"ohlc_bars of {market} {run}", str(month), what)


class _Made:
    """Rows of a feed's disputed partitions as its raw payloads say, made as the payloads go by."""

    def __init__(self, soundness: Soundness, disputed: _Disputed) -> None:
        self._of, self._disputed = soundness, disputed
        days = sorted(disputed.held)
        self._low, self._high = _span(disputed.source, days[0])[0], _span(disputed.source, days[-1])[1]
        # Where neither store has a row, how many there should be is enough.
        self._counted = {day: 0 for day in days if not disputed.held[day][0] and not disputed.kept[day][0]}
        self._frames: list[pl.DataFrame] = []
        self._harmed: set[str] = set()

    def take(self, record: RawRecord, data: bytes | None) -> None:
        """One payload of the feed; without bytes it is harmed, or was taken before."""
        source = self._disputed.source
        days = set(days_of(source, record.span, self._low, self._high)) & self._disputed.held.keys()
        if not days:
            return
        try:
            raw = self._of.raw if data is None else Held(self._of.raw, record.sha256, data)
            stored = self._of.log.fetch(record.offset)
            batches = self._of.normaliser.reading(raw).outcome(stored).batches
        except (KeyError, CorruptPayload):
            self._harmed |= days
            return
        for batch in batches:
            if batch.topic.startswith("rows."):
                self._frames += self._within(source, decode(batch.body))

    def _within(self, source: Source, table: pa.Table) -> Iterator[pl.DataFrame]:
        time = source.dataset.partition
        frame = pl.DataFrame(table).select(told(source.dataset))
        first, last = (self._low.date(), self._high.date()) if by_date(source) else (self._low, self._high)
        mine = frame.filter((pl.col(time) >= first) & (pl.col(time) < last))
        days = mine[time] if by_date(source) else day_of(mine[time], source.stream.clock)
        for day, rows in days.cast(pl.String).value_counts().iter_rows():
            self._counted.update({day: self._counted[day] + rows} if day in self._counted else {})
        asked = mine.filter(~days.cast(pl.String).is_in(list(self._counted)))
        if asked.height:
            yield asked.with_columns(pl.col(pl.Categorical).cast(pl.String))

    def findings(self) -> Iterator[Finding]:
        """Which of hot store and lake is wrong about each partition."""
        source, topic = self._disputed.source, self._disputed.source.stream.topic
        chunks = Chunks(source.dataset.partition, source.stream.clock)
        if self._frames:
            chunks.add(pl.concat(self._frames, how="vertical_relaxed").unique())
        for day, rows in sorted(self._counted.items()):
            if rows or day in self._harmed:
                told_rows = "cannot be read" if day in self._harmed else f"hold {rows:,}"
                what = f"neither has a row, and the raw payloads {told_rows}; mend it: c254 feeds replay --feed {topic}"
                yield Finding("hot store and lake", topic, day, f"{what} --partition {day}")
        for day in sorted(self._disputed.held.keys() - self._counted.keys()):
            truth = None if day in self._harmed else chunks.of(day)
            for place, found in (("hot store", self._disputed.held[day]), ("lake", self._disputed.kept[day])):
                if truth is None:
                    what = f"has {found[0]:,} rows that differ from the other's, and raw is harmed"
                    yield Finding(place, topic, day, what)
                elif found != truth:
                    rows = f"{found[0]:,} rows, {truth[0]:,} by the raw payloads"
                    what = rows if found[0] != truth[0] else f"values among its {found[0]:,} rows differ from raw"
                    mend = f"mend it: c254 feeds replay --feed {topic} --partition {day}"
                    yield Finding(place, topic, day, f"{what}; {mend}")


def _lost(
    topic: str, days: list[str], held: Mapping[str, tuple[int, str]], kept: Mapping[str, tuple[int, str]]
) -> Finding | None:
    """A store that holds nothing of many partitions of a feed, where the other has rows."""
    rows = {place: sum(rows for rows, _ in found.values()) for place, found in (("hot store", held), ("lake", kept))}
    empty = [place for place, count in rows.items() if not count]
    if len(days) <= _SPARE or len(empty) != 1:
        return None
    after = date.fromisoformat(days[-1]) + timedelta(days=1)
    what = f"holds none of {max(rows.values()):,} rows that the other has; mend it: c254 feeds replay --feed {topic}"
    return Finding(empty[0], topic, f"{days[0]} … {days[-1]}", f"{what} --from {days[0]} --to {after}")


def _together(found: Iterable[Finding]) -> Iterator[Finding]:
    """One finding for days in a row with the same trouble."""
    ordered = sorted(found, key=lambda one: (one.place, one.partition))
    for _, same in groupby(ordered, lambda one: (one.place, one.what)):
        first, *later = same
        yield replace(first, partition=f"{first.partition} … {later[-1].partition}") if later else first


def _span(source: Source, day: str) -> tuple[datetime, datetime]:
    return day_span(source.stream, date.fromisoformat(day))
