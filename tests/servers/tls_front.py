"""TLS in front of a server that speaks none here, for tests only: the client's side is real."""

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


@dataclass(frozen=True, slots=True)
class Front:
    """`url` is the server's own over TLS; `authority` is the file that clients are to trust."""

    url: str
    authority: Path


@contextmanager
def tls_front(server: Server) -> Iterator[Front]:
    """The server behind a certificate for `localhost`."""
    with folder_for("front") as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        signed = authority(folder)
        speaks = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        speaks.load_cert_chain(signed.certificate, signed.key)
        port = listener.getsockname()[1]
        threading.Thread(target=_listen, args=(listener, speaks, server.port), daemon=True).start()
        yield Front(
            server.url.replace(f"http://127.0.0.1:{server.port}", f"https://localhost:{port}"), signed.authority
        )


def _listen(listener: socket.socket, speaks: ssl.SSLContext, port: int) -> None:
    with suppress(OSError):
        while True:
            taken, _ = listener.accept()
            threading.Thread(target=_carry, args=(taken, speaks, port), daemon=True).start()


def _carry(taken: socket.socket, speaks: ssl.SSLContext, port: int) -> None:
    # A client that does not trust the certificate hangs up in the midst of the greeting.
    with (
        suppress(OSError),
        speaks.wrap_socket(taken, server_side=True) as outer,
        socket.create_connection(("127.0.0.1", port)) as inner,
    ):
        back = threading.Thread(target=_copy, args=(inner, outer), daemon=True)
        back.start()
        _copy(outer, inner)
        back.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
