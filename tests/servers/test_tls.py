"""Engines over TLS that ask who comes: each lets the right one in; what is wrong is one line, and exit 2.

The command line runs as users run it. Kafka, Postgres, MinIO and Redis speak TLS themselves; the registry, the REST
catalog and ClickHouse's interface have a front that does.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import servers
from carbon254.errors import SettingsError
from carbon254.model import dataset
from carbon254.model.arrow import arrow_schema
from carbon254.stores.hot import open_hot
from carbon254.stores.lake import open_lake, rest_properties
from carbon254.stores.log.kafka import Cluster, KafkaLog
from carbon254.stores.log.port import NewRecord
from carbon254.stores.raw import open_raw
from carbon254.stores.raw.notes import Provenance
from carbon254.stores.reference import open_reference
from carbon254.wire.registry import SchemaRegistry
from servers.broker import Broker
from servers.objects import Store
from servers.plugin import Up
from servers.postgres import Postgres
from servers.process import Server
from servers.tls_front import Front

pytestmark = pytest.mark.servers
USER, PASSWORD, WRONG = "desk", "let-me-in-5", "not-this-one-7"
Told = Callable[..., str]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """`c254 bootstrap` with these settings: its one line, where it ends with 2."""

    def refused(**settings: str) -> str:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("C254_K", "C254_L"))}
        done = subprocess.run(
            [sys.executable, "-m", "carbon254.cli", "bootstrap", "--workspace", str(tmp_path / "ws"), "--json"],
            env=env | settings, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        line = done.stderr.strip()
        assert line.startswith("error: ") and "\n" not in line, line
        assert PASSWORD not in line and WRONG not in line
        return line

    return refused


@pytest.fixture(scope="module")
def secure_kafka() -> Iterator[Broker]:
    with servers.kafka_tls(USER, PASSWORD) as running:
        yield running


def cluster(broker: Broker, **other: Any) -> Cluster:
    ours = {"tls": True, "ca": Path(broker.facts["authority"]), "sasl": "SCRAM-SHA-512", "user": USER}
    return Cluster(broker.url, **(ours | {"password": PASSWORD} | other))


@pytest.mark.servers("kafka", form="TLS")
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_kafka_lets_the_right_user_in(secure_kafka: Broker, tmp_path: Path, mechanism: str) -> None:
    log = KafkaLog(cluster(secure_kafka, sasl=mechanism, prefix=f"{mechanism}."), tmp_path, make=True)
    log.append([NewRecord("raw.a", None, {}, b"over TLS")])
    assert [record.body for record in log.read("c", "raw.")] == [b"over TLS"]
    log.close()


@pytest.mark.servers("kafka", form="TLS")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": WRONG}, "correct C254_KAFKA_USER and C254_KAFKA_PASSWORD"),
        ({"ca": None}, "see C254_KAFKA_TLS and C254_KAFKA_CA"),
        ({"tls": False, "ca": None}, "C254_KAFKA_BOOTSTRAP=kafka://localhost"),
        ({"sasl": "GSSAPI"}, "C254_KAFKA_SASL=GSSAPI: it is one of"),
        ({"user": ""}, "needs C254_KAFKA_USER and C254_KAFKA_PASSWORD"),
    ],
)
def test_kafka_refusals_name_the_setting(secure_kafka: Broker, change: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        cluster(secure_kafka, **change).admin()
    line = str(refused.value)
    assert said in line and "\n" not in line and WRONG not in line and PASSWORD not in line


@pytest.mark.servers("kafka", form="TLS")
def test_kafka_refusals_end_the_command_with_one_line(secure_kafka: Broker, told: Told) -> None:
    line = told(
        C254_KAFKA_BOOTSTRAP=secure_kafka.url, C254_KAFKA_TLS="true", C254_KAFKA_CA=secure_kafka.facts["authority"],
        C254_KAFKA_SASL="SCRAM-SHA-512", C254_KAFKA_USER=USER, C254_KAFKA_PASSWORD=WRONG,
    )  # fmt: skip
    assert "correct C254_KAFKA_USER and C254_KAFKA_PASSWORD" in line


@pytest.fixture(scope="module")
def secure_postgres() -> Iterator[Postgres]:
    with servers.postgres(PASSWORD) as running:
        yield running


@pytest.mark.servers("postgres", form="TLS")
def test_postgres_is_checked_by_name_and_authority(secure_postgres: Postgres) -> None:
    with open_reference(secure_postgres.url, lambda: datetime.now(UTC)) as store:
        store.load("hubs", "PJM", [{"location_id": "W", "name": "West"}], None, "list")
        assert store.resolve("PJM", "West").location_id == "W"


@pytest.mark.servers("postgres", form="TLS")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (PASSWORD, WRONG, "password authentication failed"),
        ("@localhost", "@127.0.0.2", "C254_REFERENCE_URL"),
        ("authority.crt", "server.crt", "certificate"),
        ("/postgres?", "/nowhere?", "does not exist"),
        ("sslmode=verify-full", "sslmode=disable", "no encryption"),
    ],
)
def test_postgres_refusals_name_the_setting(secure_postgres: Postgres, old: str, new: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        open_reference(secure_postgres.url.replace(old, new), lambda: datetime.now(UTC))
    line = str(refused.value)
    assert "C254_REFERENCE_URL" in line and said in line and "\n" not in line
    assert WRONG not in line and PASSWORD not in line


@pytest.mark.servers("postgres", form="TLS")
def test_postgres_refusals_end_the_command_with_one_line(secure_postgres: Postgres, told: Told) -> None:
    assert "C254_REFERENCE_URL" in told(C254_REFERENCE_URL=secure_postgres.url.replace(PASSWORD, WRONG))


@pytest.fixture(scope="module")
def secure_minio() -> Iterator[Store]:
    with servers.minio(tls=True) as running:
        yield running


@pytest.fixture
def trusted(secure_minio: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in secure_minio.facts.items():
        monkeypatch.setenv(name, value)
    return secure_minio


@pytest.mark.servers("minio", form="TLS")
def test_the_raw_archive_trusts_an_authority_of_ones_own(trusted: Store) -> None:
    archive = open_raw(f"s3://{trusted.new_bucket()}/raw", trusted.url)
    kept = archive.put(b"over TLS", Provenance(feed="a", url="", name="a", subject="", received_at=datetime.now(UTC)))
    assert archive.get(kept.sha256) == b"over TLS"


@pytest.mark.servers("minio", form="TLS")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"AWS_CA_BUNDLE": ""}, "AWS_CA_BUNDLE"),
        ({"AWS_SECRET_ACCESS_KEY": WRONG}, "AWS_SECRET_ACCESS_KEY"),
        ({"C254_S3_ENDPOINT": "https://localhost:1"}, "C254_S3_ENDPOINT"),
    ],
)
def test_s3_refusals_name_the_setting(
    trusted: Store, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], said: str
) -> None:
    bucket = trusted.new_bucket()
    endpoint = change.get("C254_S3_ENDPOINT", trusted.url)
    for name, value in change.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=said) as refused:
        open_raw(f"s3://{bucket}/raw", endpoint)
    assert "\n" not in str(refused.value) and WRONG not in str(refused.value)


@pytest.fixture(scope="module")
def secure_catalog(secure_minio: Store) -> Iterator[tuple[Server, Front]]:
    place = f"s3://{secure_minio.new_bucket()}/lake"
    with servers.rest_catalog(secure_minio, place) as tables, servers.tls_front(tables) as front:
        yield tables, front


def a_price() -> pa.Table:
    """One row; what it says does not matter."""
    told = dataset("interval_prices")
    values = {"timestamp": datetime(2025, 7, 1, tzinfo=UTC), "float64": 1.0, "uint32": 0, "uint64": 0, "int64": 0}
    return pa.table(
        {column.name: pa.array([values.get(column.type, "x")], arrow_schema(told).field(column.name).type)
         for column in told.columns}
    )  # fmt: skip


@pytest.mark.servers("catalog", "minio", form="TLS")
def test_the_lake_trusts_authorities_of_ones_own(secure_catalog: tuple[Server, Front], trusted: Store) -> None:
    tables, front = secure_catalog
    properties = rest_properties(tables.facts["warehouse"], trusted.url, ca=front.authority)
    lake = open_lake(front.url, properties)
    lake.append({"interval_prices": a_price()}, {})
    assert lake.count("interval_prices") == 1
    assert lake.scan("interval_prices").num_rows == 1
    lake.close()
    with pytest.raises(SettingsError, match="C254_LAKE_CA"):
        open_lake(front.url, rest_properties(tables.facts["warehouse"], trusted.url))


@pytest.mark.servers("catalog", "minio", form="TLS")
def test_the_catalog_asks_who_comes(secure_catalog: tuple[Server, Front], trusted: Store, told: Told) -> None:
    tables, _ = secure_catalog
    place = tables.facts["warehouse"]
    with servers.tls_front(tables, f"Bearer {PASSWORD}") as front:
        open_lake(front.url, rest_properties(place, trusted.url, token=PASSWORD, ca=front.authority)).close()
        for token in (WRONG, ""):
            with pytest.raises(SettingsError, match="set C254_LAKE_CREDENTIAL or C254_LAKE_TOKEN") as refused:
                open_lake(front.url, rest_properties(place, trusted.url, token=token, ca=front.authority))
            assert WRONG not in str(refused.value) and "\n" not in str(refused.value)
        settings = {"C254_LAKE_URL": front.url, "C254_LAKE_WAREHOUSE": place, "C254_LAKE_CA": str(front.authority)}
        assert "C254_LAKE_TOKEN" in told(**settings, C254_LAKE_TOKEN=WRONG)
        assert "C254_LAKE_CREDENTIAL" in told(**settings, C254_LAKE_CREDENTIAL=f"desk:{WRONG}")


@pytest.mark.servers("registry", form="TLS")
def test_the_registry_asks_who_comes(up: Up, told: Told) -> None:
    schema = {"type": "record", "name": "one", "fields": [{"name": "a", "type": "string"}]}
    asked = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
    with servers.tls_front(up("registry", servers.registry), asked) as front:
        known = SchemaRegistry(front.url.replace("://", f"://{USER}:{PASSWORD}@"), front.authority)
        assert known.ensure("who.comes", schema)[0] > 0
        known.close()
        for wrong in (f"{USER}:{WRONG}@", ""):
            place = front.url.replace("://", f"://{wrong}")
            line = told(C254_SCHEMA_REGISTRY=place, C254_SCHEMA_REGISTRY_CA=str(front.authority))
            assert "refused the user; put user:password@ into the URL" in line


@pytest.mark.servers("registry", form="TLS")
def test_the_registry_trusts_an_authority_of_ones_own(up: Up, told: Told) -> None:
    schema = {"type": "record", "name": "one", "fields": [{"name": "a", "type": "string"}]}
    with servers.tls_front(up("registry", servers.registry)) as front:
        known = SchemaRegistry(front.url, front.authority)
        assert known.ensure("over.tls", schema)[0] > 0
        known.close()
        untrusting = SchemaRegistry(front.url)
        with pytest.raises(SettingsError, match="C254_SCHEMA_REGISTRY_CA"):
            untrusting.ensure("over.tls", schema)
    assert "C254_SCHEMA_REGISTRY" in told(C254_SCHEMA_REGISTRY="http://127.0.0.1:1/apis/ccompat/v7")
    assert "C254_SCHEMA_REGISTRY_CA" in told(C254_SCHEMA_REGISTRY_CA="/nowhere.pem")


@pytest.mark.servers("front", form="TLS")
def test_clickhouse_trusts_an_authority_of_ones_own(up: Up, told: Told, tmp_path: Path) -> None:
    with servers.tls_front(up("front", servers.clickhouse_front)) as front:
        hot = open_hot(f"{front.url}?ca_cert={front.authority}")
        assert hot.query("SELECT 1 AS n").to_pylist() == [{"n": 1}]
        hot.close()
        assert "not trusted: name its authority by ?ca_cert=FILE" in told(C254_HOT_URL=front.url)
        for wrong in (f"{front.url}?verify=false", front.url.replace("https", "http"), "https://localhost:1", "ch"):
            with pytest.raises(SettingsError, match="C254_HOT_URL"):
                open_hot(wrong)


@pytest.mark.servers("postgres", form="TLS")
def test_a_report_of_bootstrap_has_no_password(secure_postgres: Postgres, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "carbon254.cli", "bootstrap", "--workspace", str(tmp_path / "ws"), "--json"],
        env=os.environ | {"C254_REFERENCE_URL": secure_postgres.url, "C254_LEDGER_URL": secure_postgres.url},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and {row["kind"] for row in json.loads(done.stdout)} == {"store"}
    assert PASSWORD not in done.stdout + done.stderr
