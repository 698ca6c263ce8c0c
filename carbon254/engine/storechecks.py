"""Each store by itself: the engine's own checksums, the lake's files, bars and prices, what is kept of quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from carbon254.errors import CorruptRecord
from carbon254.model import Dataset, catalogue
from carbon254.stores.hot import HotStore
from carbon254.stores.lake import Lake, Lying
from carbon254.stores.ledger import Ledger
from carbon254.stores.log import Log
from carbon254.stores.metrics import MetricStore

from .finding import Finding
from .lakekeeper import broken_files
from .source import Source

_MOST = 1_000_000
_ALWAYS = ("", "9999-12-31")


@dataclass(frozen=True)
class StoreChecks:
    """Checks that need no second store to compare with; `compared` counts how much of what was looked at."""

    log: Log
    hot: HotStore
    lake: Lake
    ledger: Ledger
    sources: Mapping[str, Source]
    quality: Mapping[str, MetricStore]
    compared: Counter[str]

    def engine(self) -> Iterator[Finding]:
        """The engine's own checksums, part by part, and the parts it set aside when it started."""
        for dataset in (one for one in catalogue().values() if not one.derived):
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
        """Every market day with prices is told, so that its bars can be computed; sealed bars are all there."""
        wanted = (
            "SELECT market, market_run, toYYYYMM(interval_start) AS month, count() AS n "
            "FROM store.interval_prices AS t ASOF LEFT JOIN "
            "(SELECT k, starts, ends FROM store.day_changes FINAL WHERE grain = '1d') AS d "
            "ON cityHash64(t.market, t.market_run) = d.k AND t.interval_start >= d.starts "
            "WHERE (market, market_run) IN (SELECT market, market_run FROM store.bar_runs) "
            "AND t.interval_start >= d.ends GROUP BY ALL ORDER BY ALL"
        )
        sealed = (
            "SELECT c.market AS market, c.market_run AS market_run, c.day AS day, c.bars AS bars, s.n AS n FROM "
            "(SELECT market, market_run, day, seal, bars FROM store.day_changes FINAL WHERE seal != 0) AS c "
            "LEFT JOIN (SELECT seal, count() AS n FROM store.sealed_bars GROUP BY seal) AS s USING (seal) "
            "WHERE c.bars != s.n ORDER BY ALL"
        )
        try:
            untold, short = (self.hot.fetch(sql).to_pylist() for sql in (wanted, sealed))
            counted = self.hot.fetch("SELECT count() AS n FROM store.day_changes FINAL").to_pylist()
        except Exception as error:
            yield Finding("hot store", "ohlc_bars", "", f"cannot be read: {' '.join(str(error).split())[:200]}")
            return
        self.compared["days with bars"] = counted[0]["n"]
        for row in untold:
            what = f"{row['n']:,} prices of days that are not told: they have no bars"
            yield Finding("hot store", f"ohlc_bars of {row['market']} {row['market_run']}", str(row["month"]), what)
        for row in short:
            what = f"{row['n']:,} sealed bars, {row['bars']:,} when they were sealed"
            yield Finding("hot store", f"ohlc_bars of {row['market']} {row['market_run']}", str(row["day"]), what)

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
