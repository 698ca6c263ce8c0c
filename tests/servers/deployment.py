"""A deployment as its users make it: every server, and the services as processes that know only their environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx

from carbon254.errors import Carbon254Error
from servers.broker import Broker, kafka, registry
from servers.hot import clickhouse_front
from servers.keyvalue import redis
from servers.objects import Store, minio
from servers.postgres import Postgres, postgres
from servers.process import Server, free_port, tied
from servers.tables import rest_catalog

STAGES = ("normalise", "enrich", "aggregate", "project")
NEEDED = ("kafka", "registry", "redis", "postgres", "minio", "catalog", "front")
_PATIENCE_S = 240.0


@dataclass
class Service:
    """A service's process, its workspace and its address."""

    stage: str
    folder: Path
    env: Mapping[str, str]
    options: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, again too; it is ready a while later."""
        words = ["serve", self.stage, "--workspace", str(self.folder), "--port", str(self.port), *self.options]
        with self.log.open("ab") as journal:
            self.process = subprocess.Popen(
                [*tied(), sys.executable, "-m", "carbon254.cli", *words], env=dict(self.env), stdout=journal,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def ready(self) -> bool:
        """Whether it says so. Raises RuntimeError where it has ended."""
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"{self.stage} ended with {self.process.returncode}: {self.said()}")
        return httpx.get(f"{self.url}/ready", timeout=10).status_code == 200

    def reasons(self) -> dict[str, str]:
        """Why it is not ready; empty where it is."""
        return httpx.get(f"{self.url}/ready", timeout=10).json()["reasons"]

    def number(self, metric: str) -> float:
        """The sum of a metric over its labels."""
        lines = httpx.get(f"{self.url}/metrics", timeout=10).text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == metric)

    def drain(self) -> int:
        """Ask it to end, and wait; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE_S)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-2_000:]


@dataclass
class Deployment:
    """Running servers by name, and what the environment of a service says of them; `objects` is where S3 keeps its."""

    servers: dict[str, Server]
    env: dict[str, str]
    folder: Path
    stack: ExitStack
    objects: Path | None = None

    def service(self, stage: str, name: str = "", *options: str) -> Service:
        """Start a service; it ends with the deployment."""
        made = Service(stage, self.folder / (name or stage), os.environ | self.env, options)
        made.start()
        self.stack.callback(made.kill)
        return made

    def bootstrap(self) -> list[dict[str, str]]:
        """Make what is missing; what was made and what was there."""
        done = self.command("bootstrap", "--workspace", str(self.folder / "bootstrap"), "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def topic(self, name: str) -> str:
        """A topic's name on the cluster."""
        return self.env["C254_KAFKA_PREFIX"] + name

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in the environment of the services."""
        return subprocess.run(
            [sys.executable, "-m", "carbon254.cli", *words], env=os.environ | self.env, capture_output=True, text=True,
            timeout=_PATIENCE_S, check=False,
        )  # fmt: skip

    @property
    def broker(self) -> Broker:
        found = self.servers["kafka"]
        assert isinstance(found, Broker)
        return found


@contextmanager
def deployment(
    folder: Path, prefix: str = "desk.", names: Sequence[str] = NEEDED, objects: Path | None = None
) -> Iterator[Deployment]:
    """Servers of its own of these names, with nothing in them; services are started by `service`."""
    with ExitStack() as stack:
        given = {"C254_KAFKA_PREFIX": prefix, "C254_LAKE_COMMIT_SECONDS": "0.2"}
        made = Deployment({}, given, folder, stack, objects)
        for name in names:
            _START[name](made)
        yield made


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """The settings of the environment, and nothing of ours beside them."""
    before = dict(os.environ)
    try:
        for name in [name for name in os.environ if name.startswith(("C254_", "DATA_PROC_"))]:
            del os.environ[name]
        os.environ.update(changes)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def until(what: Callable[[], Any], seconds: float = _PATIENCE_S) -> Any:
    """What it gives, once it gives something. Raises AssertionError with the last error."""
    end, last = time.monotonic() + seconds, "nothing"
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except (httpx.HTTPError, Carbon254Error, KeyError, ValueError) as error:
            last = repr(error)
        time.sleep(0.2)
    raise AssertionError(f"it did not come to that in {seconds:.0f} s: {last}")


def _kafka(made: Deployment) -> None:
    made.servers["kafka"] = found = made.stack.enter_context(kafka())
    made.env["C254_KAFKA_BOOTSTRAP"] = found.url


def _registry(made: Deployment) -> None:
    made.servers["registry"] = found = made.stack.enter_context(registry())
    made.env["C254_SCHEMA_REGISTRY"] = found.url


def _redis(made: Deployment) -> None:
    made.servers["redis"] = found = made.stack.enter_context(redis())
    made.env["C254_REDIS_URL"] = found.url


def _postgres(made: Deployment) -> None:
    made.servers["postgres"] = found = made.stack.enter_context(postgres())
    assert isinstance(found, Postgres)
    # One name for the ledger's database and the reference's, as deployments around us have it.
    made.env["DATA_PROC_POSTGRES_DSN"] = found.new_database()


def _minio(made: Deployment) -> None:
    made.servers["minio"] = found = made.stack.enter_context(minio(data=made.objects))
    made.env |= found.facts | {"C254_RAW_URL": "s3://desk-raw/payloads"}


def _catalog(made: Deployment) -> None:
    store = made.servers["minio"]
    assert isinstance(store, Store)
    warehouse = "s3://desk-lake/tables"
    made.servers["catalog"] = found = made.stack.enter_context(rest_catalog(store, warehouse))
    made.env |= {"C254_LAKE_URL": found.url, "C254_LAKE_WAREHOUSE": warehouse}


def _front(made: Deployment) -> None:
    made.servers["front"] = found = made.stack.enter_context(clickhouse_front())
    made.env["C254_HOT_URL"] = found.url


_START: dict[str, Callable[[Deployment], None]] = {
    "kafka": _kafka, "registry": _registry, "redis": _redis, "postgres": _postgres, "minio": _minio,
    "catalog": _catalog, "front": _front,
}  # fmt: skip
