"""Settings, from the environment (`C254_…`) or the command line. Nobody below imports this: rooms are handed theirs.

The eight `DATA_PROC_…` names that deployments around us already use are accepted as other names of the same settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from carbon254.errors import SettingsError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _also(name: str, other: str) -> AliasChoices:
    return AliasChoices(f"C254_{name.upper()}", other, name)


class Settings(BaseSettings):
    """Every option of a node, each with its default. A variable set to nothing is one that is not set."""

    model_config = SettingsConfigDict(env_prefix="C254_", extra="ignore", populate_by_name=True, env_ignore_empty=True)

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
    strict: bool = Field(
        False,
        description="Refuse answers that mix market runs; without it they are warned of until a later release",
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
    raw_url: str = Field("", description="Raw archive: empty for a folder in the workspace, or s3://bucket/prefix")
    s3_endpoint: str = Field(
        "",
        description="S3 service of the raw archive and the lake: empty for Amazon's, or https://host:port; credentials "
        "and region come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_PROFILE, an authority of one's "
        "own from AWS_CA_BUNDLE",
    )
    lake_url: str = Field("", description="Iceberg catalog: empty for SQLite and files in the workspace, or a REST URL")
    lake_warehouse: str = Field("", description="Warehouse of the REST catalog: its name, or s3://bucket/prefix")
    lake_credential: SecretStr = Field(
        SecretStr(""), description="The REST catalog's OAuth2 credential, `client:secret`; empty where it asks for none"
    )
    lake_token: SecretStr = Field(SecretStr(""), description="A bearer token for the REST catalog instead")
    lake_storage_class: str = Field(
        "",
        description="Storage class that S3 moves the lake's files to once they are 90 days old, by a rule of the "
        "bucket that c254 bootstrap writes; empty writes none",
    )
    lake_commit_seconds: float = Field(
        60.0,
        ge=0,
        description="Seconds that rows gather between two commits to the lake while much comes; fifteen times as long "
        "while little does",
    )
    lake_upkeep_hours: float = Field(
        24.0, ge=0, description="Hours from one merging of the lake's small files to the next; 0 leaves it to c254 lake"
    )
    lake_keep_days: int = Field(
        5, ge=0, description="Days that the lake's old snapshots stay to be asked; rows stay for ever"
    )
    lake_ca: Path | None = Field(
        None, description="Certificates (PEM) to trust at the REST catalog instead of the system's"
    )
    kafka_bootstrap: str = Field(
        "",
        validation_alias=_also("kafka_bootstrap", "DATA_PROC_KAFKA_BOOTSTRAP"),
        description="Log: empty for SQLite in the workspace, or kafka://host:9092,host:9092",
    )
    consumer_group: str = Field(
        "c254",
        validation_alias=_also("consumer_group", "DATA_PROC_CONSUMER_GROUP"),
        description="Begins the names of the consumer groups on Kafka; processes of one group share the partitions",
    )
    kafka_prefix: str = Field("", description="Stands before every topic of ours, where deployments share a cluster")
    kafka_tls: bool = Field(False, description="Speak TLS with the brokers; their certificates are always verified")
    kafka_ca: Path | None = Field(None, description="Certificates (PEM) to trust instead of the system's")
    kafka_certificate: Path | None = Field(None, description="Certificate (PEM) that shows the brokers who we are")
    kafka_key: Path | None = Field(None, description="Its private key (PEM)")
    kafka_sasl: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "", description="How to log in to the brokers; needs C254_KAFKA_USER and C254_KAFKA_PASSWORD"
    )
    kafka_user: str = Field("", description="User at the brokers")
    kafka_password: SecretStr = Field(SecretStr(""), description="Password at the brokers")
    kafka_replicas: int = Field(-1, description="Copies of each new topic; -1 is the cluster's default")
    kafka_in_sync: int = Field(0, description="Copies that must have a record before it counts; 0 for the default")
    schema_registry: str = Field(
        "", description="Schema registry of the published Avro records: http(s)://host/apis/ccompat/v7, user in the URL"
    )
    schema_registry_ca: Path | None = Field(
        None, description="Certificates (PEM) to trust at the schema registry instead of the system's"
    )
    redis_url: str = Field(
        "",
        validation_alias=_also("redis_url", "DATA_PROC_REDIS_URL"),
        description="Cache of latest prices: empty for in process, or redis://, rediss:// (TLS), "
        "redis+sentinel://host:26379/NAME, redis+cluster://host,host",
    )
    cache_hours: float = Field(0.0, description="Hours that Redis keeps a market that nothing came for; 0 for ever")
    emulator_url: str = Field("", description="Fetch everything from this emulator instead of the providers")
    base_urls: dict[str, str] = Field(default_factory=dict, description="Provider id → base URL, instead of its own")
    ttl_days: int = Field(0, description="Days after arrival that the hot store keeps rows; 0 keeps them for ever")
    log_retention_days: int = Field(7, description="Days that carried rows stay in the log; raw records stay for ever")
    query_slots: int = Field(4, ge=1, description="Statements that run at a time; others wait, and then get 429")
    query_waiting: int = Field(16, ge=0, description="Statements that may wait for their turn")
    query_seconds: float = Field(10.0, gt=0, description="Seconds after which a statement is stopped, waiting included")
    query_memory_mb: int = Field(
        2048, ge=256, description="Memory (MB) of all running statements together; each has its even share"
    )
    streams: int = Field(64, ge=1, description="Live streams that may be open at a time")
    streams_each: int = Field(16, ge=1, description="Live streams that one address may have open at a time")
    answer_mb: int = Field(256, ge=1, description="Size (MB) beyond which an answer is refused")
    payload_seconds: float = Field(
        60.0,
        gt=0,
        description="Processor seconds that reading a payload may take, and 5 more a MB; else it is a dead letter",
    )
    payload_memory_mb: int = Field(
        4096, gt=0, description="Memory that reading one payload may take; beyond that it is a dead letter"
    )
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

    @field_validator("lake_ca", "schema_registry_ca")
    @classmethod
    def _is_there(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and not file.is_file():
            raise SettingsError(f"C254_{str(info.field_name).upper()}={file}: there is no such file")
        return file

    def raw_at(self, path: Path) -> str | Path:
        """The place of the raw archive: `path` where none is set."""
        return self.raw_url or path

    def hot_at(self, path: Path) -> str:
        """The URL of the hot store: embedded in the folder `path` where none is set."""
        return self.hot_url or f"chdb://{path}"

    def ledger_at(self, path: Path) -> str:
        """The URL of the ledger's database, which keeps quality too: the file `path` where none is set."""
        return self.ledger_url or f"sqlite:///{path}"

    def reference_at(self, path: Path) -> str:
        """The URL of the reference store: `path` where none is set."""
        return self.reference_url or f"sqlite:///{path}"


def load_settings(**given: Any) -> Settings:
    """Settings from the environment, with what is given instead. Raises SettingsError naming the variable."""
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"C254_{str(first['loc'][0]).upper()}: {first['msg']}") from error
