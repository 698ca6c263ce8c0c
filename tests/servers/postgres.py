"""PostgreSQL, on a folder of its own. It does not run as root: there it runs as the user that its package made."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from servers.catalogue import catalogue, found
from servers.certificates import authority
from servers.process import Server, folder_for, free_port, run, started

_USER = "postgres"


class Postgres(Server):
    """A running server; `url` has no database."""

    def new_database(self) -> str:
        """A new, empty database; its URL, as people write it."""
        name = f"t{uuid.uuid4().hex[:12]}"
        engine = sa.create_engine(_driven(f"{self.url}/postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return f"{self.url}/{name}"


class Pooled(Server):
    """A running pool; `behind` is the server whose connections it lends."""

    behind: Postgres

    def new_database(self) -> str:
        """A new, empty database; its URL through the pool."""
        return f"{self.url}/{self.behind.new_database().rpartition('/')[2]}"


@contextmanager
def postgres(password: str = "") -> Iterator[Postgres]:
    """A server that trusts whoever comes from this machine; `url` is `postgresql://postgres@127.0.0.1:PORT`.

    With a password it asks for it, and speaks TLS only: `url` is then a database's, and says which authority to trust.
    """
    program, port = _program("postgres"), free_port()
    with folder_for("postgres") as folder:
        secret, query, secure = _secured(folder, password) if password else ((), "", ())
        if os.geteuid() == 0:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, _USER, _USER)
        data = folder / "data"
        made = ["-A", "scram-sha-256" if password else "trust", "-U", _USER, "-E", "UTF8", "--no-sync", "-D", str(data)]
        run([*_as_user(), _program("initdb"), *made, *secret], folder)
        if password:
            (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n", "utf-8")
        command = [program, "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-c", "fsync=off"]
        said = run([program, "--version"], folder)
        version = next(word for word in said.split() if word[0].isdigit())
        url = f"postgresql://{_USER}@127.0.0.1:{port}"
        if password:
            url = f"postgresql://{_USER}:{password}@localhost:{port}/postgres{query}"
        # SIGTERM would wait for its clients to go.
        server = Postgres(
            "postgres", [*_as_user(), *command, *secure], port, folder, url,
            lambda: _answers(url if password else f"{url}/postgres"), {"LC_ALL": "C.UTF-8"}, version, signal.SIGINT,
        )  # fmt: skip
        with started(server):
            yield server


@contextmanager
def pgbouncer(behind: Postgres) -> Iterator[Pooled]:
    """A pool that lends a connection for a transaction, as busy deployments have it; few connections, many clients."""
    program, port = catalogue()["pgbouncer"].program, free_port()
    with folder_for("pgbouncer") as folder:
        told = {
            "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "auth_type": "any",
            "pool_mode": "transaction", "default_pool_size": 4, "max_client_conn": 200,
        }  # fmt: skip
        lines = [f"{name} = {value}" for name, value in told.items()]
        databases = f"* = host=127.0.0.1 port={behind.port} user={_USER}"
        (folder / "pool.ini").write_text("\n".join(["[databases]", databases, "[pgbouncer]", *lines, ""]), "utf-8")
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        said = run([program, "--version"], folder).split()[1]
        url = f"postgresql://{_USER}@127.0.0.1:{port}"
        command = [*_as_user(), program, "-q", "pool.ini"]
        server = Pooled("pgbouncer", command, port, folder, url, lambda: _answers(f"{url}/postgres"), {}, said)
        server.behind = behind
        with started(server):
            yield server


def _secured(folder: Path, password: str) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """(what to make the data with, what a URL says of TLS, what the server is told of it)."""
    signed, secret = authority(folder), folder / "password"
    signed.key.chmod(0o600)
    secret.write_text(password, "utf-8")
    told = {"ssl": "on", "ssl_cert_file": signed.certificate, "ssl_key_file": signed.key}
    options = tuple(word for name, value in told.items() for word in ("-c", f"{name}={value}"))
    return (f"--pwfile={secret}",), f"?sslmode=verify-full&sslrootcert={signed.authority}", options


def _as_user() -> list[str]:
    """Says who is to run it; a change of user forgets that it ends with whoever started it, so that is said again."""
    if os.geteuid():
        return []
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--pdeathsig", "KILL"]


def _program(name: str) -> str:
    """Beside the server's own program: distributions link only some of them to where programs are looked for."""
    here = found(catalogue()["postgres"].program) or found("postgres") or "postgres"
    return str(Path(here).resolve().with_name(name))


def _answers(url: str) -> bool:
    engine = sa.create_engine(_driven(url))
    try:
        with engine.connect():
            return True
    finally:
        engine.dispose()


def _driven(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")
