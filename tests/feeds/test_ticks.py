"""Pushed ticks: every form a sender may use, every malformed form with its reason, and two readers that agree."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import damaged, parse

from carbon254.errors import PayloadRefused
from carbon254.feeds import candidates
from carbon254.model import Flag

TOPIC = "market.ticks"
AT = datetime(2025, 11, 2, 6, 0, 0, 250_000, UTC)
Tick = dict[str, Any]


def plain(**changes: Any) -> Tick:
    tick = {
        "instrument": "NG_HH_PROMPT", "time": "2025-11-02T06:00:00.250Z", "price": 3.25, "quantity": 10,
        "source": "desk", "sequence": 7,
    }  # fmt: skip
    return {name: value for name, value in (tick | changes).items() if value is not ...}


def enveloped(**changes: Any) -> Tick:
    """An envelope message; `part__name=value` changes a field, `...` takes it away."""
    tick: Tick = {
        "envelope": {
            "event_type": "ingestion.market.raw.v1", "event_id": "0b7e", "timestamp": "2025-11-02T06:00:01Z",
            "tenant_id": "desk-a", "source": "ingestion.miso", "version": "1.0", "correlation_id": "c",
            "causation_id": None, "metadata": {"market": "MISO", "data_quality": "good"},
        },
        "payload": {
            "market": "MISO", "instrument_id": "POWER_PEAK_DAY_AHEAD",
            "raw_data": {
                "timestamp": "2025-11-02T06:00:00.250Z", "price": 41.5, "volume": 5, "bid": 41.25, "ask": 41.75,
            },
        },
    }  # fmt: skip
    parts = {"envelope": tick["envelope"], "payload": tick["payload"], "raw": tick["payload"]["raw_data"]}
    for path, value in changes.items():
        part, name = path.split("__")
        if value is ...:
            del parts[part][name]
        else:
            parts[part][name] = value
    return tick


def lines(ticks: list[Tick]) -> bytes:
    return "\n".join(json.dumps(tick) for tick in ticks).encode()


def rejected(tick: object) -> str:
    """The one reason why this message is a reject among sound ones."""
    rows = parse(TOPIC, json.dumps([plain(), tick, enveloped()]).encode())
    assert rows.frame.height == 2 and rows.frame["line"].to_list() == [1, 3]
    ((line, reason, raw),) = rows.rejects.rows()
    assert line == 2 and json.loads(raw) == json.loads(json.dumps(tick))
    return reason


def test_a_plain_tick() -> None:
    rows = parse(TOPIC, json.dumps(plain()).encode())
    assert rows.rejects.is_empty()
    assert rows.frame.to_dicts() == [
        {
            "tenant": "public", "source": "desk", "instrument": "NG_HH_PROMPT", "event_time": AT, "event_id": "seq:7",
            "sequence": 7, "market": "PUSHED", "price": 3.25, "quantity": 10.0, "bid": None, "ask": None, "flags": 0,
            "line": 1,
        }
    ]  # fmt: skip


def test_an_enveloped_tick() -> None:
    rows = parse(TOPIC, json.dumps(enveloped()).encode())
    assert rows.rejects.is_empty()
    assert rows.frame.to_dicts() == [
        {
            "tenant": "desk-a", "source": "ingestion.miso", "instrument": "POWER_PEAK_DAY_AHEAD", "event_time": AT,
            "event_id": "0b7e", "sequence": None, "market": "MISO", "price": 41.5, "quantity": 5.0, "bid": 41.25,
            "ask": 41.75, "flags": 0, "line": 1,
        }
    ]  # fmt: skip


def test_the_envelopes_time_stands_in_where_the_data_has_none() -> None:
    frame = parse(TOPIC, json.dumps(enveloped(raw__timestamp=...)).encode()).frame
    assert frame["event_time"].to_list() == [datetime(2025, 11, 2, 6, 0, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    "ticks",
    [[plain()], [enveloped()], [plain(), plain(sequence=8)], [plain(), enveloped(), plain(sequence=9)]],
    ids=["plain", "envelope", "two plain", "mixed"],
)
def test_an_array_and_lines_say_the_same(ticks: list[Tick]) -> None:
    array, ndjson = parse(TOPIC, json.dumps(ticks).encode()), parse(TOPIC, lines(ticks))
    assert array.rejects.is_empty() and ndjson.rejects.is_empty()
    assert array.frame.equals(ndjson.frame) and array.frame.height == len(ticks)
    assert array.frame["instrument"].to_list() == [
        "POWER_PEAK_DAY_AHEAD" if "envelope" in tick else "NG_HH_PROMPT" for tick in ticks
    ]
    assert candidates("x.json", json.dumps(ticks).encode()) == [TOPIC] == candidates("x", lines(ticks))


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\n\n"])
@pytest.mark.parametrize("last", [plain(sequence=8), enveloped()], ids=["columns", "messages"])
def test_line_ends_blank_lines_and_a_byte_order_mark(ending: bytes, last: Tick) -> None:
    data = b"\xef\xbb\xbf" + ending.join(json.dumps(tick).encode() for tick in (plain(), last)) + ending
    rows = parse(TOPIC, data)
    assert rows.frame.height == 2 and rows.rejects.is_empty()


@pytest.mark.parametrize(
    ("tick", "reason"),
    [
        (enveloped(envelope__tenant_id=...), "tenant_id is missing"),
        (enveloped(envelope__tenant_id=""), "tenant_id is missing"),
        (enveloped(envelope__source=...), "source is missing"),
        (enveloped(payload__raw_data=...), "raw_data is missing"),
        (enveloped(payload__raw_data="3.5"), "raw_data is missing"),
        (enveloped(raw__timestamp="yesterday"), "timestamp is not an ISO 8601 time: 'yesterday'"),
        (enveloped(envelope__timestamp="soon", raw__timestamp=...), "timestamp is not an ISO 8601 time: 'soon'"),
        (enveloped(payload__instrument_id=12345), "instrument_id is not text: 12345"),
        (enveloped(payload__instrument_id=...), "instrument_id is missing"),
        (enveloped(raw__price="high"), "price is not a number: 'high'"),
        (enveloped(raw__volume="many"), "volume is not a number: 'many'"),
        (enveloped(raw__volume=-5), "the quantity is negative: -5"),
        (enveloped(raw__price=None, raw__bid=None, raw__ask=None), "there is no price, bid or ask"),
        ({"payload": enveloped()["payload"]}, "envelope is missing"),
        ({"envelope": enveloped()["envelope"]}, "payload is missing"),
        (plain(instrument=...), "instrument is missing"),
        (plain(instrument=42), "instrument is not text: 42"),
        (plain(time=...), "time is missing"),
        (plain(time="noon"), "time is not an ISO 8601 time: 'noon'"),
        (plain(time="2025-02-30T00:00:00Z"), "time is not an ISO 8601 time: '2025-02-30T00:00:00Z'"),
        (plain(price="high"), "price is not a number: 'high'"),
        (plain(price=True), "price is not a number: True"),
        (plain(quantity=-1), "the quantity is negative: -1"),
        (plain(price=...), "there is no price, bid or ask"),
        (plain(sequence=1.5), "sequence is not a whole number: 1.5"),
        (plain(sequence=-1), "sequence is not a whole number: -1"),
        (17, "the message is not a JSON object"),
    ],
)
def test_each_malformed_form_has_its_own_reason(tick: object, reason: str) -> None:
    assert rejected(tick) == reason


@pytest.mark.parametrize(
    ("tick", "reason"),
    [
        (plain(instrument=42), "instrument is not text: 42"),
        (plain(instrument=True), "instrument is not text: True"),
        (plain(instrument=""), "instrument is missing"),
        (plain(source=5), "source is not text: 5"),
        (plain(tenant=5), "tenant is not text: 5"),
        (plain(market=5), "market is not text: 5"),
        (plain(event_id=5), "event_id is not text: 5"),
        (plain(time=20251102), "time is not text: 20251102"),
        (plain(time="noon"), "time is not an ISO 8601 time: 'noon'"),
        (plain(price="high"), "price is not a number: 'high'"),
        (plain(price=True), "price is not a number: True"),
        (plain(price="3.25"), "price is not a number: '3.25'"),
        (plain(quantity=-1), "the quantity is negative: -1"),
        (plain(price=...), "there is no price, bid or ask"),
        (plain(sequence=1.5), "sequence is not a whole number: 1.5"),
        (plain(sequence="8"), "sequence is not a whole number: '8'"),
        (plain(sequence=-1), "sequence is not a whole number: -1"),
    ],
)
@pytest.mark.parametrize("form", ["array", "lines"])
def test_a_bad_tick_among_plain_ones_is_found_without_an_envelope_near(tick: Tick, reason: str, form: str) -> None:
    ticks = [plain(), tick, plain(sequence=9)]
    rows = parse(TOPIC, lines(ticks) if form == "lines" else json.dumps(ticks).encode())
    assert rows.rejects.select("line", "reason").rows() == [(2, reason)]
    assert rows.frame["line"].to_list() == [1, 3]


def test_a_negative_power_price_is_ordinary() -> None:
    for ticks in ([plain(price=-41.5)], [enveloped(raw__price=-41.5)]):
        rows = parse(TOPIC, json.dumps(ticks).encode())
        assert rows.rejects.is_empty() and rows.frame["price"].to_list() == [-41.5] and rows.frame["flags"][0] == 0


def test_a_time_without_offset_is_read_as_utc_and_flagged() -> None:
    ticks = [plain(time="2025-11-02T06:00:00.250"), enveloped(raw__timestamp="2025-11-02T06:00:00.250"), plain()]
    frame = parse(TOPIC, lines(ticks)).frame
    assert frame["event_time"].to_list() == [AT] * 3
    assert frame["flags"].to_list() == [Flag.NO_OFFSET, Flag.NO_OFFSET, 0]


def test_an_offset_is_turned_into_utc() -> None:
    frame = parse(TOPIC, lines([plain(time="2025-11-02T01:00:00.250-05:00")])).frame
    assert frame["event_time"].to_list() == [AT] and frame["flags"].to_list() == [0]


def test_a_line_that_is_not_json_is_a_reject_with_its_text() -> None:
    rows = parse(TOPIC, lines([plain()]) + b'\n{"instrument": "NG", oops}\n' + lines([plain(sequence=8)]))
    assert rows.frame["line"].to_list() == [1, 3]
    assert rows.rejects["line"].to_list() == [2] and rows.rejects["raw"].to_list() == ['{"instrument": "NG", oops}']


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"hello", "not JSON"),
        (b"[{", "not JSON"),
        (b"a\nb\nc", "not JSON"),
        (b"\xff\xfe{", "not JSON"),
    ],
)
def test_what_is_not_json_is_refused_whole(data: bytes, reason: str) -> None:
    with pytest.raises(PayloadRefused, match=reason):
        parse(TOPIC, data)


def test_ticks_without_a_key_of_their_own_are_told_apart_by_their_values() -> None:
    frame = parse(TOPIC, lines([plain(sequence=...), plain(sequence=..., price=3.5), plain(event_id="mine")])).frame
    assert frame["event_id"].to_list() == ["value:3.25|10.0||", "value:3.5|10.0||", "mine"]


numbers = (
    st.none() | st.floats(-1e6, 1e6) | st.integers(-1000, 1000) | st.sampled_from([0.0, -0.0, 1e15, 0.1, "3", True])
)
names = st.sampled_from(["NG", "Brent ü", "12345", "-1.5e3", "true", "[x", "", " ", 7, None, 'a"b\\c'])
stamps = st.sampled_from(
    ["2025-11-02T06:00:00Z", "2025-11-02T06:00:00.25Z", "2025-11-02T06:00:00.250001Z", "2025-11-02T06:00:00", "noon",
     "2025-11-02T01:00:00-05:00", "2025-11-02", "2025-11-02 06:00:00Z", None, 5]
)  # fmt: skip
ticks = st.fixed_dictionaries(
    {"instrument": names | st.just("NG"), "time": st.just("2025-11-02T06:00:00Z") | stamps, "price": numbers},
    optional={
        "quantity": numbers, "bid": numbers, "ask": numbers, "sequence": st.integers(0, 1 << 63) | numbers,
        "source": names, "tenant": names, "market": names, "event_id": names, "extra": st.just([1]),
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(ticks, min_size=1, max_size=4), st.booleans())
def test_reading_by_column_and_by_message_agree(messages: list[Tick], array: bool) -> None:
    slow_only = [*messages, enveloped()]
    fast = parse(TOPIC, json.dumps(messages).encode() if array else lines(messages))
    slow = parse(TOPIC, json.dumps(slow_only).encode() if array else lines(slow_only))
    assert fast.rejects.rows() == slow.rejects.rows()
    assert fast.frame.equals(slow.frame.filter(pl.col("line") <= len(messages)))


@pytest.mark.parametrize(
    "data",
    [
        lines([plain(), plain(sequence=8)]),
        json.dumps([plain(), plain(sequence=8)]).encode(),
        lines([enveloped(), plain()]),
    ],
    ids=["lines", "array", "envelope"],
)
def test_damaged_payloads_are_refused_or_read_and_never_fail_otherwise(data: bytes) -> None:
    for copy in damaged(data, 200):
        try:
            rows = parse(TOPIC, copy)
        except PayloadRefused:
            continue
        for column in ("price", "quantity", "bid", "ask"):
            assert rows.frame[column].is_finite().fill_null(True).all(), copy
        assert (
            rows.frame.select("instrument", "event_time", "source", "event_id").null_count().sum_horizontal().item()
            == 0
        )
        assert (rows.frame["quantity"] >= 0).fill_null(True).all(), copy
