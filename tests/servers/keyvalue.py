"""Redis in each of its forms: one server (plain, with a password, over TLS), Sentinel with a replica, a cluster."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers.catalogue import catalogue, found
from servers.certificates import authority
from servers.process import Server, folder_for, free_port, run, started, wait_until

_LASTING_NOTHING = ("--save", "", "--appendonly", "no")


@contextmanager
def redis(password: str = "", lasting: bool = False) -> Iterator[Server]:
    """One server; `url` is `redis://…`. `lasting` keeps every write on disk, so that a restart finds it again."""
    with folder_for("redis") as folder:
        port = free_port()
        secret = ("--requirepass", password) if password else ()
        kept = ("--appendonly", "yes", "--appendfsync", "always") if lasting else _LASTING_NOTHING
        server = _node(folder, port, (*kept, *secret))
        server.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{port}/0"
        with started(server):
            yield server


@contextmanager
def redis_tls() -> Iterator[Server]:
    """One server that speaks TLS only; `facts["authority"]` is the file of the authority that signed it."""
    with folder_for("redis") as folder:
        port = free_port()
        signed = authority(folder)
        tls = [
            "--tls-port", str(port), "--tls-cert-file", str(signed.certificate), "--tls-key-file", str(signed.key),
            "--tls-ca-cert-file", str(signed.authority), "--tls-auth-clients", "no",
        ]  # fmt: skip
        server = _node(folder, port, (*_LASTING_NOTHING, *tls), plain=False)
        server.facts["authority"] = str(signed.authority)
        server.url = f"rediss://localhost:{port}/0?ssl_ca_certs={signed.authority}"
        with started(server):
            yield server


@contextmanager
def sentinel() -> Iterator[list[Server]]:
    """[sentinel, primary, replica]; the first one's `url` is what the setting would say."""
    with ExitStack() as stack:
        primary_port, replica_port, port = free_port(), free_port(), free_port()
        folders = [stack.enter_context(folder_for("redis")) for _ in range(3)]
        primary = stack.enter_context(started(_node(folders[0], primary_port, _LASTING_NOTHING)))
        following = ("--replicaof", f"127.0.0.1 {primary_port}", *_LASTING_NOTHING)
        replica = stack.enter_context(started(_node(folders[1], replica_port, following)))
        config = folders[2] / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor desk 127.0.0.1 {primary_port} 1\n"
            "sentinel down-after-milliseconds desk 1000\nsentinel failover-timeout desk 5000\n",
            "utf-8",
        )
        watcher = Server(
            "sentinel", [_program(), str(config), "--sentinel"], port, folders[2],
            f"redis+sentinel://127.0.0.1:{port}/desk/0", lambda: _knows_replica(port), version=primary.version,
        )  # fmt: skip
        stack.enter_context(started(watcher))
        yield [watcher, primary, replica]


@contextmanager
def redis_cluster() -> Iterator[list[Server]]:
    """Three primaries that share the slots; the first one's `url` is what the setting would say."""
    with ExitStack() as stack:
        nodes = []
        for _ in range(3):
            folder, port = stack.enter_context(folder_for("redis")), free_port()
            bus = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "2000")
            nodes.append(stack.enter_context(started(_node(folder, port, (*bus, *_LASTING_NOTHING)))))
        places = [f"127.0.0.1:{node.port}" for node in nodes]
        run([_client(), "--cluster", "create", *places, "--cluster-yes"], nodes[0].folder)
        # The one that asked knows first; the others refuse everything until they have heard of all slots.
        wait_until(lambda: all(b"cluster_state:ok" in _asked(node.port, "CLUSTER INFO") for node in nodes))
        nodes[0].url = f"redis+cluster://{','.join(places)}"
        yield nodes


def _node(folder: Path, port: int, options: Sequence[str], plain: bool = True) -> Server:
    command = [_program(), "--port", str(port if plain else 0), "--bind", "127.0.0.1", "--dir", str(folder), *options]
    said = run([_program(), "--version"], folder)
    version = next(word.removeprefix("v=") for word in said.split() if word.startswith("v="))
    ready = (lambda: _pongs(port)) if plain else (lambda: True)
    return Server("redis", command, port, folder, f"redis://127.0.0.1:{port}/0", ready, version=version)


def _program() -> str:
    return found(catalogue()["redis"].program) or "redis-server"


def _client() -> str:
    return found("redis-cli") or "redis-cli"


def _asked(port: int, words: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as line:
        line.sendall(words.encode() + b"\r\n")
        return line.recv(65536)


def _pongs(port: int) -> bool:
    # One that asks for a password answers too.
    return _asked(port, "PING").startswith((b"+PONG", b"-NOAUTH"))


def _knows_replica(port: int) -> bool:
    return not _asked(port, "SENTINEL REPLICAS desk").startswith((b"*0", b"-"))
