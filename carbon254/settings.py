"""Settings, from the environment (`C254_…`) or the command line. Nobody below imports this: rooms are handed theirs.

The eight `DATA_PROC_…` names that deployments around us already use are accepted as other names of the same settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from carbon254.errors import SettingsError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _also(name: str, other: str) -> AliasChoices:
    return AliasChoices(f"C254_{name.upper()}", other, name)


class Settings(BaseSettings):
    """Every option of a node, each with its default."""

    model_config = SettingsConfigDict(env_prefix="C254_", extra="ignore", populate_by_name=True)

    workspace: Path = Field(Path("workspace"), description="Folder that holds everything the node keeps")
    env: str = Field("local", validation_alias=_also("env", "DATA_PROC_ENV"), description="Name of the deployment")
    log_level: str = Field(
        "info", validation_alias=_also("log_level", "DATA_PROC_LOG_LEVEL"), description="debug, info, warning, error"
    )
    trace_enabled: bool = Field(
        False,
        validation_alias=_also("trace_enabled", "DATA_PROC_TRACE_ENABLED"),
        description="Log how long each consumer's step took",
    )
    host: str = Field("127.0.0.1", description="Address the node listens on; only loopback needs no key")
    port: int = Field(8254, description="Port the node listens on; 0 takes a free one")
    hot_url: str = Field(
        "",
        validation_alias=_also("hot_url", "DATA_PROC_CLICKHOUSE_URL"),
        description="ClickHouse: empty for the embedded engine in the workspace, or https://user@host:8443",
    )
    ledger_url: str = Field(
        "",
        validation_alias=_also("ledger_url", "DATA_PROC_POSTGRES_DSN"),
        description="Ledger database: empty for SQLite in the workspace, or an SQLAlchemy URL",
    )
    ledger_history: Literal["", "clickhouse"] = Field(
        "", description="`clickhouse` also keeps the ledger's history and audit trail in the hot store's engine"
    )
    reference_url: str = Field(
        "",
        validation_alias=_also("reference_url", "DATA_PROC_POSTGRES_DSN"),
        description="Reference store: empty for SQLite in the workspace, or an SQLAlchemy URL",
    )
    lake_url: str = Field("", description="Iceberg catalog: empty for SQLite and files in the workspace, or a REST URL")
    kafka_bootstrap: str = Field(
        "", validation_alias=_also("kafka_bootstrap", "DATA_PROC_KAFKA_BOOTSTRAP"), description="Not available yet"
    )
    consumer_group: str = Field(
        "c254",
        validation_alias=_also("consumer_group", "DATA_PROC_CONSUMER_GROUP"),
        description="Kafka consumer group; without Kafka it has no effect",
    )
    redis_url: str = Field(
        "", validation_alias=_also("redis_url", "DATA_PROC_REDIS_URL"), description="Not available yet"
    )
    emulator_url: str = Field("", description="Fetch everything from this emulator instead of the providers")
    base_urls: dict[str, str] = Field(default_factory=dict, description="Provider id → base URL, instead of its own")
    ttl_days: int = Field(0, description="Days after arrival that the hot store keeps rows; 0 keeps them for ever")
    log_retention_days: int = Field(7, description="Days that carried rows stay in the log; raw records stay for ever")
    disk_budget_gb: float = Field(0.0, description="Refuse new payloads beyond this size of the workspace; 0 for none")

    @field_validator("host")
    @classmethod
    def _only_loopback(cls, host: str) -> str:
        if host not in _LOOPBACK:
            raise SettingsError(
                f"C254_HOST={host} would let the network in, and this node has no keys yet; "
                "set C254_HOST=127.0.0.1 and put an authenticating proxy in front"
            )
        return host

    def reference_at(self, path: Path) -> str:
        """The URL of the reference store: `path` where none is set."""
        return self.reference_url or f"sqlite:///{path}"

    def refuse_unavailable(self) -> None:
        """Raise SettingsError for stores that are asked for by URL and not built in."""
        for name, value in (("C254_KAFKA_BOOTSTRAP", self.kafka_bootstrap), ("C254_REDIS_URL", self.redis_url)):
            if value:
                raise SettingsError(f"{name} is set, and this version has only the embedded one; unset {name}")


def load_settings(**given: Any) -> Settings:
    """Settings from the environment, with what is given instead. Raises SettingsError naming the variable."""
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"C254_{str(first['loc'][0]).upper()}: {first['msg']}") from error
