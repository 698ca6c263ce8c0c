"""One payload on its way: its batches go through the stages in order, and what cannot becomes letters.

Rows of one batch may be of several market runs. From when they were known to the record they go out in, each run is
carried by itself, with its own traits: a record of `rows.<topic>` holds rows of one run.

All rows of a payload are one statement, and the gate judges it whole: how a parser cuts it decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from carbon254.calendars import day_of, market_day_of
from carbon254.model import Flag, Stream
from carbon254.model.arrival import AGAIN_READ
from carbon254.stages import arrivals, enrich, normalise
from carbon254.stages.arrivals import Arrival, Seen
from carbon254.stages.enrich import Directory, enrich_ticks, name_places
from carbon254.stages.received import by_arrival, known_when_received
from carbon254.stores.log import Letter, NewRecord, Record

from .batches import named_by_content
from .codec import encode
from .gate import Gate, Split, forgiven
from .market_run import MarketRun
from .outcome import Outcome
from .quarantine import Release, held_record, held_rows
from .seen import SeenStore
from .source import ParsedRows, Source
from .tally import AGAIN, Pages, Tally

_PARTIAL = 0.5
# Rows of one record of `rows.<topic>`.
_RECORD_ROWS = 200_000
# Beyond this share of places (and one of them) a withdrawal is a cut file rather than news.
_KEPT_PLACES = 0.98
Releases = Callable[[str, Sequence[str]], Mapping[str, Release]]


class Work:
    """One payload on its way: its batches go through the stages in order."""

    def __init__(
        self,
        source: Source,
        record: Record,
        outcome: Outcome,
        seen_of: Callable[[Stream], SeenStore] | None,
        places: Directory,
        releases: Releases,
        instruments: pl.DataFrame | None = None,
    ) -> None:
        headers = record.headers
        published = headers.get("published_at")
        self._source, self._record, self._outcome, self._seen_of = source, record, outcome, seen_of
        self._places, self._releases, self._instruments = places, releases, instruments
        self._batches, self._taken = 0, 0
        self._runs: dict[str, MarketRun] = {}
        self._tally = outcome.tally = Tally(source.dataset)
        self._pages = Pages()
        self._arrival = Arrival(
            received_at=datetime.fromisoformat(headers["received_at"]).astimezone(UTC),
            payload=headers["sha256"],
            published_at=datetime.fromisoformat(published).astimezone(UTC) if published else None,
        )

    def take(self, rows: ParsedRows) -> None:
        """One parsed batch through normalise, known-at and enrich."""
        for line, reason, raw in rows.rejects.iter_rows():
            self.letter(line, reason, raw, "parse")
        self._pages.add(rows.counted)
        self._outcome.part = self._pages.part
        if rows.frame.is_empty():
            self._tally.take(rows, rows.frame, rows.rejects["line"].clear())
            return
        done = normalise(rows.frame, self._source.stream)
        if done.rejects.height:
            raws = rows.frame.join(done.rejects.select("line"), on="line", how="semi")
            for (line, reason), raw in zip(done.rejects.iter_rows(), raws.iter_rows(named=True), strict=False):
                self.letter(line, reason, json.dumps(raw, default=str), "normalise")
        if done.frame.height:
            self._emit(self._tally.take(rows, done.frame, done.rejects["line"]))
        else:
            self._tally.take(rows, done.frame, done.rejects["line"])

    def finish(self) -> None:
        """After the last batch: judge the statement; withdraw what a complete payload no longer lists."""
        self.judge()
        whole = not self._outcome.letters and not self._outcome.part
        for run in self._runs.values():
            if run.seen is not None and run.stream.complete and whole:
                self._withdraw(run, run.seen.seen)

    def letter(self, line: int | None, reason: str, raw: str, stage: str) -> None:
        """Keep what could not be read, with its reason."""
        if line is None:
            self._tally.refuse()
        self._outcome.letters.append(
            Letter(
                id=None,
                topic=f"dlq.{self._source.stream.topic}",
                payload=self._arrival.payload,
                line=line,
                reason=reason,
                raw=raw[:4_000],
                stage=stage,
                parser=self._source.version,
                received_at=self._arrival.received_at,
                status="open",
                resolved_by=None,
            )
        )

    def _emit(self, frame: pl.DataFrame) -> None:
        if self._seen_of is None:
            run = self._run(self._source.stream.market_run)
            first, self._taken = self._taken, self._taken + frame.height
            frame = known_when_received(frame, self._source.dataset, self._source.stream, self._arrival, first)
            frame = by_arrival(frame) if "event_time" in frame.columns else enrich(frame, run.stream, self._places)
            run.frames.append(frame if self._instruments is None else enrich_ticks(frame, self._instruments))
            return
        runs = frame["market_run"].cast(pl.String).unique(maintain_order=True).to_list()
        for name in runs:
            mine, run = frame if len(runs) == 1 else frame.filter(pl.col("market_run") == name), self._run(name)
            assert run.seen is not None
            seen = run.seen.load(mine)
            pairs = mine.select("interval_start", "interval_end").unique().iter_rows()
            run.repeated |= any(seen.names_before(pair, self._arrival.place) for pair in pairs)
            mine = arrivals.known(mine, run.stream, self._arrival, seen)
            run.seen.remember(mine, self._arrival)
            self._outcome.behind |= run.seen.is_behind
            run.frames.append(enrich(mine, run.stream, self._places))

    def judge(self) -> None:
        """Part what was taken, run by run: rows go out or stay. A refusal cuts it short, and what came is judged."""
        for run in self._runs.values():
            if run.frames:
                self._part(run)
        self._tally.close()

    def _part(self, run: MarketRun) -> None:
        frame = run.frames[0] if len(run.frames) == 1 else pl.concat(run.frames, how="diagonal_relaxed")
        run.frames = []
        gate = self._source.gate_of(run.stream)
        split = self._judged(frame, gate, run) if gate else Split(frame, None)
        run.parted = split.held is not None
        for rows in split.good.iter_slices(_RECORD_ROWS):
            if rows.height:
                self._publish(rows, run)
        if split.held is not None:
            self._hold(split.held, run)

    def _run(self, name: str) -> MarketRun:
        if name not in self._runs:
            stream = self._source.stream.of_run(name)
            self._runs[name] = MarketRun(
                stream, self._seen_of(stream) if self._seen_of else None, repeated=self._seen_of is None
            )
        return self._runs[name]

    def _judged(self, frame: pl.DataFrame, gate: Gate, run: MarketRun) -> Split:
        """What the gate lets through; fingerprints of long batches are compared with other days' and remembered."""
        if run.seen is None or not gate.spans_blocks(frame):
            return gate.split(frame, self._arrival.received_at)
        clock = run.stream.clock
        days = day_of(frame["interval_start"], clock).unique().sort().to_list()
        split = gate.split(frame, self._arrival.received_at, run.seen.prints(days))
        by_day: dict[date, list[int]] = {}
        for start, one in split.prints:
            by_day.setdefault(market_day_of(start, clock), []).append(one)
        for day, some in by_day.items():
            run.seen.remember_prints(day, some)
        return split

    def _publish(self, frame: pl.DataFrame, run: MarketRun, released: str = "") -> None:
        """Rows go out, as a record of `rows.<topic>`; `released` says when a person let them."""
        frame = frame.with_columns(
            pl.lit(self._source.stream.topic).alias("feed"), pl.lit(self._arrival.payload).alias("payload")
        )
        table, batch = named_by_content(frame, self._source.dataset)
        headers: dict[str, Any] = {
            "sha256": self._arrival.payload,
            "batch": batch,
            "rows": table.num_rows,
            "received_at": self._arrival.received_at.isoformat(),
            "arrived_s": self._record.appended_s,
            "days": run.days(frame, self._source, self._outcome),
        } | ({"released": released} if released else {})
        if released or self._record.headers.get(AGAIN_READ):
            headers[AGAIN_READ] = True
        if not released and AGAIN in frame.columns:
            headers["again"] = run.repeated
            self._tally.goes_out(frame, headers)
        topic = f"rows.{self._source.stream.topic}"
        self._outcome.batches.append(NewRecord(topic, None, headers, encode(table)))
        self._outcome.rows += table.num_rows
        run.rows += table.num_rows
        self._batches += 1

    def _hold(self, held: pl.DataFrame, run: MarketRun) -> None:
        """Rows stay, as a record of `held.<topic>`; those that a person released go out after all."""
        if AGAIN in held.columns:
            self._tally.stays(held)
        rows = held_rows(held, self._source, self._arrival.payload, self._arrival.received_at)
        rules = self._source.rules.digest if self._source.rules else ""
        key = f"{self._arrival.place}-{self._batches}-{len(self._outcome.batches)}-{rules}"
        self._outcome.batches.append(held_record(rows, self._source, key))
        self._outcome.held += rows["row_id"].n_unique()
        time = self._source.dataset.partition
        self._outcome.widen(held[time].min(), held[time].max())
        released = self._releases(self._source.stream.topic, rows["row_id"].unique().to_list())
        for decision in dict.fromkeys(released.values()):
            ids = [row_id for row_id, one in released.items() if one == decision]
            mine = held.filter(rows["row_id"].is_in(ids))
            self._publish(_as_released(mine, decision), run, decision.at.isoformat())

    def _withdraw(self, run: MarketRun, seen: Seen) -> None:
        gone = arrivals.retractions(self._arrival, seen)
        # A payload that lacks most places is a part of the day's file, not a correction of it.
        if not gone.height or gone.height > _PARTIAL * (run.rows + gone.height):
            return
        stream = run.stream
        frame = name_places(gone, self._places).with_columns(
            *(pl.lit(None, dtype=pl.Float64).alias(name) for name in ("lmp", "energy", "congestion", "loss", "ghg")),
            pl.lit(stream.market).alias("market"),
            pl.lit(stream.product).alias("product"),
            pl.lit(stream.market_run).alias("market_run"),
            pl.lit(0, dtype=pl.UInt32).alias("revision"),
        )
        frame = enrich(arrivals.known(frame, stream, self._arrival, seen), stream, self._places)
        places = len(seen.union(name for names in seen.by_interval.values() for name in names))
        gate = self._source.gate_of(stream)
        if gate is None or frame["location_id"].n_unique() <= forgiven(_KEPT_PLACES, places):
            self._publish(frame, run)
            return
        told = f"the payload lacks {frame['location_id'].n_unique():,} of {places:,} places of earlier ones: a cut file"
        self._hold(frame.with_columns(pl.lit("withdrawn").alias("_check"), pl.lit(told).alias("_reason")), run)


def _as_released(frame: pl.DataFrame, decision: Release) -> pl.DataFrame:
    """Rows as they go out by a person's decision: known since then, and flagged."""
    columns = [pl.lit(decision.at).cast(pl.Datetime("us", "UTC"))]
    changes = [pl.max_horizontal("known_at", *columns).alias("known_at")] if "known_at" in frame.columns else []
    if "flags" in frame.columns:
        changes.append((pl.col("flags").cast(pl.UInt32) | Flag.RELEASED.value).alias("flags"))
    return frame.drop("_check", "_reason").with_columns(changes)
