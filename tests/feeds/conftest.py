"""A provider on this machine, a clock turned by hand, and fetchers that ask the one by the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import NOW, Server, serving

from carbon254.clock import ManualClock
from carbon254.feeds.budget import open_budget
from carbon254.feeds.http import Fetcher


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def fetcher(server: Server, clock: ManualClock, tmp_path: Path) -> Iterator[Fetcher]:
    stands_in = {"spp": server.url, "keyed": server.url}
    made = Fetcher(stands_in, {}, clock, open_budget(tmp_path / "budget.db"), 5, attempts=4, wait_initial_s=0.001)
    yield made
    made.close()


@pytest.fixture
def keyed(server: Server, clock: ManualClock, tmp_path: Path) -> Iterator[Fetcher]:
    secrets = {"KEYED_API_KEY": "s3cret/key", "KEYED_USER": "Aladdin", "KEYED_PASSWORD": "open sesame"}
    made = Fetcher({"keyed": server.url}, secrets, clock, open_budget(tmp_path / "k.db"), 5, wait_initial_s=0.001)
    yield made
    made.close()
