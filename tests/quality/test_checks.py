"""Every check, judged by the slow twin on frames of all sorts: empty, null, NaN, infinite, repeated, DST days."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quality import twin
from quality.frames import DAYS, days_of_rows, frame_of, instants, row, span_of

from carbon254.quality import Context, PartitionState, Rules, Verdict, judge, metrics, observe
from carbon254.quality.behaviour import Frozen, Spikes, Stale, Stuck
from carbon254.quality.check import Check
from carbon254.quality.identity import Balance, Identity
from carbon254.quality.laws import HourlyMean, Hub, OneEnergy, Share
from carbon254.quality.profile import Distinct, Moments, Quantiles
from carbon254.quality.row_checks import Inside, Late, Matches, Nulls, Range, Unique
from carbon254.quality.states import CELLS, ROWS, Cells, Sample, Tally
from carbon254.quality.whole import Anomaly, Complete, Fresh, Intervals, robust_z

HOUR = 3_600_000_000
SIX_HOURS = 6 * HOUR
CHECKS: tuple[Check, ...] = (
    Unique(), Nulls(column="lmp"), Range(column="lmp", min=-500, max=800), Late(), Inside(),
    Matches(column="location_id", pattern="[AC]"), Identity(tolerance=0.0), Share(), OneEnergy(tolerance=0.1),
    Hub(hub="A", members={"B": 1.0, "C": 3.0}, tolerance=0.3), Stuck(hours=4), Frozen(minutes=180), Spikes(above=300),
    Stale(),
)  # fmt: skip


def rules(*checks: Check, step: int = HOUR, dataset: str = "interval_prices") -> Rules:
    return Rules("test", dataset, timedelta(microseconds=step), checks, profiled=("lmp",), sketched=("lmp",))


def counts(state: PartitionState, name: str) -> tuple[int, int, int]:
    tally = state.get(name, Tally)
    return tally.judged, tally.failed, tally.unknown


@pytest.mark.slow
@settings(max_examples=130, deadline=None)
@given(days_of_rows())
@example((DAYS[0], []))
def test_the_twin_agrees_on_every_check(given_day: Any) -> None:
    day, rows = given_day
    span = span_of(day)
    state = observe(frame_of(rows), rules(*CHECKS), instants(span))
    assert state == PartitionState.from_bytes(state.to_bytes())
    assert counts(state, "unique") == twin.unique(rows)
    assert counts(state, "nulls.lmp") == twin.nulls(rows, "lmp")
    assert counts(state, "range.lmp") == twin.in_range(rows, "lmp", -500, 800)
    assert counts(state, "late") == twin.late(rows)
    assert counts(state, "inside") == twin.inside(rows, span)
    named = [row for row in rows if row["place"] is not None]
    misfits = sum(row["place"] not in ("A", "C") for row in named)
    assert counts(state, "matches.location_id") == (len(named), misfits, len(rows) - len(named))
    assert counts(state, "identity") == twin.identity(rows, ("energy", "congestion", "loss"), 0.0)
    assert counts(state, "share.loss") == twin.share(rows, 0.3, 5.0)
    assert counts(state, "one_energy") == twin.one_energy(rows, HOUR, 0.1)
    assert counts(state, "hub.A") == twin.hub(rows, HOUR, "A", {"B": 1.0, "C": 3.0}, 0.3)
    assert counts(state, "stuck") == twin.stuck(rows, HOUR, 4)
    assert counts(state, "frozen") == twin.frozen(rows, HOUR, 180)
    assert counts(state, "spikes") == twin.spikes(rows, HOUR, 300)
    assert state.get(CELLS, Cells).by_start == twin.Table(rows, HOUR).filled()
    finding = next(one for one in judge(state, rules(Stale())).findings)
    blocks, repeats = twin.repeated_blocks(rows, HOUR, span[0], SIX_HOURS)
    expected = Verdict.unknown if not blocks else Verdict.failed if repeats else Verdict.passed
    assert finding.verdict is expected
    if blocks:
        assert finding.value == pytest.approx(1 - repeats / blocks)


@settings(max_examples=70, deadline=None)
@given(days_of_rows(step=300_000_000, regular=True))
def test_the_twin_agrees_on_short_intervals(given_day: Any) -> None:
    _, rows = given_day
    step = 300_000_000
    state = observe(frame_of(rows), rules(Stuck(hours=0.4), Frozen(minutes=20), Spikes(above=300), step=step))
    assert counts(state, "stuck") == twin.stuck(rows, step, 0.4)
    assert counts(state, "frozen") == twin.frozen(rows, step, 20)
    assert counts(state, "spikes") == twin.spikes(rows, step, 300)


@settings(max_examples=60, deadline=None)
@given(days_of_rows())
def test_the_profile_is_the_twins(given_day: Any) -> None:
    _, rows = given_day
    state = observe(frame_of(rows), rules())
    told = twin.profile([row["lmp"] for row in rows])
    moments = state.get("moments.lmp", Moments)
    assert (moments.count, moments.nulls, moments.rows) == (told["count"], told["nulls"], len(rows))
    assert state.get(ROWS, Tally).judged == len(rows)
    assert state.get("distinct.lmp", Distinct).estimate == told["distinct"]
    if told["count"]:
        assert (moments.low, moments.high) == (told["low"], told["high"])
        assert moments.mean == pytest.approx(told["mean"], abs=1e-9)
        assert moments.deviation == pytest.approx(told["std"], abs=1e-6)
        middle = told["sorted"][math.ceil(0.5 * told["count"]) - 1]
        assert state.get("quantiles.lmp", Quantiles).at(0.5) == [pytest.approx(middle, rel=0.005)]
        assert metrics(state)["mean.lmp"] == moments.mean


@settings(max_examples=40, deadline=None)
@given(days_of_rows(), st.integers(0, 9))
def test_a_merge_of_two_halves_counts_the_rows_of_both(given_day: Any, cut: int) -> None:
    _, rows = given_day
    cells = (Nulls(column="lmp"), Range(column="lmp", min=-500, max=800), Identity(tolerance=0.0), Share())
    both = [observe(frame_of(part), rules(*cells)) for part in (rows[:cut], rows[cut:])]
    whole = observe(frame_of(rows), rules(*cells))
    merged = both[0].merge(both[1])
    for name in ("nulls.lmp", "range.lmp", "identity", "share.loss", "quantiles.lmp", "distinct.lmp"):
        assert merged.states.get(name) == whole.states.get(name), name
    assert merged.merge(PartitionState()) == merged == both[1].merge(both[0])


@settings(max_examples=60, deadline=None)
@given(days_of_rows(regular=True), st.sets(st.integers(0, 11)))
def test_completeness_is_due_against_received(given_day: Any, hours: set[int]) -> None:
    day, rows = given_day
    due = sorted(span_of(day)[0] + hour * HOUR for hour in hours)
    checks = (Intervals(), Complete(at_least=0.9), Fresh())
    found = {
        one.check: one
        for one in judge(observe(frame_of(rows), rules(*checks)), rules(*checks), Context(due=due)).findings
    }
    filled, places = twin.Table(rows, HOUR).filled(), len(twin.Table(rows, HOUR).places)
    if not due:
        assert {found["intervals"].verdict, found["complete"].verdict} == {Verdict.unknown}
        return
    there = sum(start in filled for start in due)
    assert found["intervals"].value == pytest.approx(there / len(due))
    assert (found["intervals"].verdict is Verdict.passed) == (there == len(due))
    share = min(1.0, sum(filled.get(start, 0) for start in due) / (len(due) * places)) if places else 0.0
    assert found["complete"].value == pytest.approx(share)
    assert (found["complete"].verdict is Verdict.passed) == (share >= 0.9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-500, 5000), min_size=1, max_size=30), st.floats(-500, 5000))
def test_robust_z_is_the_distance_from_the_median(past: list[float], value: float) -> None:
    scaled = [math.asinh(number / 10) for number in past]
    centre = twin.middle(scaled)
    spread = 1.4826 * twin.middle([abs(number - centre) for number in scaled])
    assert robust_z(value, past) == pytest.approx((math.asinh(value / 10) - centre) / max(spread, 0.01), rel=1e-9)


def test_too_short_a_history_is_unknown_and_a_long_one_judges() -> None:
    check = Anomaly(metric="rows", history=8)
    state = observe(frame_of([]), rules(check))
    for past, expected in (([100.0] * 7, Verdict.unknown), ([100.0] * 8, Verdict.failed), ([0.0] * 9, Verdict.passed)):
        (finding,) = judge(state, rules(check), Context(history={"rows": past})).findings
        assert finding.verdict is expected


@pytest.mark.parametrize("missing", ["lmp", "energy", "congestion", "loss"])
@pytest.mark.parametrize("value", [None, math.nan])
def test_a_missing_component_makes_the_sum_unknown(missing: str, value: float | None) -> None:
    whole = {"start": 0, "end": HOUR, "place": "A", "run": "DAM", "flags": 0, "basis": "received", "received": 0}
    whole |= {"lmp": 1.0, "energy": 900.0, "congestion": 1.0, "loss": 1.0, "ghg": None}
    state = observe(frame_of([{**whole, missing: value}]), rules(Identity()))
    (finding,) = judge(state, rules(Identity())).findings
    assert (counts(state, "identity"), finding.verdict) == ((0, 0, 1), Verdict.unknown)
    absent = judge(observe(frame_of([whole]).drop(missing), rules(Identity())), rules(Identity())).findings[0]
    assert (absent.verdict, absent.unknown) == (Verdict.unknown, 1)


def test_a_derived_energy_proves_nothing() -> None:
    made = {"start": 0, "end": HOUR, "place": "A", "run": "DAM", "flags": 8, "basis": "received", "received": 0}
    made |= {"lmp": 3.0, "energy": 1.0, "congestion": 1.0, "loss": 1.0, "ghg": None}
    assert counts(observe(frame_of([made]), rules(Identity())), "identity") == (0, 0, 1)


def test_both_forms_of_new_yorks_sign() -> None:
    printed = {"start": 0, "end": HOUR, "place": "A", "run": "DAM", "flags": 0, "basis": "received", "received": 0}
    printed |= {"lmp": 32.0, "energy": 20.0, "congestion": -10.0, "loss": 2.0, "ghg": None}
    decimals = dict.fromkeys(("lmp", "energy", "congestion", "loss"), 2)
    as_printed, turned = Identity(signs={"congestion": -1.0}, decimals=decimals), Identity(decimals=decimals)
    assert judge(observe(frame_of([printed]), rules(as_printed)), rules(as_printed)).score == 1.0
    (finding,) = judge(observe(frame_of([printed]), rules(turned)), rules(turned)).findings
    assert finding.verdict is Verdict.failed
    assert "1 would with congestion's sign turned" in finding.why
    assert turned.allowed == pytest.approx(0.02, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_an_hour_is_the_mean_of_its_parts(data: st.DataObject) -> None:
    prices = st.sampled_from([10.0, 11.0, 12.0, None, math.nan])
    start, quarter = span_of(DAYS[1])[0], HOUR // 4
    hours, parts, said = [], [], []
    for number in range(data.draw(st.integers(0, 4))):
        at = start + number * HOUR
        values = data.draw(st.lists(prices, min_size=3, max_size=4))
        price = data.draw(st.sampled_from([11.0, 10.5, 10.25, None]))
        hours.append({**data.draw(row("RT", "A", at, at + HOUR, (price,))), "lmp": price})
        parts += [
            {**data.draw(row("RT5", "A", at + n * quarter, at + (n + 1) * quarter, (value,))), "lmp": value}
            for n, value in enumerate(values)
        ]
        whole = len(values) == 4 and all(twin.finite(value) for value in values) and price is not None
        said.append(abs(price - sum(values) / 4) > 0.1 + 1e-9 if whole else None)
    check = HourlyMean(parts="five", tolerance=0.1)
    state = observe(frame_of(hours), rules(check), others={"five": frame_of(parts)})
    assert counts(state, "hourly_mean") == (
        sum(one is not None for one in said), said.count(True), said.count(None)
    )  # fmt: skip
    assert counts(observe(frame_of(hours), rules(check)), "hourly_mean") == (0, 0, len(hours))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([None, math.nan, 0.0, 100.0, 101.0, -40.0, 141.0])] * 3), max_size=9))
def test_generation_less_load_is_what_leaves(found: list[tuple[float | None, ...]]) -> None:
    frame = pl.DataFrame(found, schema=dict.fromkeys(("generation", "load", "interchange"), pl.Float64), orient="row")
    state = observe(frame, rules(Balance(), dataset=""))
    said = [
        None if not all(map(twin.finite, one)) else abs(one[0] - one[1] - one[2]) > 1.5 + 1e-9
        for one in found
    ]  # fmt: skip
    assert counts(state, "balance") == (len(said) - said.count(None), said.count(True), said.count(None))


def test_samples_name_the_first_failing_rows_in_order() -> None:
    day, made = DAYS[0], []
    for number in (5, 3, 9, 1, 7, 2, 8):
        at = span_of(day)[0] + number * HOUR
        base = {"start": at, "end": at + HOUR, "place": "A", "run": "DAM", "flags": 0, "basis": "r", "received": 0}
        made.append({**base, "lmp": 9e9, "energy": None, "congestion": None, "loss": None, "ghg": None})
    state = observe(frame_of(made), rules(Range(column="lmp", max=1000.0)))
    shown = state.get("range.lmp.rows", Sample).rows
    assert [text[:40] for text in shown] == sorted(text[:40] for text in shown)
    assert len(shown) == 5 and "T06:00:00" in shown[0]


def test_rows_of_another_table_are_refused() -> None:
    with pytest.raises(ValueError, match="no column of interval_prices"):
        observe(pl.DataFrame({"apples": [1]}), rules())
