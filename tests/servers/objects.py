"""MinIO: an S3 store of one process."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from servers.broker import answers
from servers.catalogue import catalogue
from servers.certificates import authority
from servers.process import Server, folder_for, free_port, started

# For a store on loopback that lives as long as a test.
ACCESS_KEY, SECRET_KEY, REGION = "c254-tests", "c254-tests-only", "us-east-1"


class Store(Server):
    """A running S3 store."""

    def client(self) -> Any:
        """A client of it."""
        trusted = self.facts.get("AWS_CA_BUNDLE")
        session = boto3.Session(ACCESS_KEY, SECRET_KEY, region_name=REGION)
        return session.client("s3", endpoint_url=self.url, verify=trusted)

    def new_bucket(self) -> str:
        """Make an empty bucket; its name."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name


@contextmanager
def minio(tls: bool = False, data: Path | None = None) -> Iterator[Store]:
    """An empty S3 store; `url` is its endpoint, `facts` the environment that clients need, `data` where objects lie."""
    entry, port, console = catalogue()["minio"], free_port(), free_port()
    with folder_for("minio") as folder:
        url, secure = f"http://127.0.0.1:{port}", ()
        if tls:
            url, secure = f"https://localhost:{port}", ("--certs-dir", str(_certificates(folder)))
        command = [
            str(entry.folder / entry.program), "server", str(data or folder / "data"), *secure,
            "--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{console}",
        ]  # fmt: skip
        env = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_UPDATE": "off"}
        trusted = {"AWS_CA_BUNDLE": str(folder / "authority.crt")} if tls else {}
        server = Store("minio", command, port, folder, url, lambda: _ready(server), env, entry.version)
        server.facts |= {
            "C254_S3_ENDPOINT": url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
        } | trusted
        with started(server):
            yield server


def _certificates(folder: Path) -> Path:
    """The folder in which the server looks for its own, by the names it wants."""
    signed, found = authority(folder), folder / "certificates"
    found.mkdir()
    signed.certificate.rename(found / "public.crt")
    signed.key.rename(found / "private.key")
    return found


def _ready(server: Store) -> bool:
    trusted = server.facts.get("AWS_CA_BUNDLE")
    return answers(f"{server.url}/minio/health/ready", ssl.create_default_context(cafile=trusted))
