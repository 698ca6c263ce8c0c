"""The services as processes: ticks pushed to Kafka come in, are stored and answered, and go out as Avro records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from carbon254.wire.registry import SchemaRefused, SchemaRegistry
from servers import registry
from servers.deployment import Deployment, deployment, until
from servers.pushed import published, push, read_all, stored, tick

pytestmark = pytest.mark.servers("kafka", "registry")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Deployment]:
    with deployment(tmp_path, "svc.", ("kafka", "registry")) as made:
        yield made


def test_pushed_ticks_go_through_the_services_once(desk: Deployment) -> None:
    assert {row["state"] for row in desk.bootstrap() if row["kind"] == "topic"} == {"created"}
    assert {row["state"] for row in desk.bootstrap() if row["kind"] != "store"} == {"there"}
    services = {stage: desk.service(stage) for stage in ("normalise", "enrich", "project")}
    for service in services.values():
        until(service.ready)
    bad = [tick(1, raw_data={"price": "word", "timestamp": "2025-07-01T00:00:00Z"}), b"no json"]
    push(desk, [tick(n) for n in range(600)] + bad)
    project = services["project"]
    until(lambda: stored(project)[1] == 600)
    assert stored(project) == (600, 600)
    assert "c254_log_lag_records" in httpx.get(f"{services['normalise'].url}/metrics").text
    letters = httpx.get(f"{project.url}/v1/dead-letters", params={"topic": "market.ticks"}).json()
    assert letters["total"] == 2
    dead = read_all(desk.broker, desk.topic("processing.deadletter.market.ticks.v1"), 2)
    assert {name for name, _ in dead[0].headers()} >= {"reason", "stage", "payload", "line"}
    rows = published(desk, 600)
    assert sorted(row["event_id"] for row in rows) == sorted(f"e{n}" for n in range(600))
    assert [service.drain() for service in services.values()] == [0, 0, 0]


def test_a_schema_that_would_break_readers_is_refused(tmp_path: Path) -> None:
    from carbon254.model import dataset
    from carbon254.model.avro import published_schema

    with registry() as schemas:
        known, topic = SchemaRegistry(schemas.url), "iso.rt.lmp.test"
        schema, _ = published_schema(dataset("interval_prices"), topic)
        assert known.ensure(topic, schema)[1]
        assert not known.ensure(topic, schema)[1]
        harder = schema | {"fields": [*schema["fields"], {"name": "must", "type": "string"}]}
        with pytest.raises(SchemaRefused, match="would break its readers"):
            known.ensure(topic, harder)
        softer = schema | {"fields": [*schema["fields"], {"name": "may", "type": "string", "default": ""}]}
        assert known.ensure(topic, softer)[1]
        known.close()
