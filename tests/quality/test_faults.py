"""Twelve injected faults, each caught by the check that names it; sixty quiet days without a false alarm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from quality.days import market_day, stream_of

from carbon254.calendars import market_day_span
from carbon254.feeds import feeds
from carbon254.quality import (
    Judgement,
    PartitionState,
    Verdict,
    context_for,
    failing,
    judge,
    merged,
    observe,
    read_rules,
    together,
)  # fmt: skip
from carbon254.quality.states import Sample

TOPIC = "iso.rt.lmp.spp"
QUIET = 12
FIRST = date(2025, 2, 20)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass
class Desk:
    """Judges a feed's days one after another, each beside those before it."""

    topic: str
    past: dict[str, list[float]] = field(default_factory=dict)
    states: list[PartitionState] = field(default_factory=list)

    def day(self, day: date, frame: pl.DataFrame, keep: bool = True) -> Judgement:
        feed = feeds()[self.topic]
        rules = read_rules(feed.quality(), feed.stream)
        span = market_day_span(day, feed.stream.clock)
        state = observe(frame, rules, span)
        context = context_for(feed.stream, *span, LATER, history=self.past, earlier=self.states[-7:])
        found = judge(state, rules, context)
        if keep:
            self.states.append(state)
            for name, value in found.metrics.items():
                self.past.setdefault(name, []).append(value)
        return found


def alarms(found: Judgement) -> dict[str, str]:
    return {finding.check: finding.why for finding in found.failed}


@pytest.fixture(scope="module")
def desk() -> Desk:
    """A feed with quiet days behind it."""
    ready = Desk(TOPIC)
    for number in range(QUIET):
        day = FIRST + timedelta(days=number)
        assert not alarms(ready.day(day, market_day(TOPIC, day)))
    return ready


DAY = FIRST + timedelta(days=QUIET)
START = market_day_span(DAY, "America/Chicago")[0]
PLACE = "SPP_00003"
HERE = pl.col("location_id") == PLACE
Fault = Callable[[pl.DataFrame], pl.DataFrame]


def between(first_hour: float, last_hour: float) -> pl.Expr:
    start = pl.col("interval_start")
    return (start >= START + timedelta(hours=first_hour)) & (start < START + timedelta(hours=last_hour))


def flatline(frame: pl.DataFrame) -> pl.DataFrame:
    """One place keeps its price for eight hours; its parts agree."""
    rows = HERE & between(8, 16)
    return frame.with_columns(
        pl.when(rows).then(25.5).otherwise("lmp").alias("lmp"),
        pl.when(rows).then(25.5 - pl.col("energy") - pl.col("loss")).otherwise("congestion").alias("congestion"),
    )


def truncated(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.head(frame.height * 3 // 4)


def frozen(frame: pl.DataFrame) -> pl.DataFrame:
    """From noon on every interval brings noon's prices again."""
    noon = frame.filter(between(12, 12.05)).drop("interval_start", "interval_end", "received_at")
    late = frame.filter(between(12, 25)).select("location_id", "interval_start", "interval_end", "received_at")
    again = late.join(noon, on="location_id", maintain_order="left").select(frame.columns)
    return pl.concat([frame.filter(between(0, 12)), again])


def wrong_sign(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(-pl.col("congestion"))


def unit_slip(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("lmp", "energy", "congestion", "loss") * 1_000.0)


def shifted_hour(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("interval_start", "interval_end") + timedelta(hours=1))


def duplicates(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, frame.head(frame.height // 20)])


def missing_places(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(~pl.col("location_id").is_in(["SPP_00001", "SPP_00002"]))


def spikes(frame: pl.DataFrame) -> pl.DataFrame:
    """A place jumps away for single intervals; congestion explains it, so that the sum holds."""
    rows = HERE & (pl.col("interval_start").dt.minute() == 35) & between(2, 20)
    return frame.with_columns(
        pl.when(rows).then(pl.col(name) + 900.0).otherwise(name).alias(name) for name in ("lmp", "congestion")
    )


def holes(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.when(between(3, 5)).then(None).otherwise("lmp").alias("lmp"))


def republished(frame: pl.DataFrame) -> pl.DataFrame:
    """Yesterday's prices under today's date."""
    old = market_day(TOPIC, DAY - timedelta(days=1))
    return old.with_columns(pl.col("interval_start", "interval_end", "received_at") + timedelta(days=1))


def swapped(frame: pl.DataFrame) -> pl.DataFrame:
    """Energy and congestion have changed places; the sum still holds."""
    return frame.rename({"energy": "congestion", "congestion": "energy"})


FAULTS: dict[str, tuple[Fault, str]] = {
    "flatline": (flatline, "stuck"),
    "truncated file": (truncated, "intervals"),
    "frozen feed": (frozen, "frozen"),
    "wrong sign": (wrong_sign, "identity"),
    "unit slip": (unit_slip, "range.lmp"),
    "shifted hour": (shifted_hour, "inside"),
    "duplicate rows": (duplicates, "unique"),
    "missing nodes": (missing_places, "places"),
    "spikes": (spikes, "spikes"),
    "nulls": (holes, "nulls.lmp"),
    "stale republication": (republished, "stale"),
    "swapped components": (swapped, "one_energy"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_caught_by_the_check_that_names_it(name: str, desk: Desk) -> None:
    spoil, check = FAULTS[name]
    quiet = desk.day(DAY, market_day(TOPIC, DAY), keep=False)
    assert not alarms(quiet) and quiet.score == 1.0
    found = desk.day(DAY, spoil(market_day(TOPIC, DAY)), keep=False)
    assert check in alarms(found), alarms(found)
    assert found.score is not None and found.score < 0.99 and "score" in found.missed
    assert any(finding.check == check and finding.todo and finding.blocks for finding in found.failed)


def test_what_the_findings_say_of_the_faults(desk: Desk) -> None:
    def why(name: str) -> dict[str, str]:
        return alarms(desk.day(DAY, FAULTS[name][0](market_day(TOPIC, DAY)), keep=False))

    assert "would with congestion's sign turned" in why("wrong sign")["identity"]
    assert set(why("flatline")) == {"stuck"}
    assert "72 of 288 due intervals are missing" in why("truncated file")["intervals"]
    assert "anomaly.median.lmp" in why("unit slip")
    assert "12 of 288 due intervals" in why("shifted hour")["intervals"]
    assert "4 of 4 blocks repeat" in why("stale republication")["stale"]
    other = market_day(TOPIC, DAY).rename({"loss": "congestion", "congestion": "loss"})
    assert set(alarms(desk.day(DAY, other, keep=False))) == {"share.loss"}


def test_half_a_day_is_not_held_against_whole_ones(desk: Desk) -> None:
    feed, half = feeds()[TOPIC], market_day(TOPIC, DAY).filter(between(0, 12))
    rules, span = read_rules(feed.quality(), feed.stream), market_day_span(DAY, feed.stream.clock)
    noon = START + timedelta(hours=12, minutes=6)
    context = context_for(feed.stream, *span, noon, history=desk.past, earlier=desk.states[-7:])
    found = judge(observe(half, rules, span), rules, context)
    assert not alarms(found) and len(context.due or ()) == 144
    likeness = [finding for finding in found.findings if finding.kind == "anomaly"]
    assert likeness and {finding.why for finding in likeness} == {"the day is not over"}
    later = context_for(feed.stream, *span, noon + timedelta(hours=1), history=desk.past)
    assert {"intervals", "fresh"} <= set(alarms(judge(observe(half, rules, span), rules, later)))


def test_new_yorks_sign_shows_in_the_derived_energy() -> None:
    """Where energy is price less the other two, the sum always holds; a sign left unturned splits the energy."""
    topic, day = "iso.da.lmp.nyiso", date(2025, 7, 1)
    right = market_day(topic, day).with_columns(pl.lit(8, dtype=pl.UInt32).alias("flags"))
    unturned = right.with_columns(
        congestion=-pl.col("congestion"), energy=pl.col("lmp") + pl.col("congestion") - pl.col("loss")
    )
    assert not alarms(Desk(topic).day(day, right))
    assert "one_energy" in alarms(Desk(topic).day(day, unturned))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("topic", "first"),
    [(TOPIC, date(2025, 2, 20)), ("iso.da.lmp.caiso", date(2025, 10, 5)), ("iso.da.lmp.pjm", date(2025, 6, 1)),
     ("iso.rt.lmp.ercot", date(2025, 10, 5)), ("iso.da.lmp.miso", date(2025, 2, 1))],
)  # fmt: skip
def test_sixty_quiet_days_raise_no_alarm(topic: str, first: date) -> None:
    """The clock changes, price spikes and a season are among them."""
    desk, parts = Desk(topic), []
    feed = feeds()[topic]
    judged = 0
    for number in range(60):
        day = first + timedelta(days=number)
        found = desk.day(day, market_day(topic, day, places=8))
        assert not alarms(found), (day, alarms(found))
        assert not found.missed
        judged += sum(finding.kind == "anomaly" and finding.verdict is Verdict.passed for finding in found.findings)
        span = market_day_span(day, feed.stream.clock)
        parts.append((desk.states[-1], context_for(feed.stream, *span, LATER)))
    assert judged >= 52 * 6
    state, context = together(parts)
    whole = judge(state, read_rules(feed.quality(), feed.stream), context)
    assert {service.name: service.value for service in whole.services}["completeness"] == 1.0
    assert state == merged(reversed(desk.states))


def test_one_cent_in_a_million_rows_is_found_and_named() -> None:
    places, day = 3_600, date(2025, 7, 1)
    frame = market_day(TOPIC, day, places=places)
    assert frame.height > 1_000_000
    row = 777_777
    bad = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(pl.col("loss") + 0.01).otherwise("loss").alias("loss")
    )
    rules = read_rules("", stream_of(TOPIC))
    state = observe(bad, rules)
    finding = next(one for one in judge(state, rules).findings if one.check == "identity")
    assert (finding.verdict, finding.failed, finding.judged) == (Verdict.failed, 1, frame.height)
    place, start = frame["location_id"][row], frame["interval_start"][row]
    (named,) = state.get("identity.rows", Sample).rows
    assert place in named and start.isoformat() in named
    assert failing(bad, rules, "identity").height == 1
