"""The tree and the hash of rows, judged by slow twins written from RFC 6962 and from plain Python."""

from __future__ import annotations

import hashlib
import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon254.proof import Chunks, Growing, included, path_of, root_of, rows_hash
from carbon254.proof.rows import frame_hash

QUICK = settings(max_examples=60, deadline=None)
LEAVES = st.lists(st.binary(max_size=8), max_size=40)


def twin(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + twin(leaves[:k]) + twin(leaves[k:])).digest()


@QUICK
@given(LEAVES)
def test_the_root_is_that_of_the_rfc_however_the_tree_grew(leaves: list[bytes]) -> None:
    assert root_of(leaves) == twin(leaves)
    tree = Growing()
    for count, leaf in enumerate(leaves):
        assert (tree.size, tree.root()) == (count, twin(leaves[:count]))
        tree.add(leaf)


def test_known_roots_of_the_rfc_test_vectors() -> None:
    """Values published with the reference implementation (certificate-transparency, merkle_tree_test)."""
    leaves = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243")]
    assert root_of(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of(leaves[:2]).hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert root_of(leaves[:3]).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert root_of(leaves[:6]).hex() == "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"


@QUICK
@given(LEAVES.filter(bool), st.data())
def test_a_leaf_is_proven_at_its_place_and_nowhere_else(leaves: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(leaves) - 1))
    path, root = path_of(leaves, at), root_of(leaves)
    assert included(leaves[at], at, len(leaves), path, root)
    assert len(path) <= math.ceil(math.log2(len(leaves))) if len(leaves) > 1 else path == []
    assert not included(leaves[at] + b"x", at, len(leaves), path, root)
    assert not included(leaves[at], at, len(leaves), [*path, b"\0" * 32], root)
    assert not included(leaves[at], len(leaves), len(leaves), path, root)
    if path:
        harmed = [bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:]]
        assert not included(leaves[at], at, len(leaves), harmed, root)
    with pytest.raises(IndexError):
        path_of(leaves, len(leaves))


@QUICK
@given(LEAVES.filter(lambda found: len(found) > 1), st.data())
def test_one_changed_leaf_changes_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves[:at], leaves[at] + b"\0", *leaves[at + 1 :]]
    assert root_of(changed) != root_of(leaves)


VALUES = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-(2**62), 2**62),
        "f": st.none() | st.floats(width=64),
        "s": st.none() | st.text(max_size=4),
        "b": st.none() | st.booleans(),
        "t": st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),
    }
)
ROWS = st.lists(VALUES, max_size=12)
SCHEMA = {"n": pl.Int64, "f": pl.Float64, "s": pl.String, "b": pl.Boolean, "t": pl.Datetime("us")}


def frame(rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def plain(row: dict) -> tuple:
    """A row as plain values: one zero, one not-a-number, missing apart from everything."""
    number = row["f"]
    if number is not None:
        number = "nan" if math.isnan(number) else number + 0.0
    return tuple(repr(number if name == "f" else row[name]) for name in SCHEMA)


@pytest.mark.slow
@QUICK
@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_rows_have_one_hash_if_and_only_if_they_are_the_same_multiset(
    one: list[dict], other: list[dict], rng: random.Random
) -> None:
    shuffled = rng.sample(one, len(one))
    assert frame_hash(frame(one)) == frame_hash(frame(shuffled))
    same = sorted(map(plain, one)) == sorted(map(plain, other))
    assert (frame_hash(frame(one)) == frame_hash(frame(other))) is same
    if one:
        doubled = [*one, one[0]]
        assert frame_hash(frame(doubled)) != frame_hash(frame(one))


def test_the_hash_is_of_what_rows_say_and_not_of_how_they_are_stored() -> None:
    at = datetime(2025, 7, 1, 12, tzinfo=UTC)
    plainly = pa.table(
        {"a": pa.array(["x", "y", None]), "n": pa.array([1, 2, 3]), "t": [at] * 3, "f": [0.0, 1.5, None]}
    )
    otherwise = pa.table(
        {
            "a": pa.array(["x", "y", None]).dictionary_encode(),
            "n": pa.array([1, 2, 3], pa.uint8()),
            "t": pa.array([at] * 3, pa.timestamp("ms", "America/Chicago")),
            "f": pa.array([-0.0, 1.5, None], pa.float32()),
        }
    )
    wide = otherwise.set_column(1, "n", pa.array([Decimal(1), Decimal(2), Decimal(3)], pa.decimal128(20, 0)))
    chunked = pa.concat_tables([plainly.slice(0, 1), plainly.slice(1)])
    hashes = {rows_hash(table).hash for table in (plainly, otherwise, wide, chunked, plainly.take([2, 0, 1]))}
    assert len(hashes) == 1
    changes = {
        "another name": plainly.rename_columns(["a", "m", "t", "f"]),
        "another order of columns": plainly.select(["n", "a", "t", "f"]),
        "a number as text": plainly.set_column(1, "n", pa.array(["1", "2", "3"])),
        "missing is not zero": plainly.set_column(3, "f", pa.array([0.0, 1.5, 0.0])),
        "empty is not missing": plainly.set_column(0, "a", pa.array(["x", "y", ""])),
        "a microsecond": plainly.set_column(2, "t", pa.array([at, at, at + timedelta(microseconds=1)])),
    }
    told = {name: rows_hash(table).hash for name, table in changes.items()}
    assert len({*told.values(), *hashes}) == 1 + len(changes), told


def test_text_of_two_cells_cannot_be_cut_otherwise() -> None:
    assert frame_hash(pl.DataFrame({"a": ["ab", "c"]})) != frame_hash(pl.DataFrame({"a": ["a", "bc"]}))
    assert frame_hash(pl.DataFrame({"a": ["ab"], "b": ["c"]})) != frame_hash(pl.DataFrame({"a": ["a"], "b": ["bc"]}))


def test_columns_and_rows_that_differ_are_told() -> None:
    one = pa.table({"place": ["A", "B"], "lmp": [1.0, 2.0]})
    other = pa.table({"place": ["A", "B"], "lmp": [1.0, 2.5]})
    before, after = rows_hash(one), rows_hash(other)
    assert [name for name in before.columns if before.columns[name] != after.columns[name]] == ["1:lmp"]
    assert before.each[0] == after.each[0] and before.each[1] != after.each[1]


@pytest.mark.slow
@QUICK
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_a_market_day_has_one_hash_however_its_hours_were_read(seed: int, cuts: int) -> None:
    rng = random.Random(seed)
    start = datetime(2025, 11, 1, tzinfo=UTC)
    moments = [start + timedelta(minutes=rng.randrange(72 * 60)) for _ in range(120)]
    table = pl.DataFrame({"t": moments, "v": [rng.choice([None, 1.0, 2.0]) for _ in moments]}).cast(
        {"t": pl.Datetime("us", "UTC")}
    )
    whole, parts = Chunks("t", "America/Chicago"), Chunks("t", "America/Chicago")
    whole.add(table)
    edges = [
        start,
        *sorted(start + timedelta(hours=rng.randrange(1, 72)) for _ in range(cuts)),
        start + timedelta(days=3),
    ]
    spans = list(pairwise(edges))
    rng.shuffle(spans)
    for low, high in spans:
        parts.add(
            table.filter(pl.col("t").is_between(low, high, closed="left")).sample(fraction=1, shuffle=True, seed=seed)
        )
    assert whole.days() == parts.days()
    assert [whole.of(day) for day in whole.days()] == [parts.of(day) for day in whole.days()]
    changed = Chunks("t", "America/Chicago")
    changed.add(table.with_columns(pl.when(pl.int_range(pl.len()) == 7).then(9.0).otherwise("v").alias("v")))
    differ = [day for day in whole.days() if whole.of(day) != changed.of(day)]
    assert len(differ) == 1
    with pytest.raises(ValueError, match="two parts"):
        whole.add(table)
