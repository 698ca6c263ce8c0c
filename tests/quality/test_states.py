"""States merge associatively and commutatively to the last bit, have an identity, and survive the trip to bytes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality import twin

from carbon254.errors import CorruptRecord
from carbon254.quality import PartitionState, merged
from carbon254.quality.profile import Distinct, Moments, Quantiles
from carbon254.quality.states import Cells, Peak, Prints, Sample, Tally

counts = st.integers(0, 10**9)
numbers = st.floats(-1e9, 1e9, allow_nan=False, width=64)
small = st.integers(0, 30)
tables = st.dictionaries(st.integers(-(2**40), 2**50), counts, max_size=6)


def measured(values: list[float]) -> Moments:
    return Moments.measured(np.array(values, float), 1)


STATES: dict[str, st.SearchStrategy[Any]] = {
    "tally": st.builds(Tally, counts, counts, counts),
    "peak": st.builds(Peak, counts),
    "cells": st.builds(Cells, tables),
    "prints": st.builds(Prints, st.dictionaries(st.integers(0, 5), st.integers(0, 2**64 - 1), max_size=4)),
    "sample": st.builds(Sample.first, st.lists(st.text(max_size=3), max_size=9)),
    "moments": st.builds(measured, st.lists(numbers, max_size=8)),
    "quantiles": st.builds(lambda v: Quantiles.measured(np.array(v, float)), st.lists(numbers, max_size=9)),
    "distinct": st.builds(lambda v: Distinct.numbers(np.array(v, float)), st.lists(numbers, max_size=9)),
}


@pytest.mark.parametrize("name", STATES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_merging_is_lawful(name: str, data: st.DataObject) -> None:
    a, b, c = (data.draw(STATES[name]) for _ in range(3))
    zero = type(a)()
    assert a.merge(zero) == a == zero.merge(a)
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_bytes_hold_everything(data: st.DataObject) -> None:
    state = PartitionState({name: data.draw(kind) for name, kind in STATES.items()})
    other = PartitionState({name: data.draw(kind) for name, kind in STATES.items()})
    back = PartitionState.from_bytes(state.to_bytes())
    assert back == state
    assert back.merge(other).to_bytes() == other.merge(state).to_bytes()
    assert merged([]) == PartitionState()


@pytest.mark.parametrize(
    "spoil", [lambda b: b"x" + b, lambda b: b[:-3], lambda b: b[:8] + b"\0" + b[9:], lambda b: b""]
)
def test_damaged_bytes_are_refused(spoil: Any) -> None:
    kept = PartitionState({"a": Tally(3, 1, 0), "b": Cells({5: 2})}).to_bytes()
    with pytest.raises(CorruptRecord, match="--again"):
        PartitionState.from_bytes(spoil(kept))


def test_states_of_other_rules_do_not_mix() -> None:
    with pytest.raises(TypeError, match="the rules differ"):
        PartitionState({"a": Tally()}).merge(PartitionState({"a": Peak()}))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(numbers, max_size=20), min_size=1, max_size=4))
def test_a_months_profile_is_that_of_all_its_rows(days: list[list[float]]) -> None:
    together = [value for day in days for value in day]
    told = twin.profile(together)
    moments, quantiles, distinct = Moments(), Quantiles(), Distinct()
    for day in days:
        moments = moments.merge(measured(day))
        quantiles = quantiles.merge(Quantiles.measured(np.array(day, float)))
        distinct = distinct.merge(Distinct.numbers(np.array(day, float)))
    assert moments.count == told["count"]
    assert distinct.estimate == told["distinct"]
    if not together:
        assert moments.mean is None and quantiles.at(0.5) == []
        return
    assert (moments.low, moments.high) == (told["low"], told["high"])
    scale = max(1.0, abs(told["low"]), abs(told["high"]))
    assert moments.mean == pytest.approx(told["mean"], rel=1e-12, abs=1e-12 * scale)
    assert moments.deviation == pytest.approx(told["std"], rel=1e-6, abs=1e-7 * scale)
    for share in (0.01, 0.25, 0.5, 0.95, 1.0):
        rank = told["sorted"][max(1, math.ceil(share * len(together))) - 1]
        assert quantiles.at(share) == [pytest.approx(rank, rel=0.005, abs=1e-300)]


def test_a_narrow_column_far_from_zero_keeps_its_deviation() -> None:
    values = [1e6 + step / 1e4 for step in range(1_000)]
    halves = measured(values[:500]).merge(measured(values[500:]))
    assert halves.deviation == pytest.approx(float(np.std(values)), rel=1e-6)


def test_many_distinct_values_are_estimated() -> None:
    rng = np.random.default_rng(254)
    values = rng.permutation(np.arange(300_000, dtype=float))
    parts = [Distinct.numbers(values[first : first + 90_000]) for first in range(0, 300_000, 75_000)]
    state = parts[0].merge(parts[1]).merge(parts[2]).merge(parts[3])
    assert state == Distinct.numbers(values)
    assert state.estimate == pytest.approx(300_000, rel=0.1)


def test_large_and_small_columns_have_the_same_histogram() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0, 50, 70_000), [0.0, -0.0, 1e-300, -1e90]])
    parts = Quantiles()
    for first in range(0, len(values), 10_000):
        parts = parts.merge(Quantiles.measured(values[first : first + 10_000]))
    assert parts == Quantiles.measured(values)
