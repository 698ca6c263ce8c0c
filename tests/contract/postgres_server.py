"""A real Postgres of the machine, started on a folder of its own for the tests that ask for one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

_READY_S = 30.0


def missing() -> str:
    """Why there can be no server; empty where there can."""
    absent = [name for name in ("postgres", "initdb", "pg_ctl") if _program(name) is None]
    if absent:
        return f"Postgres is absent: {', '.join(absent)} not on PATH"
    return "Postgres does not run as root, and setpriv is absent" if _root() and not shutil.which("setpriv") else ""


@contextmanager
def server() -> Iterator[str]:
    """A running server; yields its URL without a database. It ends with the block, and its folder goes."""
    folder = Path(tempfile.mkdtemp(prefix="c254-postgres-"))
    try:
        if _root():
            shutil.chown(folder, "postgres", "postgres")
        data, port = folder / "data", _free_port()
        _run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "-D", str(data))
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
        _run(
            "pg_ctl", "-D", str(data), "-w", "-t", str(int(_READY_S)), "-l", str(folder / "log"), "-o", options, "start"
        )
        try:
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
        finally:
            _run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(url: str) -> str:
    """A new, empty database; returns its URL."""
    name = f"t{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(f"{url}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return f"{url}/{name}"


def _run(name: str, *arguments: str) -> None:
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if _root() else []
    command = [*as_postgres, str(_program(name)), *arguments]
    done = subprocess.run(
        command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed: {done.stderr.decode()[-500:]}")


def _program(name: str) -> str | None:
    """On PATH, or beside the real `postgres` (distributions link only some of them)."""
    found = shutil.which(name)
    server = shutil.which("postgres")
    if found is None and server is not None:
        beside = Path(server).resolve().parent / name
        return str(beside) if beside.exists() else None
    return found


def _root() -> bool:
    return os.geteuid() == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
