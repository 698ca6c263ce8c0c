"""The stand-in for a ClickHouse server: see `clickhouse_front`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from servers.broker import answers
from servers.process import Server, folder_for, free_port, started


@contextmanager
def clickhouse_front() -> Iterator[Server]:
    """ClickHouse's HTTP interface over an embedded engine of its own process; `url` is `http://127.0.0.1:PORT`."""
    port = free_port()
    with folder_for("front") as folder:
        command = [sys.executable, "-m", "servers.clickhouse_front", str(folder / "hot"), str(port)]
        url, path = f"http://127.0.0.1:{port}", {"PYTHONPATH": str(Path(__file__).parents[1])}
        ping = f"{url}/ping"
        with started(
            Server("front", command, port, folder, url, lambda: answers(ping), path, version("chdb"))
        ) as front:
            yield front
