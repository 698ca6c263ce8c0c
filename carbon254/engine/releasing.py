"""A person's override: held rows go out, or a held day stands, with who, when and why in the audit trail.

The decision is kept first; then the payload is read again, and the rows it is about go out with a flag, known since the
decision. Read again later, by a rebuild or after a crash in between, the payload gives the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from carbon254.errors import PermanentError
from carbon254.model.arrival import arrival_in, arrival_of
from carbon254.stores.hot import HotStore
from carbon254.stores.ledger import Act, Ledger
from carbon254.stores.log import Log, Record, records_of

from .dayjudge import DayJudge
from .normaliser import Normaliser
from .quarantine import HELD, RELEASED, Release, changed, held_record, kept_release, open_rows
from .source import Source

_ID = re.compile(r"[0-9a-f]{8,24}")


class NothingHeld(PermanentError):
    """Nothing of what was named is held."""


@dataclass(frozen=True, slots=True)
class Released:
    """What a release came to: rows that went out, of how many payloads, and whether the day's mark went off."""

    feed: str
    rows: int
    payloads: int
    day: bool


class Releaser:
    """Publishes held rows by a person's decision."""

    def __init__(self, log: Log, hot: HotStore, ledger: Ledger, normaliser: Normaliser, days: DayJudge) -> None:
        self._log, self._hot, self._ledger, self._normaliser, self._days = log, hot, ledger, normaliser, days

    def release(self, source: Source, day: date | None, ids: Sequence[str], decision: Release) -> Released:
        """Let held rows of a market day go out, or those with these ids (or beginnings of them).

        Raises NothingHeld where nothing is, and ValueError without a reason.
        """
        if not decision.why.strip():
            raise ValueError("a release needs a reason; it goes into the audit trail")
        topic = source.stream.topic
        rows = open_rows(self._hot, topic, _where(day, ids))
        marked = day is not None and self._days.status(topic, day.isoformat())[0] == HELD
        if not rows.height and not marked:
            raise NothingHeld(
                f"nothing of {topic} {day or ', '.join(ids)} is held; see: c254 quality held --feed {topic}"
            )
        out, payloads = self._publish(source, rows, decision) if rows.height else (0, 0)
        if marked and day is not None:
            self._days.mark(source, day.isoformat(), RELEASED, decision.why, decision.at)
        days = {str(one) for one in rows["market_day"].drop_nulls()} | ({day.isoformat()} if day else set())
        told = f"{decision.why} ({rows.height} rows{', the day' if marked else ''})"
        self._ledger.record([Act(decision.at, decision.who, "release", topic, one, told) for one in sorted(days)])
        return Released(topic, out, payloads, marked)

    def _publish(self, source: Source, rows: pl.DataFrame, decision: Release) -> tuple[int, int]:
        topic = source.stream.topic
        with self._log.transaction() as txn:
            for row_id in rows["row_id"]:
                txn.put_state(f"released:{topic}", row_id, kept_release(decision))
        out, mine = 0, set(rows["row_id"])
        held = {arrival_of(at, payload) for at, payload in rows.select("held_at", "payload").unique().iter_rows()}
        for record in records_of(self._log, f"raw.{topic}"):
            if arrival_in(record.headers) in held:
                out += self._again(record, decision)
        done = changed(rows, RELEASED, decision.at, decision.who, decision.why)
        key = f"released-{decision.at.isoformat()}-{min(mine)}"
        self._log.append([held_record(done, source, key)])
        return out, rows["payload"].n_unique()

    def _again(self, record: Record, decision: Release) -> int:
        """Read a payload again; of its rows, those that this decision released go to the log."""
        outcome = self._normaliser.outcome(record)
        stamp = decision.at.isoformat()
        fresh = [one for one in outcome.batches if one.headers.get("released") == stamp]
        return sum(one.headers["rows"] for one in self._normaliser.append_missing(record, fresh))


def _where(day: date | None, ids: Sequence[str]) -> str:
    bad = [one for one in ids if not _ID.fullmatch(one)]
    if bad:
        raise NothingHeld(f"{bad[0]!r} is no id of a held row; ids are in: c254 quality held")
    parts = [f"market_day = toDate32('{day.isoformat()}')"] if day else []
    begin = " OR ".join(f"startsWith(row_id, '{one}')" for one in ids)
    parts += [f"({begin})"] if ids else []
    return " AND ".join(parts) or "0"
