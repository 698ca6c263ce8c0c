"""What the settings name: the providers' base URLs, the log and its cluster, the lake's catalog, a reader's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from carbon254.errors import SettingsError
from carbon254.feeds import feeds
from carbon254.settings import Settings
from carbon254.stores.hot import Limits
from carbon254.stores.lake import Lake, open_lake, rest_properties
from carbon254.stores.log import Log, open_log
from carbon254.workspace import Workspace

if TYPE_CHECKING:
    from carbon254.stores.log.kafka import Cluster


def base_urls(settings: Settings) -> Mapping[str, str]:
    """Base URLs that stand in for the providers' own."""
    if not settings.emulator_url:
        return settings.base_urls
    providers = {found.stream.provider.id for found in feeds().values()}
    root = settings.emulator_url.rstrip("/")
    return {provider: f"{root}/{provider}" for provider in providers} | settings.base_urls


def cluster_of(settings: Settings) -> Cluster:
    """The Kafka cluster that the settings name."""
    from carbon254.stores.log.kafka import Cluster

    return Cluster(
        bootstrap=settings.kafka_bootstrap,
        prefix=settings.kafka_prefix,
        group=settings.consumer_group,
        tls=settings.kafka_tls,
        ca=settings.kafka_ca,
        certificate=settings.kafka_certificate,
        key=settings.kafka_key,
        sasl=settings.kafka_sasl,
        user=settings.kafka_user,
        password=settings.kafka_password.get_secret_value(),
    )


def with_prefix(settings: Settings, workspace: Workspace) -> Settings:
    """The settings of a workspace: a copy's topics begin with a prefix of its own where none is named."""
    if settings.kafka_prefix or not settings.kafka_bootstrap:
        return settings
    return settings.model_copy(update={"kafka_prefix": workspace.identity.prefix})


def open_named_log(settings: Settings, workspace: Workspace, shares: Mapping[str, Sequence[str]] | None = None) -> Log:
    """The log that the settings name; `shares` are consumers that share their topics with other processes.

    Raises SettingsError where Kafka is named and cannot be used.
    """
    if not settings.kafka_bootstrap:
        return open_log(workspace.path("log.db"))
    try:
        from carbon254.stores.log.kafka import KafkaLog
    except ImportError as error:
        raise SettingsError("C254_KAFKA_BOOTSTRAP is set and the client is absent; install carbon254[kafka]") from error
    return KafkaLog(cluster_of(with_prefix(settings, workspace)), workspace.path("log.kafka"), shares)


def lake_of(settings: Settings, workspace: Workspace) -> Lake:
    """The lake that the settings name: a folder of the workspace, or a REST catalog."""
    if not settings.lake_url:
        return open_lake(workspace.path("lake"))
    secrets = settings.lake_credential.get_secret_value(), settings.lake_token.get_secret_value()
    properties = rest_properties(settings.lake_warehouse, settings.s3_endpoint, *secrets, settings.lake_ca)
    return open_lake(settings.lake_url, properties)


def limits_of(settings: Settings) -> Limits:
    """What one statement of a reader may use."""
    return Limits(
        seconds=settings.query_seconds,
        memory_bytes=(settings.query_memory_mb << 20) // settings.query_slots,
        answer_bytes=settings.answer_mb << 20,
    )
