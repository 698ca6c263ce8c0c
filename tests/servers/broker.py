"""Kafka on one node (KRaft), and the schema registry."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from servers.catalogue import catalogue, java
from servers.certificates import authority
from servers.process import Server, folder_for, free_port, run, started

_ONE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # A broker that was killed comes back only after its last session ended.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}
_LOGGING = """<Configuration><Appenders><Console name="out"><PatternLayout pattern="%d %p %m%n"/></Console></Appenders>
<Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""


class Broker(Server):
    """A running broker; its records are in `folder / "data"`."""

    @property
    def bootstrap(self) -> str:
        """Its address, without the scheme."""
        return f"127.0.0.1:{self.port}"


@contextmanager
def kafka(options: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """A broker with transactions; `url` is `kafka://127.0.0.1:PORT`.

    `options` are broker properties that add to ours or stand instead of them.
    """
    port, controller = free_port(), free_port()
    with folder_for("kafka") as folder:
        listeners = {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        }
        server = _broker(folder, port, listeners | dict(options or {}))
        with started(server):
            yield server


@contextmanager
def kafka_tls(user: str, password: str) -> Iterator[Broker]:
    """A broker that speaks TLS and asks who comes (PLAIN and SCRAM-SHA-512); `facts["authority"]` signed it."""
    port, inner, controller = free_port(), free_port(), free_port()
    with folder_for("kafka") as folder:
        signed, store = authority(folder), folder / "server.pem"
        store.write_text(signed.key.read_text("utf-8") + signed.certificate.read_text("utf-8"), "utf-8")
        module = "org.apache.kafka.common.security"
        options = {
            "listeners": f"SECURE://127.0.0.1:{port},INNER://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"SECURE://localhost:{port},INNER://127.0.0.1:{inner}",
            "listener.security.protocol.map": "SECURE:SASL_SSL,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INNER",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "listener.name.secure.plain.sasl.jaas.config": (
                f'{module}.plain.PlainLoginModule required user_{user}="{password}";'
            ),
            "listener.name.secure.scram-sha-512.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
        }
        users = ("--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]")
        server = _broker(folder, port, options, users)
        server.url = f"kafka://localhost:{port}"
        server.facts["authority"] = str(signed.authority)
        with started(server):
            yield server


def _broker(folder: Path, port: int, options: Mapping[str, str], users: Sequence[str] = ()) -> Broker:
    """A broker that is ready to start."""
    entry = catalogue()["kafka"]
    properties = _ONE_NODE | {"log.dirs": str(folder / "data")} | dict(options)
    config, logging = folder / "server.properties", folder / "log4j2.xml"
    config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()), "utf-8")
    logging.write_text(_LOGGING, "utf-8")
    base = [java(entry.java), "-Xmx512m", f"-Dlog4j2.configurationFile={logging}", "-cp", f"{entry.folder}/libs/*"]
    # Any base64 of 16 bytes is a cluster's id.
    identity = ["-t", "Y2FyYm9uMjU0dGVzdGluZw", "-c", str(config), *users]
    run([*base, "kafka.tools.StorageTool", "format", *identity], folder)
    command, url = [*base, "kafka.Kafka", str(config)], f"kafka://127.0.0.1:{port}"
    return Broker("kafka", command, port, folder, url, version=entry.version)


@contextmanager
def registry() -> Iterator[Server]:
    """A schema registry; `url` is the root of the Confluent-compatible interface."""
    entry, port, management = catalogue()["registry"], free_port(), free_port()
    with folder_for("registry") as folder:
        hosts = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": str(port),
            "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": str(management),
            # In files, so that one that was killed finds its schemas again.
            "apicurio.storage.kind": "sql",
            "apicurio.storage.sql.kind": "h2",
            "apicurio.datasource.url": f"jdbc:h2:file:{folder / 'registry'};WRITE_DELAY=0",
        }
        jar = next((entry.folder / "home").rglob("quarkus-run.jar"))
        command = [java(entry.java), "-Xmx512m", *(f"-D{key}={value}" for key, value in hosts.items()), "-jar"]
        url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        server = Server(
            "registry", [*command, str(jar)], port, folder, url, lambda: answers(f"{url}/subjects"),
            version=entry.version,
        )  # fmt: skip
        with started(server):
            yield server


def answers(url: str, trusted: ssl.SSLContext | None = None) -> bool:
    """Whether a GET gives 200."""
    with urllib.request.urlopen(url, timeout=2, context=trusted) as answer:
        return answer.status == 200
