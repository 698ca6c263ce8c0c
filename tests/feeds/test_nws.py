"""The weather service: three kinds of forecast in one set of units, and which place each is for."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import polars as pl
import pytest
from payloads import assert_expected, assert_survives, observed, parse, recorded, sample, samples

from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import candidates, feed
from carbon254.feeds.nws.units import degrees, percent, speed

TOPIC = "weather.forecast.nws"
HOURLY = "nws_OKX-33-35_hourly.json"
NUMBERS = ("temperature", "dew_point", "relative_humidity", "wind_speed", "precipitation_probability")


@pytest.mark.parametrize("name", samples("nws"))
def test_samples(name: str) -> None:
    assert_expected("nws", TOPIC, name)


def test_recorded_hourly_forecast_in_si() -> None:
    name, data = recorded("nws/gridpoints_forecast_hourly_si.json")
    frame = observed(TOPIC, data, name).frame
    assert frame["forecast_time"].to_list() == [datetime(2019, 10, 15, hour, tzinfo=UTC) for hour in (0, 1)]
    assert frame["issued_at"].unique().to_list() == [datetime(2019, 10, 14, 23, 16, 24, tzinfo=UTC)]
    assert frame.select(NUMBERS).row(0) == (25.5, 5.0, 63.0, 0.0, 20.0)
    assert frame["source"].unique().to_list() == ["NWS"]


def test_recorded_periods_in_us_units() -> None:
    frame = parse(TOPIC, recorded("nws/gridpoints_forecast_us.json")[1]).frame
    assert frame["temperature"].to_list() == [5.0, 20.0]
    assert frame["wind_speed"].to_list() == [16.09344, 4.02336]
    assert frame["precipitation_probability"].to_list() == [20.0, None]
    assert frame["source"].unique().to_list() == ["NWS periods"]


def test_recorded_grid_data_is_spread_over_hours() -> None:
    frame = parse(TOPIC, recorded("nws/detailed_forecast.json")[1]).frame
    start = datetime(2022, 2, 3, 21, tzinfo=UTC)
    hours = (frame["forecast_time"] - start).dt.total_hours()
    assert hours.to_list() == list(range(frame.height))
    assert (frame["temperature"].min(), frame["temperature"].max()) == (3.3333333333333335, 22.77777777777778)
    later = frame.filter(
        pl.col("forecast_time").is_between(datetime(2022, 2, 4, 1, tzinfo=UTC), datetime(2022, 2, 4, 10, tzinfo=UTC))
    )
    assert later["temperature"].unique().to_list() == [18.88888888888889], "ten hours of one value"
    assert frame["location"].unique().to_list() == ["TAE/58,65"]


@pytest.mark.parametrize("name", ["points.json", "stations_observations.json"])
def test_recorded_answers_of_other_kinds_are_refused(name: str) -> None:
    data = recorded(f"nws/{name}")[1]
    assert candidates(name, data) == []
    with pytest.raises(PayloadRefused):
        parse(TOPIC, data, name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"startTime": "2026-01-15T07:00:00"}, "offsets"),
        ({"endTime": "2026-01-15T06:00:00-05:00"}, "span"),
        ({"temperatureUnit": "K"}, "temperature"),
        ({"temperature": "warm"}, "not a number"),
        ({"windSpeed": "breezy"}, "wind speed"),
    ],
)
def test_a_bad_period_is_a_reject(change: dict[str, object], reason: str) -> None:
    answer = orjson.loads(sample("nws", HOURLY))
    answer["properties"]["periods"][0].update(change)
    rows = parse(TOPIC, orjson.dumps(answer), HOURLY)
    assert (rows.frame["line"].to_list(), rows.rejects["line"].to_list()) == ([2], [1])
    assert reason in rows.rejects["reason"][0]


def test_the_place_comes_from_the_geometry_then_from_the_name() -> None:
    answer = orjson.loads(sample("nws", HOURLY))
    assert parse(TOPIC, orjson.dumps(answer), "any.json").frame["location"][0] == "New York"
    answer["geometry"] = None
    assert parse(TOPIC, orjson.dumps(answer), HOURLY).frame["location"][0] == "New York"
    assert parse(TOPIC, orjson.dumps(answer), "nws_ABQ-1-2_hourly.json").frame["location"][0] == "ABQ/1,2"
    assert parse(TOPIC, orjson.dumps(answer), "desk.json").frame["location"][0] == "desk"


def test_units() -> None:
    assert (degrees(212, "F"), degrees({"unitCode": "wmoUnit:degC", "value": -3}), degrees(None, "F")) == (
        100.0,
        -3.0,
        None,
    )
    assert (speed("10 mph"), speed("5 to 15 km/h"), speed(""), speed(None)) == (16.09344, 10.0, None, None)
    assert speed({"unitCode": "wmoUnit:m_s-1", "value": 10}) == 36.0
    assert speed({"unitCode": "wmoUnit:km_h-1", "minValue": 4, "maxValue": 8}) == 6.0
    assert percent({"unitCode": "wmoUnit:percent", "value": 0}) == 0.0
    with pytest.raises(ValueError, match="unit of temperature"):
        degrees(5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"type":"https://api.weather.gov/problems/NotFound","status":404}',
        b'{"properties":{}}',
        b'{"properties":{"updateTime":"2026-01-15T11:55:00+00:00","periods":[]}}',
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(PayloadRefused):
        parse(TOPIC, data)


@pytest.mark.parametrize("name", samples("nws"))
def test_damaged_files(name: str) -> None:
    assert_survives("nws", TOPIC, name, NUMBERS)


def test_recognise() -> None:
    for name in samples("nws"):
        assert candidates(name, sample("nws", name)) == [TOPIC]
    for name in ("gridpoints_forecast_hourly_si.json", "detailed_forecast.json"):
        assert candidates(name, recorded(f"nws/{name}")[1]) == [TOPIC]
    assert TOPIC not in candidates("x.json", sample("isone", "da_hourlylmp_20261101.json"))


def test_requests() -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    places = list(feed(TOPIC).requests(start, start))
    assert places[0].path == "/gridpoints/OKX/33,35/forecast/hourly"
    assert len({request.subject for request in places}) == len(places) == 4
    (one,) = feed(TOPIC).requests(start, start, ["Chicago"])
    assert (one.path, one.name) == ("/gridpoints/LOT/76,73/forecast/hourly", "nws_LOT-76-73_hourly.json")
    (other,) = feed(TOPIC).requests(start, start, ["ABQ/97,120"])
    assert other.path == "/gridpoints/ABQ/97,120/forecast/hourly"


def test_the_service_is_told_who_asks() -> None:
    assert "User-Agent" in feed(TOPIC).stream.provider.headers
