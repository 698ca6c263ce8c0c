"""EIA: values as text, numbers and null, totals as text, and answers of other routes."""

from __future__ import annotations

from datetime import UTC, date, datetime

import orjson
import pytest
from payloads import assert_expected, assert_survives, observed, parse, recorded, sample, samples

from carbon254.calendars import market_day_span
from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import candidates, feed

TOPIC = "energy.spot.eia"
OIL, GAS = samples("eia")[::-1]


@pytest.mark.parametrize("name", samples("eia"))
def test_samples(name: str) -> None:
    assert_expected("eia", TOPIC, name)


def test_stages_take_the_rows() -> None:
    frame = observed(TOPIC, sample("eia", OIL)).frame
    assert frame["price_date"].to_list() == [date(2026, 6, 1), date(2026, 6, 1), date(2026, 6, 2), date(2026, 6, 3)]
    assert frame["revision"].to_list() == [0] * 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"period": "2026-06"}, "not a day"),
        ({"period": 20260601}, "not a day"),
        ({"series": "EER_EPMRU_PF4_RGC_DPG"}, "not one of those"),
        ({"value": "."}, "not a number"),
        ({"value": "inf"}, "finite"),
        ({"value": {"a": 1}}, "not a number"),
        ({"units": "$/GAL"}, "unit"),
    ],
)
def test_a_bad_record_is_a_reject(change: dict[str, object], reason: str) -> None:
    answer = orjson.loads(sample("eia", OIL))
    answer["response"]["data"][1].update(change)
    rows = parse(TOPIC, orjson.dumps(answer))
    assert rows.frame["line"].to_list() == [1, 3, 4]
    assert rows.rejects["line"].to_list() == [2]
    assert reason in rows.rejects["reason"][0]


@pytest.mark.parametrize(
    "name",
    [
        "error_404_not_found.json",
        "macrogauge_eia_weekly.json",
        "US-NW-PGE-with-nulls.json",
        "rto_region-data_PACW_D_20230101_20230108.json",
    ],
)
def test_recorded_answers_of_other_routes_are_refused(name: str) -> None:
    data = recorded(f"eia/{name}")[1]
    assert TOPIC not in candidates(name, data)
    with pytest.raises(PayloadRefused):
        parse(TOPIC, data, name)


def test_an_error_says_what_eia_said() -> None:
    with pytest.raises(PayloadRefused, match=r"Not found.*404"):
        parse(TOPIC, recorded("eia/error_404_not_found.json")[1])


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b"{}", b'{"response":{"data":[]}}', b'{"response":7}', b"nul"])
def test_refused(data: bytes) -> None:
    with pytest.raises(PayloadRefused):
        parse(TOPIC, data)


@pytest.mark.parametrize("name", samples("eia"))
def test_damaged_files(name: str) -> None:
    assert_survives("eia", TOPIC, name, ("price",))


def test_recognise() -> None:
    for name in samples("eia"):
        assert candidates(name, sample("eia", name)) == [TOPIC]
    assert TOPIC not in candidates("x.json", sample("pjm", "da_hrl_lmps_20260308.json"))


@pytest.mark.parametrize("day", [(2026, 3, 8), (2026, 7, 1), (2026, 11, 1)])
def test_requests(day: tuple[int, int, int]) -> None:
    start, end = market_day_span(datetime(*day).date(), "America/New_York")
    oil, gas = feed(TOPIC).requests(start, end)
    assert (oil.path, gas.path) == ("/v2/petroleum/pri/spt/data/", "/v2/natural-gas/pri/fut/data/")
    assert oil.params["facets[series][]"] == ["RWTC", "RBRTE"]
    assert oil.params["start"] == oil.params["end"] == f"{day[0]}-{day[1]:02d}-{day[2]:02d}"
    assert (oil.params["offset"], oil.params["length"]) == (0, 5_000)
    (one,) = feed(TOPIC).requests(start, end, ["RNGWHHD"])
    assert one == gas


def test_no_request_names_a_key() -> None:
    for request in feed(TOPIC).requests(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)):
        assert "api_key" not in request.params and "key" not in request.subject


@pytest.mark.parametrize("total", [b"1800", b'"1800"'])
def test_pages_go_on_where_the_last_one_ended_whatever_was_asked_for(total: bytes) -> None:
    first = next(iter(feed(TOPIC).requests(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))))
    data = b'{"response":{"total":' + total + b',"data":[' + b",".join([b"{}"] * 1_000) + b"]}}"
    second = feed(TOPIC).next_page(first, data)
    assert second and (second.params["offset"], second.page) == (1_000, 2)
    assert second.subject != first.subject
    assert feed(TOPIC).next_page(second, data) is None
    assert feed(TOPIC).next_page(first, b"{}") is None
    assert feed(TOPIC).next_page(first, b'{"response":{"total":' + total + b',"data":[]}}') is None
