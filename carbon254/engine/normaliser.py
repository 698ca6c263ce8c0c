"""Consumer `normalise`: raw.<topic> → rows.<topic> and letters, in one transaction of the log.

Parses, normalises and enriches one payload. Rows, letters, what was seen, and the offset are committed together: a
payload is wholly through or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.faults import reach
from carbon254.model import Stream
from carbon254.stores.log import Log, Record
from carbon254.stores.raw import RawArchive
from carbon254.telemetry import Metrics

from .carrying import Work
from .counting import counts_record
from .directories import Directories
from .outcome import Outcome
from .quarantine import Release, releases
from .seen import SeenStore
from .source import Source

CONSUMER = "normalise"


class Normaliser:
    """Carries payloads from the raw log to rows and letters."""

    def __init__(
        self, log: Log, raw: RawArchive, sources: Mapping[str, Source], metrics: Metrics, places: Directories
    ) -> None:
        self._log, self._raw, self._sources, self._metrics, self._places = log, raw, sources, metrics, places

    def reading(self, raw: RawArchive) -> Normaliser:
        """The same, with payloads of another archive."""
        return Normaliser(self._log, raw, self._sources, self._metrics, self._places)

    def step(self, limit: int = 16) -> int:
        """Carry up to `limit` payloads; returns how many there were."""
        records = self._log.read(CONSUMER, "raw.", limit)
        for record in records:
            self.carry(record)
        return len(records)

    def carry(self, record: Record, commit: bool = True) -> Outcome:
        """Carry one raw record; `commit=False` leaves the consumer's offset alone (reprocessing)."""
        outcome = self.outcome(record)
        reach("normalise.parsed")
        with self._log.transaction() as txn:
            txn.append([*outcome.batches, counts_record(record, outcome)])
            reach("normalise.appended")
            for (scope, key), value in outcome.states.items():
                txn.put_state(scope, key, value)
            if outcome.first:
                txn.put_state(f"span:{record.topic}", str(record.offset), f"{outcome.first} {outcome.last}".encode())
            for letter in outcome.letters:
                txn.add_letter(letter)
            reach("normalise.kept")
            if commit:
                txn.commit(CONSUMER, record.topic, record.offset)
        reach("normalise.carried")
        topic = record.topic.removeprefix("raw.")
        self._metrics.rows.labels(topic).inc(outcome.rows)
        self._metrics.rejected.labels(topic).inc(len(outcome.letters))
        self._metrics.held.labels(topic).inc(outcome.held)
        return outcome

    def outcome(self, record: Record) -> Outcome:
        """Parse, normalise and enrich a raw record. Writes nothing: a long payload holds nobody up."""
        topic = record.topic.removeprefix("raw.")
        source, sha = self._sources[topic], record.headers["sha256"]
        outcome = Outcome()
        places = self._places.of(source.stream.market)
        instruments = self._places.instruments() if "instrument" in source.dataset.names else None
        work = Work(source, record, outcome, self._seen(source, outcome), places, self._released, instruments)
        try:
            for rows in source.parse(record.headers["name"], self._raw.get(sha)):
                work.take(rows)
            work.finish()
        except NothingYet as empty:
            outcome.refused = str(empty)
        except PayloadRefused as refusal:
            work.judge()
            outcome.refused = str(refusal)
            work.letter(None, str(refusal), "", "parse")
        return outcome

    def _released(self, topic: str, ids: Sequence[str]) -> Mapping[str, Release]:
        return releases(self._log, topic, ids)

    def _seen(self, source: Source, outcome: Outcome) -> Callable[[Stream], SeenStore] | None:
        """What remembers the places of a market run; None for datasets that have none."""
        if source.stream.dataset != "interval_prices":
            return None
        own, topic = source.stream.market_run, source.stream.topic

        def of_run(run: Stream) -> SeenStore:
            scope = topic if run.market_run == own else f"{topic}:{run.market_run}"
            return SeenStore(self._log, outcome, scope)

        return of_run
