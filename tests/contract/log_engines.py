"""The engines that keep the log's contract: the embedded one, and Kafka where a broker can be had."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers.broker import Broker

from carbon254.stores.log import Log, open_log

ENGINES = ["embedded", pytest.param("kafka", marks=pytest.mark.servers("kafka"))]


@contextmanager
def engine(request: pytest.FixtureRequest, folder: Path) -> Iterator[Log]:
    """An empty log on the engine that the test is run for."""
    if request.param == "embedded":
        opened = open_log(folder / "log.db")
    else:
        opened = on_kafka(request.getfixturevalue("broker"), folder)
    try:
        yield opened
    finally:
        opened.close()


def on_kafka(broker: Broker, folder: Path, prefix: str = "", **options: object) -> Log:
    """An empty log with topics of its own on a broker."""
    from carbon254.stores.log.kafka import Cluster, KafkaLog

    cluster = Cluster(broker.bootstrap, prefix=prefix or f"t{uuid.uuid4().hex[:8]}.")
    return KafkaLog(cluster, folder / "log.kafka", make=True, **options)  # type: ignore[arg-type]
