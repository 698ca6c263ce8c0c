"""A batch is named by what it says: by every value, by none of the ways it is written, and by no order of rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest

from carbon254.engine.batches import content_name
from carbon254.model.arrow import CATEGORY

AT = datetime(2025, 7, 1, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("place", CATEGORY), ("id", pa.string()), ("start", pa.timestamp("us", "UTC")), ("day", pa.date32()),
        ("price", pa.float64()), ("flags", pa.uint32()), ("number", pa.uint64()), ("whole", pa.int64()),
    ]
)  # fmt: skip


def rows(many: int = 50) -> list[dict[str, object]]:
    seed = random.Random(5)
    return [
        {
            "place": seed.choice(["A", "B", "", None, "Ä" * 3, "AB"]),
            "id": seed.choice([None, "", "x", f"seq:{at}", "long " * 2_000]),
            "start": AT + timedelta(minutes=at),
            "day": AT.date(),
            "price": seed.choice([None, 0.0, -31.2, 1e300, 20.0 + at]),
            "flags": seed.choice([None, 0, 1 << 31]),
            "number": seed.choice([None, 0, (1 << 64) - 1, at]),
            "whole": seed.choice([None, -1, at]),
        }
        for at in range(many)
    ]


def table(told: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(told, SCHEMA.remove(0).insert(0, pa.field("place", pa.string()))).cast(SCHEMA)


def changes() -> Iterator[tuple[str, object]]:
    day = timedelta(days=1)
    yield from {"place": "C", "id": "y", "start": AT - day, "day": AT.date() + day, "price": 20.000000001, "flags": 7,
                "number": 12, "whole": 13}.items()  # fmt: skip


def test_the_order_of_rows_and_of_a_dictionary_and_chunks_decide_nothing() -> None:
    told = rows()
    name = content_name(table(told))
    mixed = random.Random(1).sample(told, len(told))
    assert content_name(table(mixed)) == name
    assert content_name(pa.concat_tables([table(mixed[:20]), table(mixed[20:])]).unify_dictionaries()) == name
    frame = pl.DataFrame(table(told)).sort("start", descending=True)
    assert content_name(frame.to_arrow().cast(SCHEMA)) == name


def test_it_is_the_same_in_every_process() -> None:
    assert content_name(table(rows(3))) == "37e96986bebafe7e90aac7bc50673877"


@pytest.mark.parametrize(("column", "value"), changes())
def test_every_value_counts(column: str, value: object) -> None:
    told = rows()
    for at in (0, 17, 49):
        other = [row | {column: value} if place == at else row for place, row in enumerate(told)]
        assert content_name(table(other)) != content_name(table(told))
        none = [row | {column: None} if place == at else row for place, row in enumerate(other)]
        assert content_name(table(none)) != content_name(table(other))


def test_missing_is_neither_zero_nor_empty_and_values_do_not_change_places() -> None:
    base = rows(2)
    first, second = ({**base[0], **given} for given in ({"price": None, "id": ""}, {"price": 0.0, "id": None}))
    assert content_name(table([first])) != content_name(table([second]))
    swapped = [base[0] | {"price": base[1]["price"]}, base[1] | {"price": base[0]["price"]}]
    assert content_name(table(swapped)) != content_name(table(base)) or base[0]["price"] == base[1]["price"]
    assert content_name(table([base[0]])) != content_name(table([base[0], base[0]]))


def test_one_zero_and_one_not_a_number() -> None:
    zero, negative = (table([rows(1)[0] | {"price": price}]) for price in (0.0, -0.0))
    assert content_name(zero) == content_name(negative)
