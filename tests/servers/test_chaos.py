"""Servers that die and come back beneath running services: nothing is lost, nothing comes twice, readiness tells it.

One deployment bears it all, one server after the other, while ticks keep coming. Nobody restarts a service.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2 as httpx
import polars as pl
import pytest

from carbon254.connections import lake_of
from carbon254.settings import load_settings
from carbon254.stores.cache import open_cache
from carbon254.stores.ledger import open_ledger
from carbon254.workspace import Workspace
from servers.deployment import NEEDED, STAGES, Deployment, Service, deployment, environment, until
from servers.pushed import published, push, stored, tick

pytestmark = pytest.mark.servers(*NEEDED)


@dataclass
class Desk:
    """The deployment, its services, and how many ticks came so far."""

    on: Deployment
    services: dict[str, Service]
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def push(self, count: int) -> None:
        with self.lock:
            push(self.on, [tick(n) for n in range(self.sent, self.sent + count)])
            self.sent += count

    @contextmanager
    def pushing(self) -> Iterator[None]:
        """A few ticks all the time, so that something is under way whenever a server goes."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(0.1):
                self.push(5)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def ready(self) -> bool:
        return all(service.ready() for service in self.services.values())

    def reasons(self, stage: str) -> dict[str, str]:
        return self.services[stage].reasons()

    def settled(self) -> None:
        """Everything that came is everywhere, once. Waits for what is still under way, then looks."""
        project = self.services["project"]
        until(lambda: stored(project)[1] == self.sent)
        assert stored(project) == (self.sent, self.sent)
        with environment(self.on.env):
            settings = load_settings(workspace=self.on.folder)
            lake, ledger = lake_of(settings, Workspace(self.on.folder)), open_ledger(settings.ledger_url)
            cache = open_cache(settings.redis_url)
            until(lambda: lake.count("market_ticks") >= self.sent)
            ids = lake.scan("market_ticks", columns=("event_id",))["event_id"].to_pylist()
            # A cache that lost its memory is filled by its first reader.
            assert httpx.get(f"{project.url}/v1/prices/latest", timeout=20).status_code in (200, 404)
            newest = until(lambda: _newest(cache.get_ticks()) == self.sent - 1)
            rows = until(lambda: sum(one.rows for one in ledger.entries("market.ticks")) == self.sent)
            for one in (lake, ledger, cache):
                one.close()
        assert newest and rows
        every = Counter(f"e{n}" for n in range(self.sent))
        assert Counter(ids) == every
        assert Counter(row["event_id"] for row in published(self.on, self.sent)) == every


def _newest(ticks: pl.DataFrame | None) -> int:
    """The number of the newest tick."""
    return -1 if ticks is None else round(max(ticks["price"].to_list()) - 3.0)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with deployment(tmp_path_factory.mktemp("chaos"), "chaos.") as made:
        made.bootstrap()
        services = {stage: made.service(stage) for stage in STAGES}
        found = Desk(made, services)
        until(found.ready)
        found.push(20)
        found.settled()
        yield found


# Which service says so first, and by what name.
HARM = {
    "redis": ("project", {"cache", "project"}),
    "postgres": ("project", {"ledger", "project"}),
    "minio": ("normalise", {"raw archive", "intake", "normalise"}),
    "front": ("aggregate", {"hot store", "bars"}),
    "catalog": ("project", {"lake"}),
    "kafka": ("enrich", {"log"}),
}


@pytest.mark.parametrize("name", HARM)
def test_a_server_that_goes_and_comes_back(desk: Desk, name: str) -> None:
    stage, words = HARM[name]
    server = desk.on.servers[name]
    with desk.pushing():
        # Postgres is asked to stop, as for an update; the others are killed.
        server.stop() if name == "postgres" else server.kill()
        told = until(lambda: words & desk.reasons(stage).keys())
        assert told
        server.start()
        until(desk.ready)
    desk.settled()
    until(desk.ready)


def test_a_registry_that_is_away_when_a_new_topic_begins(desk: Desk) -> None:
    """What is known flows on; what needs a schema that was never asked for waits."""
    registry = desk.on.servers["registry"]
    enrich = desk.services["enrich"]
    enrich.kill()
    enrich.start()
    until(enrich.ready)
    registry.kill()
    with desk.pushing():
        assert "C254_SCHEMA_REGISTRY" in until(lambda: desk.reasons("enrich").get("publish"))
        registry.start()
        until(desk.ready)
    desk.settled()
