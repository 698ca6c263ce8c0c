"""Consumer `normalise`: raw.<topic> → rows.<topic> and letters, in one transaction of the log.

Parses, normalises and enriches one payload. Rows, letters, what was seen, and the offset are committed together: a
payload is wholly through or not at all. Whatever goes wrong with one payload is a letter of that payload, and the next
one is read: an error of its parser as much as a loop without an end.

A payload that is read again gives the same batches, and those are not stored again. Where it gives others, by a mended
parser or other places, its span is rebuilt (see `settling`): a new reading replaces the one before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

from carbon254.errors import CorruptPayload, NothingYet, PayloadRefused
from carbon254.faults import reach
from carbon254.model import Stream
from carbon254.model.arrival import arrival_in
from carbon254.stores.log import Log, NewRecord, Record, Txn
from carbon254.stores.raw import RawArchive
from carbon254.telemetry import Metrics

from .carrying import Work
from .counting import counts_record
from .directories import Directories
from .failing import is_of_the_payload, told
from .guarding import Guard, Overrun
from .outcome import Outcome
from .proof import day_span
from .quarantine import Release, releases
from .seen import SeenStore
from .source import Source

CONSUMER = "normalise"
UNSETTLED = "unsettled"
_ROWS = "rows."


class Normaliser:
    """Carries payloads from the raw log to rows and letters. `unsettled` are feeds with spans to be rebuilt."""

    def __init__(
        self,
        log: Log,
        raw: RawArchive,
        sources: Mapping[str, Source],
        metrics: Metrics,
        places: Directories,
        guard: Guard | None = None,
    ) -> None:
        self._log, self._raw, self._sources, self._metrics, self._places = log, raw, sources, metrics, places
        self._guard = guard or Guard()
        self.unsettled: set[str] = set()

    def reading(self, raw: RawArchive) -> Normaliser:
        """The same, with payloads of another archive."""
        return Normaliser(self._log, raw, self._sources, self._metrics, self._places, self._guard)

    def step(self, limit: int = 16) -> int:
        """Carry up to `limit` payloads; returns how many there were."""
        records = self._log.read(CONSUMER, "raw.", limit)
        for record in records:
            self.carry(record)
        return len(records)

    def carry(self, record: Record, commit: bool = True) -> Outcome:
        """Carry one raw record; `commit=False` leaves the consumer's offset alone (reprocessing)."""
        outcome = self._outcome_or_letter(record)
        reach("normalise.parsed")
        topic = record.topic.removeprefix("raw.")
        with self._log.transaction() as txn:
            unsettled = self._append(txn, record, outcome)
            reach("normalise.appended")
            for (scope, key), value in outcome.states.items():
                txn.put_state(scope, key, value)
            _note_span(txn, record, outcome)
            for letter in outcome.letters:
                txn.add_letter(letter)
            reach("normalise.kept")
            if commit:
                txn.commit(CONSUMER, record.topic, record.offset)
        reach("normalise.carried")
        if unsettled:
            self.unsettled.add(topic)
        self._metrics.rows.labels(topic).inc(outcome.rows)
        self._metrics.rejected.labels(topic).inc(len(outcome.letters))
        self._metrics.held.labels(topic).inc(outcome.held)
        return outcome

    def outcome(self, record: Record) -> Outcome:
        """Parse, normalise and enrich a raw record. Writes nothing: a long payload holds nobody up.

        Raises KeyError and CorruptPayload where the payload is not as it came, and whatever its parser raises.
        """
        outcome = Outcome()
        data, work = self._raw.get(record.headers["sha256"]), self._work(record, outcome)
        try:
            for rows in self._sources[record.topic.removeprefix("raw.")].parse(record.headers["name"], data):
                work.take(rows)
            work.finish()
        except NothingYet as empty:
            outcome.refused = str(empty)
        except PayloadRefused as refusal:
            work.judge()
            outcome.refused = str(refusal)
            work.letter(None, str(refusal), "", "parse")
        return outcome

    def unsettle(self, record: Record) -> None:
        """Keep that what a record of rows came from is to be rebuilt: its arrival stands otherwise in a store."""
        topic = record.topic.removeprefix(_ROWS)
        days = sorted(day["partition"] for day in record.headers["days"])
        first, last = (day_span(self._sources[topic].stream, date.fromisoformat(day)) for day in (days[0], days[-1]))
        with self._log.transaction() as txn:
            note_unsettled(txn, topic, [first[0].isoformat(), (last[1] - timedelta(microseconds=1)).isoformat()])
        self.unsettled.add(topic)

    def append_missing(self, record: Record, batches: Sequence[NewRecord]) -> Sequence[NewRecord]:
        """Append those batches of a payload that it has not given yet; gives those."""
        with self._log.transaction() as txn:
            return _append_missing(txn, record, batches)

    def _outcome_or_letter(self, record: Record) -> Outcome:
        why: Callable[[], str] = str
        try:
            with self._guard.within(record.headers.get("size") or 0) as why:
                return self.outcome(record)
        except Overrun:
            return self._failed(record, f"{why()}; the parser was stopped")
        except (KeyError, CorruptPayload) as error:
            if record.headers["sha256"] in self._raw and isinstance(error, KeyError):
                return self._failed(record, told(error))
            return self._failed(record, f"the payload is not in the raw archive as it came: {error.args[0]}")
        except MemoryError as error:
            return self._failed(record, told(error))
        except Exception as error:
            if not is_of_the_payload(error):
                raise
            return self._failed(record, told(error))

    def _failed(self, record: Record, why: str) -> Outcome:
        """Nothing of the payload but a letter: what was read before it failed is not to be trusted."""
        outcome = Outcome(refused=why)
        self._work(record, outcome).letter(None, why, "", "parse")
        self._metrics.failures.labels(CONSUMER).inc()
        return outcome

    def _work(self, record: Record, outcome: Outcome) -> Work:
        source = self._sources[record.topic.removeprefix("raw.")]
        instruments = self._places.instruments() if "instrument" in source.dataset.names else None
        places, seen = self._places.of(source.stream.market), self._seen(source, outcome, arrival_in(record.headers))
        return Work(source, record, outcome, seen, places, self._released, instruments)

    def _append(self, txn: Txn, record: Record, outcome: Outcome) -> bool:
        """Append what the payload came to; whether a span of the feed is to be rebuilt, which is noted then."""
        counts, arrival = counts_record(record, outcome), arrival_in(record.headers)
        before = _given(txn, record)
        names = [batch.headers["batch"] for batch in outcome.batches if batch.topic.startswith(_ROWS)]
        replaces = bool(before) and set(before) != set(names)
        if replaces:
            txn.append([one for one in outcome.batches if not one.topic.startswith(_ROWS)])
            _note_given(txn, record, names)
        else:
            _append_missing(txn, record, outcome.batches)
        txn.append([counts])
        if not (replaces or outcome.behind):
            return False
        stood = txn.get_state(f"span:{record.topic}", arrival) or b""
        note_unsettled(txn, record.topic.removeprefix("raw."), [outcome.first, outcome.last, *stood.decode().split()])
        return True

    def _released(self, topic: str, ids: Sequence[str]) -> Mapping[str, Release]:
        return releases(self._log, topic, ids)

    def _seen(self, source: Source, outcome: Outcome, place: str) -> Callable[[Stream], SeenStore] | None:
        """What remembers the places of a market run; None for datasets that have none."""
        if source.stream.dataset != "interval_prices":
            return None
        own, topic = source.stream.market_run, source.stream.topic

        def of_run(run: Stream) -> SeenStore:
            scope = topic if run.market_run == own else f"{topic}:{run.market_run}"
            return SeenStore(self._log, outcome, scope, place)

        return of_run


def note_unsettled(txn: Txn, topic: str, times: Sequence[str]) -> None:
    """Keep that a feed's rows between the first and the last of these times (ISO 8601) are to be rebuilt."""
    kept = txn.get_state(UNSETTLED, topic) or b""
    known = sorted(time for time in (*times, *kept.decode().split()) if time)
    if known:
        txn.put_state(UNSETTLED, topic, f"{known[0]} {known[-1]}".encode())


def note_given(txn: Txn, record: Record, outcome: Outcome) -> None:
    """Keep which batches an arrival gives now, and the span of their times."""
    _note_given(txn, record, [one.headers["batch"] for one in outcome.batches if one.topic.startswith(_ROWS)])
    _note_span(txn, record, outcome)


def _note_span(txn: Txn, record: Record, outcome: Outcome) -> None:
    if outcome.first:
        span = f"{outcome.first} {outcome.last}".encode()
        txn.put_state(f"span:{record.topic}", arrival_in(record.headers), span)


def _append_missing(txn: Txn, record: Record, batches: Sequence[NewRecord]) -> list[NewRecord]:
    before = _given(txn, record)
    fresh = [one for one in batches if not one.topic.startswith(_ROWS) or one.headers["batch"] not in before]
    txn.append(fresh)
    names = [one.headers["batch"] for one in fresh if one.topic.startswith(_ROWS)]
    if names:
        _note_given(txn, record, [*before, *names])
    return fresh


def _given(txn: Txn, record: Record) -> list[str]:
    kept = txn.get_state(f"batches:{record.topic}", arrival_in(record.headers))
    return json.loads(kept) if kept else []


def _note_given(txn: Txn, record: Record, names: Sequence[str]) -> None:
    told = json.dumps(list(dict.fromkeys(names))).encode()
    txn.put_state(f"batches:{record.topic}", arrival_in(record.headers), told)
