"""An authority and a certificate for `localhost`, made for one server and gone with its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from servers.process import run


@dataclass(frozen=True, slots=True)
class Signed:
    """Files: the server's certificate and key, and the authority that clients are to trust."""

    certificate: Path
    key: Path
    authority: Path


def authority(folder: Path) -> Signed:
    """Make them in the folder."""
    made = Signed(folder / "server.crt", folder / "server.key", folder / "authority.crt")
    root, asked, names = folder / "authority.key", folder / "server.csr", folder / "names.txt"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", "utf-8")
    fresh = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    run(
        [*fresh, "-x509", "-days", "2", "-subj", "/CN=tests", "-keyout", str(root), "-out", str(made.authority)], folder
    )
    run([*fresh, "-subj", "/CN=localhost", "-keyout", str(made.key), "-out", str(asked)], folder)
    run(
        [
            "openssl", "x509", "-req", "-days", "2", "-in", str(asked), "-CA", str(made.authority), "-CAkey", str(root),
            "-CAcreateserial", "-extfile", str(names), "-out", str(made.certificate),
        ],
        folder,
    )  # fmt: skip
    return made
