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
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby

from carbon254.errors import CorruptPayload
from carbon254.model import Dataset, catalogue
from carbon254.proof.partitions import Chunks
from carbon254.stores.hot import HotStore
from carbon254.stores.lake import Lake
from carbon254.stores.ledger import Ledger
from carbon254.stores.log import Log
from carbon254.stores.metrics import MetricStore
from carbon254.stores.raw import RawArchive

from .disputes import Disputed, Remade, span_of
from .finding import Finding, together
from .normaliser import Normaliser
from .proof import Prover, RawRecord, days_of, raw_records
from .source import Source
from .storechecks import StoreChecks

_MOST = 1_000_000
# Beyond so many partitions that only one store has, it has lost them: nobody reads all payloads to say so.
_SPARE = 31
Advance = Callable[[int, int], None]


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
        disputed: list[Disputed] = []
        for topic in sorted(self.sources):
            yield from self.rows(topic, disputed)
        yield from self.payloads(disputed, advance)
        yield from self.stores.engine()
        yield from self.stores.files()
        yield from self.stores.bars()
        yield from self.stores.judged()

    @property
    def stores(self) -> StoreChecks:
        """Each store by itself."""
        return StoreChecks(self.log, self.hot, self.lake, self.ledger, self.sources, self.quality, self.compared)

    def payloads(self, disputed: Iterable[Disputed] = (), advance: Advance | None = None) -> Iterator[Finding]:
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
            made = Remade(waiting[topic], self.log, self.raw, self.normaliser) if topic in waiting else None
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

    def _payload(self, topic: str, record: RawRecord, read: dict[str, str], made: Remade | None) -> Iterator[Finding]:
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

    def rows(self, topic: str, disputed: list[Disputed]) -> Iterator[Finding]:
        """Hot store and lake hold the same rows of each partition, and the ledger knows it; what they do not agree on
        goes to `disputed`, for the raw payloads to decide."""
        source = self.sources[topic]
        noted = {entry.partition for entry in self.ledger.entries(topic, limit=_MOST) if entry.rows}
        self.compared["ledger entries"] += len(noted)
        days = sorted(noted | set(self._brought(source)))
        if not days:
            return
        low, high = span_of(source, days[0])[0], span_of(source, days[-1])[1]
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
        self._compare(source, has, keeps, disputed)

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

    def _day_by_day(self, source: Source, days: list[str], disputed: list[Disputed]) -> Iterator[Finding]:
        """What cannot be read whole is read day by day, so that the days that cannot are named."""
        yield from together(self._each(source, days, disputed))

    def _each(self, source: Source, days: list[str], disputed: list[Disputed]) -> Iterator[Finding]:
        held: dict[str, tuple[int, str]] = {}
        kept: dict[str, tuple[int, str]] = {}
        for day in days:
            read: dict[str, Chunks] = {}
            for place, reading in (("hot store", self._held), ("lake", self.prover.kept)):
                try:
                    read[place] = reading(source, *span_of(source, day))
                except Exception as error:
                    text = " ".join(str(error).split())[:200]
                    yield Finding(place, source.stream.topic, day, f"cannot be read: {type(error).__name__}: {text}")
            if len(read) == 2:
                held[day], kept[day] = read["hot store"].of(day), read["lake"].of(day)
        self._compare(source, held, kept, disputed)

    def _held(self, source: Source, low: datetime, high: datetime) -> Chunks:
        return self.prover.held(source, low, high, True)

    def _compare(
        self,
        source: Source,
        held: Mapping[str, tuple[int, str]],
        kept: Mapping[str, tuple[int, str]],
        disputed: list[Disputed],
    ) -> None:
        self.compared["partitions"] += len(held)
        self.compared["hot rows"] += sum(rows for rows, _ in held.values())
        self.compared["lake rows"] += sum(rows for rows, _ in kept.values())
        odd = [day for day in held if held[day] != kept[day] or not held[day][0]]
        if odd:
            disputed.append(Disputed(source, {day: held[day] for day in odd}, {day: kept[day] for day in odd}))


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
