"""`c254 bootstrap`: everything a deployment needs before its first record, made where it is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .console import DEFAULT_WORKSPACE, AsJson, NewWorkspace, tell

if TYPE_CHECKING:
    from carbon254.settings import Settings
    from carbon254.stores.log.kafka import Topic

Made = tuple[str, str, str]


def bootstrap(workspace: NewWorkspace = DEFAULT_WORKSPACE, as_json: AsJson = False) -> None:
    """Make topics, schemas, tables and databases that are missing; say what was made and what was there.

    Doing it again changes nothing. Example: `C254_KAFKA_BOOTSTRAP=kafka://kafka:9092 c254 bootstrap`
    """
    from .console import settings_of

    settings = settings_of(workspace)
    rows: list[Made] = []
    for step in (_topics, _schemas, _buckets, _stores, _lifecycle):
        rows += step(settings)
    tell(("kind", "name", "state"), rows, as_json)


def _topics(settings: Settings) -> Iterator[Made]:
    if not settings.kafka_bootstrap:
        return
    from carbon254.connections import cluster_of
    from carbon254.stores.log.kafka import ensure

    cluster = cluster_of(settings)
    made = ensure(cluster, cluster.admin(), topics(), settings.kafka_replicas, settings.kafka_in_sync)
    for one in sorted(made, key=lambda one: one.name):
        yield "topic", one.name, one.did


def topics() -> Iterator[Topic]:
    """The topics of every feed: ours are kept until all consumers carried them, those outside as the card says."""
    from carbon254.app import streams
    from carbon254.engine.placing import LISTS
    from carbon254.engine.publisher import published_topic
    from carbon254.ingest.intake import TOPICS
    from carbon254.stores.log.kafka import Topic

    yield Topic("c254.journal")
    yield Topic(LISTS)
    for stream in streams().values():
        kept = {"retention.ms": str(int(stream.retention.total_seconds() * 1000))}
        for room in ("raw", "rows", "held", "counts", "dlq"):
            yield Topic(f"{room}.{stream.topic}", stream.partitions)
        yield Topic(published_topic(stream), stream.partitions, kept)
        if stream.dataset == "market_ticks":
            yield from (Topic(name, stream.partitions, kept) for name in TOPICS)


def _schemas(settings: Settings) -> Iterator[Made]:
    if not settings.schema_registry:
        return
    from carbon254.engine.publisher import published_topic
    from carbon254.errors import SettingsError, TransientError
    from carbon254.model.avro import published_schema
    from carbon254.pipeline import sources
    from carbon254.wire.registry import SchemaRegistry

    registry = SchemaRegistry(settings.schema_registry, settings.schema_registry_ca)
    try:
        for topic, source in sorted(sources().items()):
            name = settings.kafka_prefix + published_topic(source.stream)
            _, new = registry.ensure(name, published_schema(source.dataset, topic)[0])
            yield "schema", f"{name}-value", "registered" if new else "there"
    except TransientError as error:
        raise SettingsError(f"{error}; start it or change C254_SCHEMA_REGISTRY") from None
    finally:
        registry.close()


def _buckets(settings: Settings) -> Iterator[Made]:
    places = (settings.raw_url, settings.lake_warehouse)
    names = dict.fromkeys(urlsplit(place).netloc for place in places if place.startswith("s3://"))
    if names:
        from carbon254.stores.raw.bucket import make_bucket

        for name in names:
            yield "bucket", name, "created" if make_bucket(name, settings.s3_endpoint) else "there"


def _stores(settings: Settings) -> Iterator[Made]:
    """Stores make their own tables and migrations when they are opened; opening each of them is enough."""
    from datetime import UTC, datetime

    from carbon254.connections import lake_of
    from carbon254.stores.hot import open_hot
    from carbon254.stores.ledger import open_ledger
    from carbon254.stores.metrics import open_metrics
    from carbon254.stores.raw import open_raw
    from carbon254.stores.reference import open_reference
    from carbon254.workspace import Workspace as Folder

    folder = Folder(settings.workspace)
    folder.claim()
    try:
        hot = open_hot(settings.hot_at(folder.path("hot")), ttl_days=settings.ttl_days)
        doors: dict[str, Callable[[], object]] = {
            "raw archive": lambda: open_raw(settings.raw_at(folder.path("raw")), settings.s3_endpoint),
            "ledger": lambda: open_ledger(settings.ledger_at(folder.path("ledger.db"))),
            "reference": lambda: open_reference(
                settings.reference_at(folder.path("reference.db")), lambda: datetime.now(UTC)
            ),
            "quality": lambda: open_metrics(settings.ledger_at(folder.path("quality.db"))),
            "lake": lambda: lake_of(settings, folder),
        }
        hot.ensure()
        hot.close()
        yield "store", "hot", "tables ready"
        for name, open_door in doors.items():
            door = open_door()
            if close := getattr(door, "close", None):
                close()
            yield "store", name, "ready"
    finally:
        folder.release()


def _lifecycle(settings: Settings) -> Iterator[Made]:
    if not settings.lake_storage_class:
        return
    from carbon254.stores.lake.lifecycle import ensure_rule

    place, new = ensure_rule(settings.lake_warehouse, settings.s3_endpoint, settings.lake_storage_class)
    yield "lifecycle", place, "made" if new else "there"
