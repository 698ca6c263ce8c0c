"""Spark, in a process of its own for one reading: no server stays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from servers.catalogue import catalogue, java
from servers.objects import ACCESS_KEY, REGION, SECRET_KEY
from servers.process import Server

_LIMIT_S = 180.0
# What Spark asks of Java for itself.
_OPEN = (
    "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util",
    "java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch", "sun.nio.cs", "sun.security.action",
    "sun.util.calendar",
)  # fmt: skip


def copied_by_spark(tables: Server, store: Server, names: Sequence[str], folder: Path) -> None:
    """Spark reads tables through the REST catalog and writes each as Parquet to `folder/NAME`."""
    entry = catalogue()["spark"]
    opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPEN]
    secrets = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION}
    done = subprocess.run(
        [
            java(entry.java), "-Xmx1g", *opened, "-cp", f"{entry.folder}/classes:{entry.folder}/libs/*", "Main",
            tables.url, tables.facts["warehouse"], store.url, str(folder), *names,
        ],
        env=os.environ | secrets | {"SPARK_LOCAL_IP": "127.0.0.1"}, cwd=folder, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=_LIMIT_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"Spark failed: {done.stderr[-1500:]}")
