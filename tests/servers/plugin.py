"""What a suite needs to run on real servers: the marker `servers`, servers that start once a run, and what ran where.

    @pytest.mark.servers("redis")           the test runs on this server of the catalogue, or is skipped with the reason
    up("redis", servers.redis)              the running server, started when first asked for

With `C254_ENGINES=FILE` a run writes there which suite ran on which server; `servers.report` makes the page of it.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from servers.broker import Broker, kafka
from servers.catalogue import catalogue, missing
from servers.groups import group_of
from servers.hot import clickhouse_front
from servers.objects import Store, minio
from servers.postgres import pgbouncer, postgres
from servers.process import Server
from servers.tables import empty, rest_catalog

_RAN = pytest.StashKey[list[dict[str, Any]]]()
_VERSIONS = pytest.StashKey[dict[str, str]]()

Up = Callable[[str, Callable[[], AbstractContextManager[Any]]], Any]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RAN], config.stash[_VERSIONS] = [], {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `C254_SERVER_GROUP` only the suites of that group run; the others are deselected, and counted as such."""
    group = os.environ.get("C254_SERVER_GROUP")
    if not group:
        return
    others = [item for item in items if (wanted := _wanted(item)) and group_of(wanted) != group]
    config.hook.pytest_deselected(items=others)
    left = set(map(id, others))
    items[:] = [item for item in items if id(item) not in left]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in _wanted(item):
        if name in catalogue() and (reason := missing(name)):
            pytest.skip(reason)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    made: Any = yield
    report: pytest.TestReport = made.get_result()
    if _wanted(item) and (report.when == "call" or report.outcome != "passed"):
        reason = str(report.longrepr[2]) if report.skipped and isinstance(report.longrepr, tuple) else ""
        ran = {"suite": str(Path(str(item.path)).name), "on": _wanted(item), "outcome": report.outcome}
        item.config.stash[_RAN].append(ran | {"reason": reason.removeprefix("Skipped: "), "as": _form(item)})


def pytest_sessionfinish(session: pytest.Session) -> None:
    if target := os.environ.get("C254_ENGINES"):
        told = {"ran": session.config.stash[_RAN], "versions": session.config.stash[_VERSIONS]}
        Path(target).write_text(json.dumps(told, indent=1), "utf-8")


@pytest.fixture(scope="session")
def up(request: pytest.FixtureRequest) -> Iterator[Up]:
    """Starts a server by its name once, and stops them all when the run ends."""
    running: dict[str, Any] = {}
    versions = request.config.stash[_VERSIONS]
    with ExitStack() as stack:

        def start(name: str, make: Callable[[], AbstractContextManager[Any]]) -> Any:
            if name not in running:
                running[name] = stack.enter_context(make())
                first = running[name][0] if isinstance(running[name], list) else running[name]
                versions[name] = getattr(first, "version", "")
            return running[name]

        yield start


@pytest.fixture(scope="session")
def broker(up: Up) -> Broker:
    """A Kafka broker for the whole run; tests take topics of their own on it."""
    return up("kafka", kafka)


@pytest.fixture(scope="session")
def database(up: Up) -> Callable[[], str]:
    """Makes an empty Postgres database and gives its URL."""
    return lambda: up("postgres", postgres).new_database()


@pytest.fixture(scope="session")
def pooled(up: Up) -> Callable[[], str]:
    """Makes an empty Postgres database and gives its URL through a pool of connections."""
    return lambda: up("pgbouncer", lambda: pgbouncer(up("postgres", postgres))).new_database()


@pytest.fixture(scope="session")
def _store(up: Up) -> Store:
    return up("minio", minio)


@pytest.fixture
def s3(_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A running S3 store, with its credentials where AWS tools look for them."""
    for name, value in _store.facts.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return _store


@pytest.fixture(scope="session")
def _catalog(up: Up, _store: Store) -> Server:
    found = up("catalog", lambda: rest_catalog(_store, f"s3://{_store.new_bucket()}/warehouse"))
    found.facts["endpoint"] = _store.url
    return found


@pytest.fixture
def tables(_catalog: Server, s3: Store) -> Server:
    """A running REST catalog without tables; its files lie on the store of `s3`."""
    empty(_catalog, s3)
    return _catalog


@pytest.fixture(scope="session")
def clickhouse(up: Up) -> Callable[[], str]:
    """Empties a ClickHouse behind HTTP and gives its URL."""

    def emptied() -> str:
        front = up("front", clickhouse_front)
        client = clickhouse_connect.get_client(dsn=front.url, autogenerate_session_id=False)
        for name in ("commodity_data", "store"):
            client.command(f"DROP DATABASE IF EXISTS {name} SYNC")
        client.close()
        return front.url

    return emptied


def _wanted(item: pytest.Item) -> list[str]:
    return sorted({name for mark in item.iter_markers("servers") for name in mark.args})


def _form(item: pytest.Item) -> str:
    forms: dict[str, None] = defaultdict()
    for mark in item.iter_markers("servers"):
        forms |= {str(value): None for value in mark.kwargs.values()}
    return ", ".join(forms)
