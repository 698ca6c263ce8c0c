"""Rows are sorted for a file as Polars would sort them, whatever their types, gaps and repetitions."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
from given_rows import HOUR, T0
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon254.model import Column, Dataset
from carbon254.stores.lake.layout import order_of

MOMENTS = st.integers(-(10**13), 10**13).map(lambda n: T0 + timedelta(microseconds=n))
KINDS = {
    "a": (pl.Categorical, st.sampled_from(["x", "y", "Z", "", "é"])),
    "b": (pl.String, st.text(max_size=3)),
    "c": (pl.Datetime("us", "UTC"), MOMENTS),
    "d": (pl.UInt64, st.integers(0, 2**64 - 1)),
    "e": (pl.Int64, st.integers(-(2**63), 2**63 - 1)),
    "f": (pl.UInt32, st.integers(0, 3)),
    "g": (pl.Datetime("us", "UTC"), st.sampled_from([T0, T0 + HOUR])),
}
NAMES = st.permutations(list(KINDS)).flatmap(lambda names: st.integers(1, len(names)).map(lambda n: names[:n]))


@settings(max_examples=300, deadline=None)
@given(st.data(), NAMES, st.integers(1, 30))
def test_the_order_is_that_of_polars(data: st.DataObject, names: list[str], many: int) -> None:
    columns: list[pl.Series] = []
    for name in names:
        kind, values = KINDS[name]
        each = st.none() | values if data.draw(st.booleans()) else values
        drawn = data.draw(st.lists(each, min_size=many, max_size=many))
        columns.append(pl.Series(name, drawn, dtype=pl.String if name == "a" else kind).cast(kind))
    frame = pl.DataFrame(columns).with_row_index("\0n")
    listed = tuple(Column(name, "string", nullable=True, unit="", role="key", meaning="") for name in names)
    described = Dataset("t", "t", listed, tuple(names), (), names[0], "")
    rows = frame.drop("\0n").to_arrow()
    plain = frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
    wanted = plain.sort(names, nulls_last=False, maintain_order=True)["\0n"].to_list()
    found = order_of(rows, described)
    assert (list(range(many)) if found is None else found.tolist()) == wanted


def test_moments_that_run_beside_each_other_are_sorted_by_the_first() -> None:
    starts = [T0 + n * HOUR for n in (3, 1, 2, 1)]
    frame = pl.DataFrame({"start": starts, "end": [one + HOUR for one in starts], "other": [4, 3, 2, 1]})
    listed = tuple(Column(name, "string", nullable=True, unit="", role="key", meaning="") for name in frame.columns)
    found = order_of(frame.to_arrow(), Dataset("t", "t", listed, tuple(frame.columns), (), "start", ""))
    assert found is not None and found.tolist() == [3, 1, 2, 0]
