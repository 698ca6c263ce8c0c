"""The gate and rounding: what a provider rounded is not held, what it got wrong is, however the numbers are padded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality.days import stream_of

from carbon254.engine.gate import Gate
from carbon254.feeds import feeds
from carbon254.feeds.card import load_card
from carbon254.model import Flag, dataset
from carbon254.quality import judge, observe, read_rules
from carbon254.quality.identity import Identity
from carbon254.quality.rounding import ENOUGH, units_of

START = datetime(2025, 1, 1, 6, tzinfo=UTC)
LONG_AGO = START + timedelta(days=4000)
SUMMED = sorted(
    topic
    for topic, feed in feeds().items()
    if feed.stream.dataset == "interval_prices" and feed.stream.rounding.most and feed.stream.derive != "energy"
)


def gate_of(topic: str) -> Gate:
    feed = feeds()[topic]
    return Gate(feed.stream, dataset("interval_prices"), read_rules(feed.quality(), feed.stream))


def rounded(numbers: list[tuple[float, float, float, float]], decimals: int, topic: str) -> pl.DataFrame:
    """Rows of one place, each number rounded on its own after the exact sum was made."""
    stream = stream_of(topic)
    gas = "caiso" in topic
    rows = [
        {"energy": e, "congestion": c, "loss": w, "ghg": g if gas else None, "lmp": e + c + w + (g if gas else 0.0)}
        for e, c, w, g in numbers
    ]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("energy", "congestion", "loss", "ghg", "lmp"), pl.Float64))
    starts = [START + number * stream.resolution for number in range(len(rows))]
    return frame.with_columns(pl.all().round(decimals)).with_columns(
        pl.lit(stream.market).alias("market"),
        pl.lit("energy").alias("product"),
        pl.lit(stream.market_run).alias("market_run"),
        pl.lit("1234").alias("location_id"),
        pl.Series("interval_start", starts, dtype=pl.Datetime("us", "UTC")),
        pl.Series("interval_end", [one + stream.resolution for one in starts], dtype=pl.Datetime("us", "UTC")),
        pl.lit(0, dtype=pl.UInt32).alias("flags"),
        pl.lit(0, dtype=pl.UInt32).alias("revision"),
    )


def held(topic: str, frame: pl.DataFrame, check: str = "identity") -> list[datetime]:
    """Starts of the intervals that the gate holds for a check."""
    found = gate_of(topic).split(frame, LONG_AGO).held
    return [] if found is None else found.filter(pl.col("_check") == check)["interval_start"].to_list()


def off(frame: pl.DataFrame, row: int, column: str, by: float) -> pl.DataFrame:
    here = pl.int_range(pl.len()) == row
    return frame.with_columns(pl.when(here).then((pl.col(column) + by).round(8)).otherwise(column).alias(column))


dollars = st.floats(-300, 3000, allow_nan=False).map(lambda value: value or 0.1)
small = st.floats(-40, 40, allow_nan=False)
quads = st.tuples(dollars, small, st.floats(-5, 5), st.floats(0, 20))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("topic", SUMMED)
@settings(max_examples=15, deadline=None)
@given(st.lists(quads, min_size=1, max_size=260), st.integers(2, 6), st.data())
def test_what_was_rounded_is_not_held_and_what_is_wrong_is(
    topic: str, numbers: list[tuple[float, float, float, float]], decimals: int, data: st.DataObject
) -> None:
    card = stream_of(topic).rounding
    step = 10.0**-decimals
    if len(numbers) < ENOUGH and step > card.step:
        decimals, step = 5, 1e-5
    frame = rounded(numbers, decimals, topic)
    assert held(topic, frame) == []
    row = data.draw(st.integers(0, len(numbers) - 1))
    column = data.draw(st.sampled_from(["lmp", "energy", "congestion", "loss"]))
    count = 5 if "caiso" in topic else 4
    # Beyond what rounding may leave and what it did leave.
    wrong = off(frame, row, column, data.draw(st.sampled_from([1, -1])) * (count * max(step, card.most) + step))
    assert frame["interval_start"][row] in held(topic, wrong)


@pytest.mark.parametrize("decimals", [2, 3, 4, 6])
def test_a_long_statement_is_judged_by_the_decimals_it_uses(decimals: int) -> None:
    import random

    chance = random.Random(decimals)
    numbers = [(chance.uniform(5, 90), chance.gauss(0, 9), chance.gauss(0, 1), 0.0) for _ in range(400)]
    frame = rounded(numbers, decimals, "iso.rt.lmp.pjm")
    assert held("iso.rt.lmp.pjm", frame) == []
    wrong = off(frame, 77, "loss", 5 * 10.0**-decimals)
    assert held("iso.rt.lmp.pjm", wrong) == [frame["interval_start"][77]]
    rules = gate_of("iso.rt.lmp.pjm").rules
    (finding,) = [one for one in judge(observe(wrong, rules), rules).findings if one.check == "identity"]
    assert finding.failed == 1 and frame["interval_start"][77].isoformat() in finding.rows[0]


def test_cents_padded_to_six_decimals_add_up_within_two_cents() -> None:
    frame = rounded([(18.32, -12.36, -0.08, 0.0)] * 1, 2, "iso.rt.lmp.pjm").with_columns(lmp=5.89)
    for times in (1, 99, 100, 8760):
        many = pl.concat([frame] * times).with_columns(
            interval_start=START + pl.int_range(times) * timedelta(hours=1),
            interval_end=START + pl.int_range(1, times + 1) * timedelta(hours=1),
        )
        assert held("iso.rt.lmp.pjm", many) == [], times
        assert held("iso.rt.lmp.pjm", many.with_columns(lmp=5.91)) != [], times


def test_energy_in_cents_beside_parts_of_six_decimals() -> None:
    import random

    chance = random.Random(254)
    numbers = [(round(chance.uniform(5, 90), 6), chance.gauss(0, 9), chance.gauss(0, 1), 0.0) for _ in range(300)]
    frame = rounded(numbers, 6, "iso.rt.lmp.pjm").with_columns(pl.col("energy").round(2))
    assert held("iso.rt.lmp.pjm", frame) == []
    worst = (frame["lmp"] - frame["energy"] - frame["congestion"] - frame["loss"]).abs().max()
    assert 0.004 < worst < 0.00501  # type: ignore[operator]
    wrong = off(frame, 9, "congestion", 0.0111)
    assert held("iso.rt.lmp.pjm", wrong) == [frame["interval_start"][9]]


@pytest.mark.parametrize("coarse", [1, 24, 150, 390])
def test_a_file_of_two_precisions_is_judged_row_by_row(coarse: int) -> None:
    import random

    chance = random.Random(coarse)
    numbers = [(chance.uniform(5, 90), chance.gauss(0, 9), chance.gauss(0, 1), 0.0) for _ in range(400)]
    cents = rounded(numbers[:coarse], 2, "iso.da.lmp.pjm")
    fine = rounded(numbers, 6, "iso.da.lmp.pjm")[coarse:]
    frame = pl.concat([cents, fine])
    assert held("iso.da.lmp.pjm", frame) == []
    assert held("iso.da.lmp.pjm", off(frame, 399, "loss", 0.001)) == [frame["interval_start"][399]]
    assert held("iso.da.lmp.pjm", off(frame, 0, "loss", 0.05)) == [frame["interval_start"][0]]


@pytest.mark.parametrize("rows", [5, 99, 100, 500])
def test_round_prices_do_not_blind_the_gate(rows: int) -> None:
    frame = rounded([(20.0, 1.0, -1.0, 0.0)] * rows, 0, "iso.rt.lmp.pjm")
    assert held("iso.rt.lmp.pjm", frame) == []
    assert held("iso.rt.lmp.pjm", off(frame, 3, "lmp", 1.0)) == [frame["interval_start"][3]]
    assert held("iso.rt.lmp.pjm", off(frame, 3, "lmp", 0.021)) == [frame["interval_start"][3]]


def test_a_column_of_zeros_is_as_coarse_as_what_stands_beside_it() -> None:
    frame = pl.DataFrame({"lmp": [20.1234, 3.0001], "loss": [0.0, 0.0]})
    assert units_of(frame, ("lmp", "loss"), 0.01).finest == pytest.approx((1e-4, 1e-4))


def test_the_card_fills_in_what_an_entry_leaves_out() -> None:
    stream = stream_of("iso.da.lmp.caiso")

    def law(text: str) -> Identity:
        return next(one for one in read_rules(text, stream).checks if isinstance(one, Identity))

    assert (law("").step, law("").most) == (1e-5, 0.01)
    assert law("all:\n  - identity: {parts: [energy]}").step == 1e-5
    said = law("all:\n  - identity: {tolerance: 0.5}")
    assert (said.step, said.allowed) == (0.0, pytest.approx(0.5))


def test_a_card_tells_its_rounding_as_a_number_or_a_table() -> None:
    from carbon254.errors import SettingsError

    text = (feeds()["iso.da.lmp.spp"].package.replace(".", "/")) + "/feed.toml"
    from pathlib import Path

    card = (Path(__file__).parents[2] / text).read_text()
    assert {one.rounding.most for one in load_card(card)[1]} == {0.01}
    for wrong in ("-1", "{most = 0.1}", "{step = 0.1, least = 2}"):
        with pytest.raises(SettingsError, match="rounding is a number"):
            load_card(card.replace("rounding = 0.01", f"rounding = {wrong}", 1))


def neighbours(lmp: list[float], topic: str = "iso.rt.lmp.spp") -> pl.DataFrame:
    """Five places that move a little, the first with these prices; congestion explains every price."""
    parts = []
    for place in range(5):
        energy = [20.0 + (number % 7) * 0.31 for number in range(len(lmp))]
        price = lmp if place == 0 else [value + place for value in energy]
        frame = rounded([(e, p - e, 0.0, 0.0) for e, p in zip(energy, price, strict=True)], 4, topic)
        parts.append(frame.with_columns(pl.lit(f"LOC_{place}").alias("location_id")))
    return pl.concat(parts)


def flagged(frame: pl.DataFrame, topic: str = "iso.rt.lmp.spp") -> list[float]:
    split = gate_of(topic).split(frame, LONG_AGO)
    assert split.held is None
    return split.good.filter(pl.col("flags") & Flag.IMPLAUSIBLE.value > 0)["lmp"].to_list()


def test_unlikely_prices_that_add_up_go_out_with_a_flag() -> None:
    quiet = [20.5 + number % 3 for number in range(60)]
    assert flagged(neighbours(quiet)) == []
    assert flagged(neighbours([*quiet[:30], 2271.76, *quiet[31:]])) == [2271.76]
    assert flagged(neighbours([*quiet[:30], -1200.5, *quiet[31:]])) == [-1200.5]
    assert flagged(neighbours([*quiet[:30], -42.0, *quiet[31:]])) == []


def test_prices_at_a_cap_may_stand_still() -> None:
    topic = "iso.rt.lmp.ercot"
    frame = neighbours([9_000.0] * 30 + [8_999.5], topic)
    assert set(flagged(frame, topic)) == {9_000.0, 8_999.5}


def test_a_single_place_may_keep_its_price_for_hours() -> None:
    frame = rounded([(-0.01, 0.0, 0.0, 0.0)] * 5 + [(4.0 + n, 0.0, 0.0, 0.0) for n in range(19)], 2, "iso.rt.lmp.pjm")
    split = gate_of("iso.rt.lmp.pjm").split(frame, LONG_AGO)
    assert split.held is None


def test_a_few_large_losses_are_flagged_and_a_swapped_file_is_held() -> None:
    frame = rounded([(20.0 + n, 3.0, 1.0, 0.0) for n in range(150)], 2, "iso.rt.lmp.pjm")
    lossy = frame.with_columns(
        loss=pl.when(pl.int_range(pl.len()) < 20).then(-30.0).otherwise("loss"),
        lmp=pl.when(pl.int_range(pl.len()) < 20).then(pl.col("lmp") - 31.0).otherwise("lmp"),
    )
    split = gate_of("iso.rt.lmp.pjm").split(lossy, LONG_AGO)
    assert split.held is None
    assert split.good.filter(pl.col("flags") & Flag.IMPLAUSIBLE.value > 0).height == 20
    swapped = frame.rename({"energy": "loss", "loss": "energy"})
    assert len(held("iso.rt.lmp.pjm", swapped, "share.loss")) == 150
