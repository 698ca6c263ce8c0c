"""Ticks as strangers push them to Kafka, and what became of them: in our topics, our stores, and for other tools."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from typing import Any

import fastavro
import httpx2 as httpx
from confluent_kafka import Consumer, Producer

from carbon254.wire.registry import unframe
from servers.broker import Broker
from servers.deployment import Deployment, Service

INCOMING, OUTGOING = "ingestion.market.ticks.raw.v1", "enriched.market.ticks.v1"


def tick(n: int, **payload: Any) -> bytes:
    """The n-th tick, as an envelope."""
    stamp = f"2025-07-01T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z"
    raw = {"timestamp": stamp, "price": 3.0 + n, "volume": n, "bid": 2.9, "ask": 3.1}
    envelope = {
        "event_type": "ingestion.market.raw.v1", "event_id": f"e{n}", "timestamp": "2025-07-01T00:00:00",
        "tenant_id": "desk", "source": "ingestion.miso", "version": "1.0",
    }  # fmt: skip
    body = {"market": "MISO", "instrument_id": "NG_HH_PROMPT", "raw_data": raw} | payload
    return json.dumps({"envelope": envelope, "payload": body}, indent=1).encode()


def push(desk: Deployment, messages: Sequence[bytes]) -> None:
    """Produce messages, spread over the partitions."""
    producer = Producer({"bootstrap.servers": desk.broker.bootstrap, "enable.idempotence": True})
    for n, message in enumerate(messages):
        producer.produce(desk.topic(INCOMING), message, str(n % 7).encode())
    assert producer.flush(60) == 0


def read_all(broker: Broker, topic: str, many: int, seconds: float = 90.0) -> list[Any]:
    """Committed messages of a topic: `many` of them, and what comes within a moment after."""
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap, "group.id": "test", "auto.offset.reset": "earliest",
         "isolation.level": "read_committed", "enable.auto.commit": False}
    )  # fmt: skip
    consumer.subscribe([topic])
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end and len(found) < many:
        found += [message for message in consumer.consume(500, 1.0) if message.error() is None]
    found += [message for message in consumer.consume(500, 2.0) if message.error() is None]
    consumer.close()
    return found


def published(desk: Deployment, many: int) -> list[dict[str, Any]]:
    """Ticks as other tools read them: Avro records, by the registry's schema."""
    out = read_all(desk.broker, desk.topic(OUTGOING), many)
    number, _ = unframe(out[0].value())
    schema = json.loads(httpx.get(f"{desk.env['C254_SCHEMA_REGISTRY']}/schemas/ids/{number}").json()["schema"])
    return [fastavro.schemaless_reader(io.BytesIO(unframe(one.value())[1]), schema, None) for one in out]


def stored(project: Service) -> tuple[int, int]:
    """(ticks, distinct ticks) that readers see."""
    sql = {"sql": "SELECT count() AS n, uniqExact(event_id) AS ids FROM market_ticks"}
    answer = httpx.post(f"{project.url}/v1/sql", json=sql, timeout=20).json()
    return tuple(answer["rows"][0]) if isinstance(answer["rows"][0], list) else tuple(answer["rows"][0].values())
