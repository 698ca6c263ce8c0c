"""A served workspace for each test, with a clock turned by hand. A module shares one engine, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import NOON, open_engine, open_rooms
from fastapi.testclient import TestClient

from carbon254 import portal
from carbon254.api.app import create_app
from carbon254.api.rooms import Rooms
from carbon254.clock import ManualClock
from carbon254.stores.hot import HotStore

HOME = "http://127.0.0.1:8254"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HotStore]:
    with open_engine(tmp_path_factory.mktemp("engine") / "hot") as hot:
        yield hot


@pytest.fixture
def rooms(tmp_path: Path, engine: HotStore) -> Iterator[Rooms]:
    for name in ("interval_prices", "market_ticks"):
        engine.command(f"TRUNCATE TABLE store.{name}")
    with open_rooms(tmp_path, ManualClock(NOON), engine) as opened:
        yield opened


@pytest.fixture
def client(rooms: Rooms) -> TestClient:
    app = create_app(rooms)
    portal.mount(app)
    return TestClient(app, base_url=HOME, raise_server_exceptions=False)
