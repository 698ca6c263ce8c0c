"""Ticks are enriched from the reference store: by instrument, place and taxonomy; unknown ones are named, not lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from flow.conftest import NOW
from flow.test_tick_bars import SPAN

from carbon254.app import Node
from carbon254.cli.instrumentlists import load
from carbon254.emulator.ticks import INSTRUMENTS, ticks
from carbon254.engine.seeding import seed_reference
from carbon254.errors import ReferenceRefused, UnknownPlace
from carbon254.model import Flag
from carbon254.pipeline import sources

Bring = Callable[..., bool]
SHOWN = ("commodity", "region", "product_tier", "location_id", "unit", "market", "flags")


def push(bring: Bring, *instruments: str, name: str = "t.ndjson", **more: Any) -> None:
    at = NOW.isoformat().replace("+00:00", "Z")
    made = [{"instrument": one, "time": at, "price": 1.0, "sequence": n} | more for n, one in enumerate(instruments)]
    bring("market.ticks", b"\n".join(orjson.dumps(one) for one in made), name)


def stored(node: Node) -> dict[str, tuple[Any, ...]]:
    rows = node.hot.query(f"SELECT instrument, {', '.join(SHOWN)} FROM market_ticks ORDER BY received_at").to_pylist()
    return {row["instrument"]: tuple(row[name] for name in SHOWN) for row in rows}


@pytest.mark.slow
def test_a_symbol_that_names_its_market_and_place_is_enriched_with_them(node: Node, bring: Bring) -> None:
    push(bring, "POWER_SP15_REAL_TIME", "NG_HH_PROMPT")
    assert stored(node) == {
        "POWER_SP15_REAL_TIME": ("power", "SP15", "real_time", "TH_SP15_GEN-APND", "USD/MWh", "PUSHED", 0),
        "NG_HH_PROMPT": ("natural_gas", "Henry Hub", "forward", None, "USD/MMBtu", "PUSHED", 0),
    }


@pytest.mark.slow
def test_a_region_that_the_instrument_leaves_open_is_the_market_of_the_message(node: Node, bring: Bring) -> None:
    push(bring, "POWER_PEAK_DAY_AHEAD", market="MISO")
    assert stored(node)["POWER_PEAK_DAY_AHEAD"][:3] == ("power", "MISO", "day_ahead")


@pytest.mark.slow
def test_every_instrument_of_the_emulator_is_known(node: Node, bring: Bring) -> None:
    made = ticks(1, NOW - timedelta(seconds=1), 2 * len(INSTRUMENTS), form="mixed")
    bring("market.ticks", orjson.dumps(made), "t.json")
    found = stored(node)
    assert set(found) == {one.id for one in INSTRUMENTS}
    assert not [name for name, row in found.items() if row[6] & Flag.UNKNOWN_INSTRUMENT or "PUSHED" in row[:3]]


@pytest.mark.slow
def test_an_unknown_instrument_keeps_its_row_and_is_flagged_and_named(node: Node, bring: Bring) -> None:
    push(bring, "NEW_THING", "CRUDE_WTI", market="ICE")
    found = stored(node)
    unknown = Flag.UNKNOWN_INSTRUMENT.value
    assert found["NEW_THING"] == ("unspecified", "ICE", "unspecified", None, None, "ICE", unknown)
    assert found["CRUDE_WTI"][6] == 0
    named = node.hot.query(f"SELECT instrument FROM market_ticks WHERE bitAnd(flags, {unknown}) != 0").to_pylist()
    assert named == [{"instrument": "NEW_THING"}]


@pytest.mark.slow
def test_a_change_of_the_reference_store_is_taken_up_by_later_ticks_and_by_a_replay(node: Node, bring: Bring) -> None:
    push(bring, "NEW_THING")
    desk = pl.DataFrame({"instrument": ["NEW_THING"], "commodity": ["power"], "market": ["CAISO"], "unit": ["USD/MWh"],
                         "location_id": ["TH_NP15_GEN-APND"], "product_tier": ["day_ahead"]})  # fmt: skip
    done = load(node.reference, desk, "desk.csv", new=False)
    assert (done.rows, done.loaded.rejects.height) == (1, 0)
    push(bring, "NEW_THING", name="later.ndjson", source="later")
    regions = "SELECT source, region, flags FROM market_ticks ORDER BY source"
    assert [tuple(row.values()) for row in node.hot.query(regions).to_pylist()] == [
        ("later", "NP15", 0), ("push", "PUSHED", Flag.UNKNOWN_INSTRUMENT.value)
    ]  # fmt: skip
    node.pipeline.replay("market.ticks", *SPAN, node.clock.now())
    assert [tuple(row.values()) for row in node.hot.query(regions).to_pylist()] == [
        ("later", "NP15", 0),
        ("push", "NP15", 0),
    ]


@pytest.mark.slow
def test_what_a_desk_says_of_an_instrument_stays_when_a_node_starts_again(node: Node) -> None:
    desk = pl.DataFrame({"instrument": ["CRUDE_WTI"], "commodity": ["crude_oil"], "region": ["Houston"]})
    load(node.reference, desk, "desk.csv", new=False)
    before = node.reference.version()
    seed_reference(node.reference, node.log, sources().values(), NOW)
    assert node.reference.version() == before
    facts = node.reference.instrument_facts().filter(pl.col("instrument") == "CRUDE_WTI")
    assert facts["region"].to_list() == ["Houston"]


@pytest.mark.slow
def test_tiers_are_told_as_the_taxonomy_names_them(node: Node, bring: Bring) -> None:
    with node.reference._database.write() as connection:
        connection.exec_driver_sql("UPDATE taxonomy SET name = 'South of Path 15' WHERE path = 'power/SP15'")
    node.reference.put_metadata("instrument", "POWER_SP15_REAL_TIME", {"note": "read"}, "desk")
    push(bring, "POWER_SP15_REAL_TIME")
    assert stored(node)["POWER_SP15_REAL_TIME"][1] == "South of Path 15"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"commodity": "pwoer"}, "no commodity 'pwoer', did you mean power"),
        ({"commodity": None}, "has no commodity"),
        ({"instrument": None}, "instrument is empty"),
        ({"location_id": "WESTRN HUB", "market": "PJM"}, "nearest: WESTERN HUB"),
        ({"location_id": "51288"}, "a location_id and no market"),
        ({"region": "a/b"}, "has a slash"),
    ],
)
def test_a_row_that_cannot_be_taken_is_rejected_with_its_reason(node: Node, row: dict[str, Any], reason: str) -> None:
    good = {
        "instrument": "GOOD",
        "commodity": "Power",
        "region": "X",
        "location_id": None,
        "market": None,
        "lots": "10",
    }
    frame = pl.DataFrame([good, good | {"instrument": "BAD"} | row], schema=dict.fromkeys(good, pl.String))
    done = load(node.reference, frame, "desk.csv", new=False)
    assert done.rows == 1 and reason in done.loaded.rejects["reason"][0]
    assert node.reference.instrument("GOOD")["commodity"] == "power"
    assert node.reference.metadata("instrument", "GOOD")["value"].to_list() == ["10"]
    with pytest.raises(UnknownPlace, match="did you mean GOOD"):
        node.reference.instrument("GOOOD")
    with pytest.raises(ReferenceRefused, match="needs the columns instrument, commodity"):
        load(node.reference, pl.DataFrame({"symbol": ["x"]}), "desk.csv", new=False)


@pytest.mark.slow
def test_a_clock_that_is_ahead_and_a_tick_that_is_late_are_flagged_and_not_moved(node: Node, bring: Bring) -> None:
    offsets = {"ok": -1, "barely": 2, "ahead": 3, "behind": -599, "late": -601}
    for source, seconds in offsets.items():
        at = (NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
        push(bring, "CRUDE_WTI", name=f"{source}.ndjson", source=source, time=at)
    rows = node.hot.query("SELECT source, event_time, flags FROM market_ticks").to_pylist()
    assert {row["source"]: row["flags"] for row in rows} == {
        "ok": 0, "barely": 0, "behind": 0, "ahead": Flag.CLOCK_AHEAD.value, "late": Flag.LATE.value
    }  # fmt: skip
    assert {row["source"]: (row["event_time"] - NOW).total_seconds() for row in rows} == offsets


@pytest.mark.slow
def test_ticks_are_read_aligned_to_our_clock(node: Node, bring: Bring, tmp_path: Path) -> None:
    import carbon254

    for source, seconds in {"ahead": 30, "in step": -1}.items():
        at = (NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
        push(bring, "CRUDE_WTI", name=f"{source}.ndjson", source=source, time=at)
    folder = node.workspace.root
    node.close()
    with carbon254.open(folder) as reader:
        found = reader.ticks("2025-07-01", "2025-07-02", aligned=True).to_polars()
    told = {row["source"]: (row["skew_status"], row["aligned_time"]) for row in found.iter_rows(named=True)}
    assert told["in step"] == ("in_step", NOW - timedelta(seconds=1))
    status, aligned = told["ahead"]
    assert status == "aligned" and abs(aligned - NOW) <= timedelta(seconds=2)
