"""A node on a folder of its own, with a clock turned by hand. One engine is open at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.ingest import Arrived
from carbon254.settings import Settings

NOW = datetime(2025, 7, 1, 12, 10, 30, tzinfo=UTC)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with open_node(Settings(workspace=tmp_path / "ws"), {}, ManualClock(NOW)) as opened:
        yield opened


@pytest.fixture
def bring(node: Node) -> Callable[..., bool]:
    """Put a payload in the inbox and carry it through every consumer."""

    def accept(topic: str, data: bytes, name: str, at: datetime | None = None, subject: str = "") -> bool:
        _, new = node.pipeline.inbox.accept(Arrived(topic, data, name, at or node.clock.now(), subject))
        node.runner.drain()
        return new

    return accept


def spp(prices: dict[str, float | str], end: str = "07/01/2025 12:05:00") -> bytes:
    """An RTBM file of one interval: location → LMP. Energy is one number for all places, the rest is congestion."""
    energy = 20.0
    lines = ["Interval,GMTIntervalEnd,Settlement Location,Pnode,LMP,MLC,MCC,MEC"]
    for place, lmp in prices.items():
        congestion = lmp - energy if isinstance(lmp, float) else 0
        lines.append(f"07/01/2025 07:05:00,{end},{place},{place}_P,{lmp},0,{congestion},{energy}")
    return ("\n".join(lines) + "\n").encode()
