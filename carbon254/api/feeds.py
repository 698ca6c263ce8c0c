"""How every feed stands: the card, the ledger's word on it, its freshness, its lag and its dead letters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from carbon254.model import Stream, dataset
from carbon254.stores.ledger import Entry

from .freshness import with_deadline
from .moments import day_text
from .rooms import Rooms

LAG_UNIT = "records"


def overview(rooms: Rooms) -> dict[str, Any]:
    """Readiness, lag by consumer, letters, and every feed."""
    trouble = rooms.trouble()
    return {
        "now": day_text(rooms.clock.now()),
        "emulated": rooms.emulated,
        "ready": not trouble,
        "reasons": trouble,
        "lag": rooms.lags(),
        "lag_unit": LAG_UNIT,
        "open_letters": rooms.log.count_letters(status="open"),
        "feeds": [_feed(rooms, stream, totals) for totals in [rooms.ledger.totals()] for stream in _ordered(rooms)],
    }


def _ordered(rooms: Rooms) -> list[Stream]:
    return sorted(rooms.streams.values(), key=lambda stream: (stream.dataset, stream.market, stream.topic))


def _feed(rooms: Rooms, stream: Stream, totals: dict[str, tuple[int, int, datetime | None]]) -> dict[str, Any]:
    payloads, rows, watermark = totals.get(stream.topic, (0, 0, None))
    entry = next(iter(rooms.ledger.entries(feed=stream.topic, limit=1)), None)
    deadline = _deadline(stream, watermark) if watermark else None
    return _card(stream) | {
        "state": _state(stream, watermark, deadline, entry, rooms.clock.now()),
        "payloads": payloads,
        "rows": rows,
        "watermark": day_text(watermark.date() if watermark and dataset(stream.dataset).by_date else watermark),
        "stale_at": day_text(deadline),
        "partition": entry.partition if entry else None,
        "partition_state": entry.state if entry else None,
        "error": entry.error if entry and entry.state == "failed" else None,
        "last_received": day_text(entry.last_received) if entry else None,
        "lag": rooms.log.lag("normalise", f"raw.{stream.topic}") + rooms.log.lag("project", f"rows.{stream.topic}"),
        "lag_unit": LAG_UNIT,
        "open_letters": rooms.log.count_letters(f"dlq.{stream.topic}", "open"),
    }


def _card(stream: Stream) -> dict[str, Any]:
    provider = stream.provider
    return {
        "topic": stream.topic,
        "title": stream.title,
        "dataset": stream.dataset,
        "market": stream.market,
        "market_run": stream.market_run,
        "clock": stream.clock,
        "resolution_s": stream.resolution.total_seconds(),
        "delay_s": stream.publication.delay.total_seconds(),
        "slo_s": stream.slo.total_seconds(),
        "runs": [_run(run) for run in stream.runs.values()],
        "provider": {"id": provider.id, "name": provider.name, "homepage": provider.homepage},
        "licence": provider.licence,
        "redistribution": provider.redistribution,
        "access": {
            "kind": provider.access.kind,
            "env": list(provider.access.env),
            "where": provider.access.where,
            "public": stream.public.files if stream.public else None,
        },
    }


def _run(run: Stream) -> dict[str, Any]:
    """Another market run of the feed's payloads."""
    return {
        "market_run": run.market_run,
        "title": run.title,
        "resolution_s": run.resolution.total_seconds(),
        "delay_s": run.publication.delay.total_seconds(),
        "slo_s": run.slo.total_seconds(),
    }


def _deadline(stream: Stream, watermark: datetime) -> datetime | None:
    """When the newest interval of the feed is stale."""
    row = {
        "market": [stream.market],
        "market_run": [stream.market_run],
        "interval_start": [watermark - stream.resolution],
        "interval_end": [watermark],
    }
    times = {"interval_start": pl.Datetime("us", "UTC"), "interval_end": pl.Datetime("us", "UTC")}
    return with_deadline(pl.DataFrame(row, schema_overrides=times), {stream.topic: stream})["stale_at"][0]


def _state(
    stream: Stream, watermark: datetime | None, deadline: datetime | None, entry: Entry | None, now: datetime
) -> str:
    if entry is not None and entry.state == "failed":
        return "failed"
    if watermark is None:
        return "none"
    if deadline is None:
        return "quiet"
    return "stale" if now > deadline else "fresh"
