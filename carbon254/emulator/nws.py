"""US National Weather Service: the hourly forecast of a grid point, as GeoJSON.

A new forecast is issued at each full hour and runs 156 hours from that hour; `now` therefore decides what is answered.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson

from carbon254.calendars.zones import zone as zone_named

from .market import Ints
from .noise import Floats, bell, key, mix, uniform
from .world import Answer, Ask, World

TOPIC = "weather.forecast.nws"
_PATH = re.compile(r"/gridpoints/([A-Z]{3})/(\d+),(\d+)/forecast/hourly/?$")
_HOUR, _PERIODS, _GENERATED_S = 3_600, 156, 600
# A forecast office: its clock, usual temperature in °C, latitude and longitude of its city. Others are told in UTC.
_OFFICES = {
    "LOX": ("America/Los_Angeles", 18.0, 34.0522, -118.2437),
    "HGX": ("America/Chicago", 21.0, 29.7604, -95.3698),
    "LOT": ("America/Chicago", 10.0, 41.8781, -87.6298),
    "OKX": ("America/New_York", 12.5, 40.7128, -74.0060),
}
_ELSEWHERE = ("UTC", 12.0, None, None)
_HALF_SQUARE = 0.0125
_WINDS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


def answer(ask: Ask, world: World) -> Answer:
    """The forecast in force now."""
    match = _PATH.search(ask.path)
    if not match:
        return Answer(orjson.dumps(_problem(ask.path)), "application/problem+json", 404)
    wait = world.delay(ask.address, TOPIC) + _GENERATED_S
    issued = (world.now - wait) // _HOUR * _HOUR
    document = _document(world, match[1], f"{match[1]}/{match[2]},{match[3]}", issued, ask.get("units", "us"))
    return Answer(orjson.dumps(document), "application/geo+json", published=issued + wait)


def _problem(path: str) -> dict[str, Any]:
    kind = "https://api.weather.gov/problems/NotFound"
    return {"type": kind, "title": "Not Found", "status": 404, "detail": f"'{path}' is not a valid resource path"}


def temperature(world: World, point: str, level: float, issued: int, starts: Ints) -> Floats:
    """°C: season, time of day, weather of the day, and an error that grows with the lead time."""
    day, hour = starts // (24 * _HOUR), starts % (24 * _HOUR) / _HOUR
    season = -9.0 * np.cos(2 * np.pi * (day / 365.2425 - 0.05))
    daily = 3.0 * bell(mix(key("weather", world.seed, point), day)) - 5.0 * np.cos(2 * np.pi * (hour - 21.0) / 24.0)
    lead = (starts - issued) / (24 * _HOUR)
    return level + season + daily + 0.4 * np.sqrt(lead) * bell(mix(key("lead", world.seed, point, issued), starts))


def _document(world: World, office: str, point: str, issued: int, units: str) -> dict[str, Any]:
    clock, level, latitude, longitude = _OFFICES.get(office, _ELSEWHERE)
    starts = issued + _HOUR * np.arange(_PERIODS, dtype=np.int64)
    celsius = temperature(world, point, level, issued, starts)
    chance = uniform(mix(key("rain", world.seed, point), starts // (6 * _HOUR)))
    wind = 25.0 * uniform(mix(key("wind", world.seed, point), starts // (3 * _HOUR)))
    made = datetime.fromtimestamp(issued + _GENERATED_S, UTC).isoformat()
    rows = zip(starts.tolist(), celsius.tolist(), chance.tolist(), wind.tolist(), strict=True)
    periods = [_period(number, zone_named(clock), units, *row) for number, row in enumerate(rows, start=1)]
    return {
        "@context": ["https://geojson.org/geojson-ld/geojson-context.jsonld", {"@version": "1.1"}],
        "type": "Feature",
        "geometry": _square(latitude, longitude),
        "properties": {
            "units": units,
            "forecastGenerator": "HourlyForecastGenerator",
            "generatedAt": made,
            "updateTime": datetime.fromtimestamp(issued, UTC).isoformat(),
            "validTimes": f"{datetime.fromtimestamp(issued, UTC).isoformat()}/P6DT12H",
            "elevation": {"unitCode": "wmoUnit:m", "value": 30.0},
            "periods": periods,
        },
    }


def _square(latitude: float | None, longitude: float | None) -> dict[str, Any] | None:
    """The grid square around a city; None where we do not know one."""
    if latitude is None or longitude is None:
        return None
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    ring = [[round(longitude + x * _HALF_SQUARE, 4), round(latitude + y * _HALF_SQUARE, 4)] for x, y in corners]
    return {"type": "Polygon", "coordinates": [ring]}


def _period(
    number: int, zone: ZoneInfo, units: str, start: int, celsius: float, chance: float, wind: float
) -> dict[str, Any]:
    opens, closes = (datetime.fromtimestamp(moment, UTC).astimezone(zone) for moment in (start, start + _HOUR))
    si = units == "si"
    return {
        "number": number,
        "name": "",
        "startTime": opens.isoformat(),
        "endTime": closes.isoformat(),
        "isDaytime": 6 <= opens.hour < 18,
        "temperature": round(celsius if si else celsius * 9 / 5 + 32),
        "temperatureUnit": "C" if si else "F",
        "temperatureTrend": "",
        "probabilityOfPrecipitation": {"unitCode": "wmoUnit:percent", "value": round(100 * chance**3)},
        "dewpoint": {"unitCode": "wmoUnit:degC", "value": round(celsius - 4.0 - 6.0 * (1 - chance), 2)},
        "relativeHumidity": {"unitCode": "wmoUnit:percent", "value": round(45 + 50 * chance)},
        "windSpeed": f"{round(wind * 1.6)} km/h" if si else f"{round(wind)} mph",
        "windDirection": _WINDS[int(wind * 7) % 8],
        "icon": "https://api.weather.gov/icons/land/day/few?size=small",
        "shortForecast": "Chance Rain" if chance > 0.7 else "Mostly Clear",
        "detailedForecast": "",
    }
