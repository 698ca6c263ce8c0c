"""Reading `feed.toml`: provider facts once, then one table a stream.

```toml
[provider]
id = "spp"
name = "Southwest Power Pool"
market = "SPP"
time_zone = "America/Chicago"
base_url = "https://portal.spp.org"
homepage = "https://portal.spp.org"
licence = "SPP terms of use"
redistribution = "restricted"        # allowed | restricted | unclear | public domain
min_interval_s = 1.0                 # one call per so many seconds, shared by every process
access = {kind = "none"}             # or {kind="header", name="…", env=["PJM_API_KEY"], where="https://…"}

[[stream]]
topic = "iso.rt.lmp.spp"
title = "Real-time balancing market prices by settlement location"
dataset = "interval_prices"
market_run = "RTBM"
resolution = "PT5M"
clock = "America/Chicago"
label = "interval_end"
repeat = "utc"                       # utc | offset | mark | row_order | none
publication = {anchor = "interval_end", delay = "PT5M"}   # anchor: interval_end | market_day
slo = "PT60S"                        # freshness promised to readers, after publication
span = "PT5M"                        # what one request covers
complete = true
rounding = 0.01                      # each number is rounded to it; or {step = 0.00001, most = 0.01}: see Rounding
partitions = 1                       # on Kafka; more than one only where the order of payloads says nothing
retention = "P7D"                    # how long a published topic keeps records; what the log needs is kept anyway
```
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from carbon254.errors import SettingsError
from carbon254.model import Access, Provider, Publication, Rounding, Stream

_DURATION = re.compile(r"^(-)?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$")
_REPEATS = ("utc", "offset", "mark", "row_order", "none")


def duration(text: str) -> timedelta:
    """An ISO 8601 duration of days and smaller, with an optional leading minus. Raises SettingsError."""
    match = _DURATION.match(text)
    if not match or not any(match.groups()[1:]):
        raise SettingsError(f"{text!r} is not a duration; write it like PT5M, PT1H or P1D")
    sign, days, hours, minutes, seconds = match.groups()
    span = timedelta(days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=int(seconds or 0))
    return -span if sign else span


def load_card(text: str) -> tuple[Provider, tuple[Stream, ...]]:
    """The provider and its streams. Raises SettingsError naming the entry that is missing or wrong."""
    raw = tomllib.loads(text)
    try:
        provider = _provider(raw["provider"])
        streams = tuple(_stream(entry, provider) for entry in raw["stream"])
    except (KeyError, TypeError) as error:
        raise SettingsError(f"feed.toml: missing or unknown entry {error}") from error
    return provider, streams


def _provider(raw: Mapping[str, Any]) -> Provider:
    access = dict(raw.get("access", {}))
    if "env" in access:
        access["env"] = tuple(access["env"])
    return Provider(**{**raw, "access": Access(**access)})


def _stream(raw: Mapping[str, Any], provider: Provider) -> Stream:
    publication = raw["publication"]
    if raw["repeat"] not in _REPEATS:
        raise SettingsError(f"feed.toml: {raw['topic']}: repeat must be one of {', '.join(_REPEATS)}")
    return Stream(
        **{
            **raw,
            "provider": provider,
            "publication": Publication(publication["anchor"], duration(publication["delay"])),
            "rounding": _rounding(raw.get("rounding", 0.0), raw["topic"]),
            **{name: duration(raw[name]) for name in ("resolution", "slo", "span", "retention") if name in raw},
        }
    )


def _rounding(raw: Any, topic: str) -> Rounding:
    """A number, or a table of `step` and `most`."""
    given = dict(raw) if isinstance(raw, Mapping) else {"step": raw}
    step = given.pop("step", 0.0)
    most = max(step, given.pop("most", step))
    if given or step < 0 or (most and not step):
        raise SettingsError(f"feed.toml: {topic}: rounding is a number like 0.01, or {{step = 0.00001, most = 0.01}}")
    return Rounding(float(step), float(most))
