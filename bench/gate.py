"""What the gate adds to a payload's way from bytes to rows, and what a held batch costs.

python bench/gate.py [PLACES]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from carbon254.app import Node, open_node
from carbon254.calendars import market_day_span
from carbon254.clock import ManualClock
from carbon254.engine.normaliser import CONSUMER
from carbon254.ingest import Arrived
from carbon254.pipeline import sources
from carbon254.settings import Settings

NOW = datetime(2025, 6, 30, 19, tzinfo=UTC)
ROUNDS = 9


def spp(starts: list[datetime], step: timedelta, places: int, broken: bool = False) -> bytes:
    """A file whose laws hold: energy by interval, congestion and loss by place."""
    rng = np.random.default_rng(254)
    hours, count = len(starts), len(starts) * places
    energy = np.repeat(rng.uniform(20, 40, hours).round(2), places)
    congestion, loss = rng.normal(0, 4, count).round(2), rng.normal(0, 0.5, count).round(2)
    stamps = [(start + step).strftime("%m/%d/%Y %H:%M:%S") for start in starts]
    names = [f"LOC_{number:05d}" for number in range(places)]
    frame = pl.DataFrame(
        {
            "Interval": np.repeat(stamps, places),
            "GMTIntervalEnd": np.repeat(stamps, places),
            "Settlement Location": names * hours,
            "Pnode": names * hours,
            "LMP": (energy + congestion + loss + (9.0 if broken else 0.0)).round(2),
            "MLC": loss,
            "MCC": congestion,
            "MEC": energy,
        }
    )
    return frame.write_csv().encode()


def main(places: int) -> dict[str, object]:
    low, high = market_day_span(date(2025, 7, 1), "America/Chicago")
    day = [low + timedelta(hours=n) for n in range((high - low) // timedelta(hours=1))]
    five, hour = timedelta(minutes=5), timedelta(hours=1)
    shapes = {
        "one interval": ("iso.rt.lmp.spp", [NOW - five], five, False),
        "a market day": ("iso.da.lmp.spp", day, hour, False),
        "a day, all held": ("iso.da.lmp.spp", day, hour, True),
    }
    found: dict[str, object] = {"bench": "gate", "places": places}
    for name, (topic, starts, step, broken) in shapes.items():
        before = spp([start - 12 * hour * 24 for start in starts], step, places)
        found |= {f"{name}: {what}": value for what, value in measure(topic, spp(starts, step, places, broken), before)}
    return found


def measure(topic: str, data: bytes, before: bytes) -> list[tuple[str, float]]:
    """Parse to rows with and without the gate, beside the whole flow of a warm node."""
    with tempfile.TemporaryDirectory() as folder, opened(folder) as node:
        for payload in (before, data):
            node.pipeline.inbox.accept(Arrived(topic, payload, "RTBM-LMP-SL-1.csv", NOW, str(len(payload))))
            if payload is before:
                node.runner.drain()
        (record,) = node.log.read(CONSUMER, "raw.")
        known = sources()[topic]
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(ROUNDS):
            for gated in seconds:
                node.pipeline.normaliser._sources = {topic: known if gated else replace(known, rules=None)}
                start = time.perf_counter()
                outcome = node.pipeline.normaliser.outcome(record)
                seconds[gated].append(time.perf_counter() - start)
        node.pipeline.normaliser._sources = {topic: known}
        start = time.perf_counter()
        node.runner.drain()
        whole = 1e3 * (time.perf_counter() - start)
    on, off = (1e3 * min(seconds[gated]) for gated in (True, False))
    return [
        ("rows", outcome.rows + outcome.held),
        ("parse to rows, ms", round(off, 1)),
        ("the gate, ms", round(on - off, 1)),
        ("whole flow, ms", round(whole)),
        ("the gate's share of the flow", round((on - off) / whole, 3)),
    ]


def opened(folder: str) -> Node:
    return open_node(Settings(workspace=Path(folder) / "ws"), {}, ManualClock(NOW))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)) + "\n")
