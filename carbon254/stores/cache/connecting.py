"""A Redis URL as a client: one server, Sentinel, or a cluster, each plain or over TLS.

    redis://user:password@host:6379/0          rediss://…             one server
    redis+sentinel://…@host:26379,host/name/0  rediss+sentinel://…    the primary that the sentinels name
    redis+cluster://…@host:6379,host           rediss+cluster://…     a cluster, found through any of its nodes

Certificates are always checked; `?ssl_ca_certs=FILE` names an authority of one's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from carbon254.errors import SettingsError

NAME = "C254_REDIS_URL"
OLDEST = 6
_FORMS = ("redis", "redis+sentinel", "redis+cluster")
_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "sentinel_username", "sentinel_password")
_TIMEOUT_S = 3.0
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A URL, read. `shown` has no credentials: it is what messages and logs may say."""

    form: str
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int
    credentials: dict[str, str]
    options: dict[str, str]
    shown: str


def place(url: str) -> Place:
    """Read a URL. Raises SettingsError with what to write."""
    parts = urlsplit(url)
    tls, form = parts.scheme.startswith("rediss"), parts.scheme.replace("rediss", "redis", 1)
    if form not in _FORMS:
        raise SettingsError(
            f"{NAME} starts with {parts.scheme or 'nothing'}: write redis://, rediss://, or …+sentinel://"
        )
    users, _, listed = parts.netloc.rpartition("@")
    path = [part for part in parts.path.split("/") if part]
    service = path.pop(0) if form == "redis+sentinel" and path else ""
    if form == "redis+sentinel" and not service:
        raise SettingsError(f"{NAME} names no service: write redis+sentinel://host:26379/mymaster")
    hosts = tuple(_host(one, 26379 if service else 6379) for one in listed.split(","))
    return Place(
        form, tls, hosts, service, _database(path), _credentials(users), _options(parts), f"{parts.scheme}://{listed}"
    )


def connect(found: Place) -> Any:
    """A client that tries a call again before it gives up. Raises SettingsError where the `redis` extra is absent."""
    try:
        import redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry
    except ImportError:
        raise SettingsError(f"{NAME} needs the Redis client: pip install 'carbon254[redis]'") from None
    shared: dict[str, Any] = {
        "socket_timeout": _TIMEOUT_S,
        "socket_connect_timeout": _TIMEOUT_S,
        "decode_responses": True,
        "retry": Retry(ExponentialBackoff(cap=1.0, base=0.05), _ATTEMPTS),
        **found.credentials,
        **_security(found),
    }
    makers: dict[str, Callable[[Any, Place, dict[str, Any]], Any]] = {
        "redis": _one,
        "redis+cluster": _cluster,
        "redis+sentinel": _sentinel,
    }
    return makers[found.form](redis, found, shared)


def _one(redis: Any, found: Place, shared: dict[str, Any]) -> Any:
    host, port = found.hosts[0]
    failing = [redis.exceptions.ConnectionError, redis.exceptions.TimeoutError]
    return redis.Redis(host=host, port=port, db=found.database, retry_on_error=failing, **shared)


def _cluster(redis: Any, found: Place, shared: dict[str, Any]) -> Any:
    nodes = [redis.cluster.ClusterNode(host, port) for host, port in found.hosts]
    return redis.cluster.RedisCluster(startup_nodes=nodes, **shared)


def _sentinel(redis: Any, found: Place, shared: dict[str, Any]) -> Any:
    from redis.sentinel import Sentinel

    asked = {
        key.removeprefix("sentinel_"): value for key, value in found.options.items() if key.startswith("sentinel_")
    }
    timeouts = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
    watchers = Sentinel(list(found.hosts), sentinel_kwargs={**timeouts, **_security(found), **asked})
    return watchers.master_for(found.service, db=found.database, **shared)


def _security(found: Place) -> dict[str, Any]:
    files = {key: value for key, value in found.options.items() if key.startswith("ssl_")}
    return {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, **files} if found.tls else {}


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        read = urlsplit(f"//{text}")
        if read.hostname:
            return read.hostname, read.port or port
    except ValueError:
        pass
    raise SettingsError(f"{NAME} names no host: write redis://host:{port}")


def _database(path: list[str]) -> int:
    if not path:
        return 0
    if len(path) > 1 or not path[0].isdigit():
        raise SettingsError(f"{NAME} ends with /{'/'.join(path)}: write the database's number, for instance /0")
    return int(path[0])


def _credentials(users: str) -> dict[str, str]:
    name, _, password = users.partition(":")
    found = {"username": unquote(name), "password": unquote(password)}
    return {key: value for key, value in found.items() if value}


def _options(parts: SplitResult) -> dict[str, str]:
    given = dict(parse_qsl(parts.query))
    wrong = sorted(set(given) - set(_OPTIONS))
    if wrong:
        raise SettingsError(f"{NAME} has the option {wrong[0]}: it may have {', '.join(_OPTIONS)}")
    return given
