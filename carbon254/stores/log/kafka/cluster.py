"""The cluster a log lives on: how its clients are configured, and what their errors mean to whoever set it up.

TLS always verifies. A password comes from the settings, goes to the client, and is in no error and no log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from carbon254.errors import SettingsError, TransientError

JOURNAL = "c254.journal"
LARGEST = 64 << 20
ASK_S = 10.0
_TRY_S = 1.0
_SETTING = "C254_KAFKA_BOOTSTRAP"
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_STALE = (KafkaError._NOENT, KafkaError.FENCED_LEADER_EPOCH, KafkaError.NOT_LEADER_FOR_PARTITION)
_AGAIN_S = 0.2
Answer = TypeVar("Answer")
_REFUSED = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED)


class LogUnavailable(TransientError):
    """The brokers do not answer now; what was asked is done again once they do."""


@dataclass(frozen=True)
class Cluster:
    """Where the brokers are and who we are to them.

    `prefix` stands before every topic, so that several deployments share a cluster; `group` before the name of every
    consumer group. A transaction open longer than `transaction_s` is ended by the broker.
    """

    bootstrap: str
    prefix: str = ""
    group: str = "c254"
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    sasl: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    transaction_s: float = 10.0

    def topic(self, name: str) -> str:
        """The topic's name on the cluster."""
        return self.prefix + name

    @property
    def journal(self) -> str:
        return self.topic(JOURNAL)

    def config(self, **more: Any) -> dict[str, Any]:
        """A client's configuration. Raises SettingsError for a mechanism or a file that cannot be."""
        addresses = self.bootstrap.removeprefix("kafka://").rstrip("/")
        basic = {
            "bootstrap.servers": addresses,
            "client.id": "carbon254",
            "logger": _JOURNAL,
            "log_level": 3,
            "socket.keepalive.enable": True,
            "reconnect.backoff.max.ms": 2_000,
            "allow.auto.create.topics": False,
            "message.max.bytes": LARGEST,
        }
        protocol = ("SASL_" if self.sasl else "") + ("SSL" if self.tls else "PLAINTEXT")
        return basic | {"security.protocol": protocol} | self._sasl() | self._tls() | more

    def _sasl(self) -> dict[str, str]:
        if not self.sasl:
            return {}
        if self.sasl not in _MECHANISMS:
            raise SettingsError(f"C254_KAFKA_SASL={self.sasl}: it is one of {', '.join(_MECHANISMS)}")
        if not self.user or not self.password:
            raise SettingsError(f"C254_KAFKA_SASL={self.sasl} needs C254_KAFKA_USER and C254_KAFKA_PASSWORD")
        return {"sasl.mechanism": self.sasl, "sasl.username": self.user, "sasl.password": self.password}

    def _tls(self) -> dict[str, str]:
        files = {
            "ssl.ca.location": ("C254_KAFKA_CA", self.ca),
            "ssl.certificate.location": ("C254_KAFKA_CERTIFICATE", self.certificate),
            "ssl.key.location": ("C254_KAFKA_KEY", self.key),
        }
        for name, path in files.values():
            if path and not self.tls:
                raise SettingsError(f"{name} is set and C254_KAFKA_TLS is not; set C254_KAFKA_TLS=true")
            if path and not path.is_file():
                raise SettingsError(f"{name}={path}: there is no such file")
        return {option: str(path) for option, (_, path) in files.items() if path}

    def admin(self) -> AdminClient:
        """A client for topics that has reached a broker. Raises SettingsError naming the setting where none answers."""
        told = Told()
        admin = AdminClient(self.config(error_cb=told.hear))
        until = time.monotonic() + ASK_S
        while True:
            try:
                admin.list_topics(timeout=_TRY_S)
                return admin
            except KafkaException as error:
                # What was heard meanwhile is told in a poll only.
                admin.poll(0)
                if told.settled or time.monotonic() > until:
                    raise self.misconfigured(error, told) from None

    def misconfigured(self, error: KafkaException, told: Told) -> SettingsError:
        """What to do about a cluster that cannot be reached at all."""
        reason = told.last or _text(error)
        if told.refused:
            return SettingsError(
                f"{_SETTING}={self.bootstrap}: the broker refused user {self.user!r} ({reason}); "
                "correct C254_KAFKA_USER and C254_KAFKA_PASSWORD"
            )
        if "ssl" in reason.lower() or "security.protocol" in reason:
            return SettingsError(f"{_SETTING}={self.bootstrap}: {reason}; see C254_KAFKA_TLS and C254_KAFKA_CA")
        return SettingsError(
            f"{_SETTING}={self.bootstrap}: no broker answered in {ASK_S:.0f} s ({reason}); start it, or correct the "
            "address as kafka://host:port"
        )


class Told:
    """What a client last heard of its brokers; its callbacks come from the client's own thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.last, self.refused, self.settled = "", False, False

    def hear(self, error: KafkaError) -> None:
        """Remember an error that no call returned."""
        with self._lock:
            if error.code() != KafkaError._ALL_BROKERS_DOWN or not self.last:
                self.last = error.str()
            self.refused = self.refused or error.code() in _REFUSED
            # Trying again changes nothing.
            self.settled = self.settled or self.refused or error.code() == KafkaError._SSL


def unavailable(doing: str, error: Exception | str) -> LogUnavailable:
    """The brokers did not do what was asked."""
    reason = _text(error) if isinstance(error, Exception) else error
    return LogUnavailable(f"Kafka: {doing}: {reason}; it is tried again until the brokers answer")


def patiently(admin: AdminClient, topic: str, doing: str, timeout_s: float, ask: Callable[[], Answer]) -> Answer:
    """What the brokers answer about a topic, asked again while what the client knows of its leader is old.

    A topic made this moment is like that, or a broker that came back. Raises LogUnavailable.
    """
    limit = time.monotonic() + timeout_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            if cause(error).code() not in _STALE or time.monotonic() > limit:
                raise unavailable(doing, error) from error
        time.sleep(_AGAIN_S)
        with suppress(KafkaException):
            admin.list_topics(topic, timeout=_TRY_S)


def cause(error: KafkaException) -> KafkaError:
    """The client's error inside its exception."""
    return error.args[0]


def _text(error: Exception) -> str:
    return cause(error).str() if isinstance(error, KafkaException) else str(error)


_JOURNAL = logging.getLogger("carbon254.kafka")
_JOURNAL.addHandler(logging.NullHandler())
_JOURNAL.propagate = False
