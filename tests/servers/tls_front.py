"""TLS in front of a server that speaks none here, for tests only: the client's side is real.

It may also ask who comes, for servers that ask nobody here.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from servers.certificates import authority
from servers.process import Server, folder_for

_REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Front:
    """`url` is the server's own over TLS; `authority` is the file that clients are to trust."""

    url: str
    authority: Path


@contextmanager
def tls_front(server: Server, authorization: str = "") -> Iterator[Front]:
    """The server behind a certificate for `localhost`; with `authorization`, whoever sends that header gets in."""
    with folder_for("front") as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        signed = authority(folder)
        speaks = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        speaks.load_cert_chain(signed.certificate, signed.key)
        port = listener.getsockname()[1]
        threading.Thread(target=_listen, args=(listener, speaks, server.port, authorization), daemon=True).start()
        yield Front(
            server.url.replace(f"http://127.0.0.1:{server.port}", f"https://localhost:{port}"), signed.authority
        )


def _listen(listener: socket.socket, speaks: ssl.SSLContext, port: int, authorization: str) -> None:
    with suppress(OSError):
        while True:
            taken, _ = listener.accept()
            threading.Thread(target=_carry, args=(taken, speaks, port, authorization), daemon=True).start()


def _carry(taken: socket.socket, speaks: ssl.SSLContext, port: int, authorization: str) -> None:
    # A client that does not trust the certificate hangs up in the midst of the greeting.
    with (
        suppress(OSError),
        speaks.wrap_socket(taken, server_side=True) as outer,
        socket.create_connection(("127.0.0.1", port)) as inner,
    ):
        head = _head(outer)
        if authorization and f"authorization: {authorization}".lower() not in head.decode("latin-1").lower():
            outer.sendall(_REFUSAL)
            # Until the client has hung up: what it still sends would tear the answer away from it.
            while outer.recv(65536):
                pass
            return
        inner.sendall(head)
        back = threading.Thread(target=_copy, args=(inner, outer), daemon=True)
        back.start()
        _copy(outer, inner)
        back.join(5)


def _head(source: socket.socket) -> bytes:
    """The beginning of a connection: who comes is said in its first request."""
    head = b""
    while b"\r\n\r\n" not in head and (data := source.recv(65536)):
        head += data
    return head


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
