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
public = {files = "…", base_url = "https://…", repeat = "mark"}   # what needs no key, where the provider wants one
retention = "P7D"                    # how long a published topic keeps records; what the log needs is kept anyway

[stream.runs.RTBM_SWPW]              # another market run in the same payloads; what it does not say is as above
title = "Real-time balancing market, western area"
resolution = "PT5M"                  # title, resolution, publication, slo, complete, product_tier, horizon, area
area = "SWPW"
```
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from carbon254.errors import SettingsError
from carbon254.model import Access, Provider, Public, Publication, Rounding, Stream

_DURATION = re.compile(r"^(-)?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$")
_REPEATS = ("utc", "offset", "mark", "row_order", "none")
_SPANS = ("resolution", "slo", "span", "retention", "horizon")
_RUN_KEYS = ("title", "resolution", "publication", "slo", "complete", "product_tier", "horizon", "area")


def duration(text: str) -> timedelta:
    """An ISO 8601 duration of days and smaller, with an optional leading minus. Raises SettingsError."""
    match = _DURATION.match(text)
    if not match or not any(match.groups()[1:]):
        raise SettingsError(f"{text!r} is not a duration; write it like PT5M, PT1H or P1D")
    sign, days, hours, minutes, seconds = match.groups()
    span = timedelta(days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=int(seconds or 0))
    return -span if sign else span


def load_card(text: str, source: str = "feed.toml") -> tuple[Provider, tuple[Stream, ...]]:
    """The provider and its streams. Raises SettingsError naming `source` and the entry that is missing or wrong."""
    try:
        raw = tomllib.loads(text)
        provider = _provider(raw["provider"])
        streams = tuple(_stream(entry, provider) for entry in raw["stream"])
    except (KeyError, TypeError) as error:
        raise SettingsError(f"{source}: missing or unknown entry {error}") from error
    except (SettingsError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{source}: {error}") from error
    return provider, streams


def _provider(raw: Mapping[str, Any]) -> Provider:
    access = dict(raw.get("access", {}))
    if "env" in access:
        access["env"] = tuple(access["env"])
    return Provider(**{**raw, "access": Access(**access)})


def _stream(raw: Mapping[str, Any], provider: Provider) -> Stream:
    for table in (raw, raw.get("public", raw)):
        if table["repeat"] not in _REPEATS:
            raise SettingsError(f"{raw['topic']}: repeat must be one of {', '.join(_REPEATS)}")
    own = Stream(**{**_typed(raw), "provider": provider, "runs": {}})
    runs = {name: _run(own, name, told) for name, told in raw.get("runs", {}).items()}
    return replace(own, runs=runs)


def _run(stream: Stream, name: str, raw: Mapping[str, Any]) -> Stream:
    """The stream as another market run of its payloads has it."""
    where = f"{stream.topic}: runs.{name}"
    if name == stream.market_run:
        raise SettingsError(f"{where}: this is the stream's own run; write its traits in the stream's table")
    if not isinstance(raw, Mapping):
        raise SettingsError(f"{where}: write a table, [stream.runs.{name}]")
    for key in raw:
        if key not in _RUN_KEYS:
            near = difflib.get_close_matches(key, _RUN_KEYS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise SettingsError(f"{where}: unknown key {key!r}; {hint}a run has {', '.join(_RUN_KEYS)}")
    return replace(stream, market_run=name, **_typed(raw))


def _typed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a table with their spans of time read."""
    found = {name: duration(told) if name in _SPANS else told for name, told in raw.items()}
    if "publication" in raw:
        told = raw["publication"]
        found["publication"] = Publication(told["anchor"], duration(told["delay"]))
    if "public" in raw:
        found["public"] = Public(**raw["public"])
    if "rounding" in raw:
        found["rounding"] = _rounding(raw["rounding"], raw["topic"])
    return found


def _rounding(raw: Any, topic: str) -> Rounding:
    """A number, or a table of `step` and `most`."""
    given = dict(raw) if isinstance(raw, Mapping) else {"step": raw}
    step = given.pop("step", 0.0)
    most = max(step, given.pop("most", step))
    if given or step < 0 or (most and not step):
        raise SettingsError(f"{topic}: rounding is a number like 0.01, or {{step = 0.00001, most = 0.01}}")
    return Rounding(float(step), float(most))
