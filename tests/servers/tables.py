"""The Iceberg REST catalog over an S3 store, and Trino that reads through it."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyiceberg.catalog import load_catalog

from servers.broker import answers
from servers.catalogue import catalogue, java
from servers.objects import ACCESS_KEY, REGION, SECRET_KEY, Store
from servers.process import Server, folder_for, free_port, run, started


@contextmanager
def rest_catalog(store: Server, warehouse: str) -> Iterator[Server]:
    """A catalog whose tables lie in `warehouse` (`s3://bucket/prefix`) of a MinIO; `url` is what clients are given."""
    entry, port = catalogue()["catalog"], free_port()
    with folder_for("catalog") as folder:
        properties = {
            "uri": f"jdbc:sqlite:file:{folder / 'catalog.db'}",
            "jdbc.schema-version": "V1",
            "warehouse": warehouse,
            "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            "s3.endpoint": store.url,
            "s3.path-style-access": "true",
        }
        command = [
            java(entry.java), "-Xmx400m", *_trusting(store, folder),
            "-cp", f"{entry.folder}/classes:{entry.folder}/libs/*", "Main", str(port),
            *(f"{key}={value}" for key, value in properties.items()),
        ]  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        secrets = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION}
        server = Server(
            "catalog", command, port, folder, url, lambda: answers(f"{url}/v1/config"), secrets, entry.version
        )
        server.facts["warehouse"] = warehouse
        with started(server):
            yield server


def _trusting(store: Server, folder: Path) -> list[str]:
    """What Java is told, so that it trusts the authority that signed for the store."""
    if "AWS_CA_BUNDLE" not in store.facts:
        return []
    keytool = java(catalogue()["catalog"].java).removesuffix("java") + "keytool"
    kept, secret = folder / "trusted.p12", "of-this-test"
    named = ["-keystore", str(kept), "-storetype", "PKCS12", "-storepass", secret, "-alias", "authority"]
    run([keytool, "-importcert", "-noprompt", *named, "-file", store.facts["AWS_CA_BUNDLE"]], folder)
    return [f"-Djavax.net.ssl.trustStore={kept}", f"-Djavax.net.ssl.trustStorePassword={secret}"]


def empty(tables: Server, store: Store) -> None:
    """Forget every table of the catalog, and remove whatever lies in its warehouse: names are used again."""
    properties = {"type": "rest", "uri": tables.url, "s3.endpoint": store.url, "s3.region": REGION}
    catalog = load_catalog("tests", **properties)
    for space in catalog.list_namespaces():
        for name in catalog.list_tables(space):
            catalog.drop_table(name)
    catalog.close()
    bucket, prefix = tables.facts["warehouse"].removeprefix("s3://").split("/", 1)
    client = store.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        if found := [{"Key": one["Key"]} for one in page.get("Contents", [])]:
            client.delete_objects(Bucket=bucket, Delete={"Objects": found})


@contextmanager
def trino(store: Server, catalogs: Mapping[str, Server], postgres: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Trino with a catalog for each REST catalog, by name, and `reference` where a Postgres is given (its connector's
    properties)."""
    entry, port = catalogue()["trino"], free_port()
    (home,) = (entry.folder / "home").iterdir()
    with folder_for("trino") as folder:
        for name, tables in catalogs.items():
            _properties(folder / "etc" / "catalog" / f"{name}.properties", _iceberg(store, tables))
        if postgres:
            _properties(folder / "etc" / "catalog" / "reference.properties", postgres)
        _properties(
            folder / "etc" / "config.properties",
            {
                "coordinator": "true",
                "node-scheduler.include-coordinator": "true",
                "http-server.http.port": str(port),
                "node.internal-address": "127.0.0.1",
                "discovery.uri": f"http://127.0.0.1:{port}",
                "catalog.config-dir": str(folder / "etc" / "catalog"),
                "query.max-memory": "500MB",
            },
        )
        command = [
            java(entry.java), "-Xmx2G", "--add-modules=jdk.incubator.vector", "-Dnode.environment=tests",
            f"-Dnode.id={uuid.uuid4().hex}", f"-Dnode.data-dir={folder / 'data'}",
            f"-Dconfig={folder / 'etc' / 'config.properties'}", f"-Dplugin.dir={home / 'plugin'}",
            "-cp", f"{home / 'lib'}/*", "io.trino.server.TrinoServer",
        ]  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        server = Server("trino", command, port, folder, url, lambda: _is_up(url), version=entry.version)
        with started(server):
            yield server


def _iceberg(store: Server, tables: Server) -> dict[str, str]:
    return {
        "connector.name": "iceberg",
        "iceberg.catalog.type": "rest",
        "iceberg.rest-catalog.uri": tables.url,
        "iceberg.rest-catalog.warehouse": tables.facts["warehouse"],
        "fs.native-s3.enabled": "true",
        "s3.endpoint": store.url,
        "s3.region": REGION,
        "s3.path-style-access": "true",
        "s3.aws-access-key": ACCESS_KEY,
        "s3.aws-secret-key": SECRET_KEY,
    }


def _is_up(url: str) -> bool:
    """Whether it runs a query: it says that it started before it has found itself among its workers."""
    asked = urllib.request.Request(f"{url}/v1/statement", data=b"SELECT 1", headers={"X-Trino-User": "tests"})
    while True:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            told = json.load(answer)
        if "nextUri" not in told:
            return "error" not in told
        asked = urllib.request.Request(told["nextUri"])


def _properties(path: Path, facts: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key}={value}\n" for key, value in facts.items()), "utf-8")
