"""Whether the providers answer: name, connection, certificate and one small request each, all at once, within budget.

No feed is asked for data. An answer of any kind counts: without a path or a key most hosts refuse. Silence does not.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from carbon254.model import Provider

_PATIENCE_S = 5.0
_AGENT = "carbon254 (doctor)"
Take = Callable[[str, Provider], float]
Finding = tuple[str, str, str]


@dataclass(frozen=True)
class _Told:
    """What asking one provider came to; `offline` where its name could not even be looked up."""

    verdict: str
    what: str
    advice: str = ""
    offline: bool = False


def answers(providers: Mapping[str, tuple[Provider, str]], take: Take) -> Iterator[Finding]:
    """(verdict, what, advice) of each provider, given with the base URL it is asked at.

    `take` takes a token of a host's budget and gives the seconds to wait; who would have to wait is not asked.
    """
    told: dict[str, _Told] = {}
    threads = [
        threading.Thread(target=lambda key=key: told.update({key: _ask(*providers[key], take)}), daemon=True)
        for key in providers
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + _PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    found = {key: told.get(key) or _silent(provider) for key, (provider, _) in providers.items()}
    if found and all(one.offline for one in found.values()):
        yield "warn", "providers were not asked: no name can be looked up here", "go online, or ask c254 emulator"
        return
    for one in found.values():
        yield one.verdict, one.what, one.advice


def _ask(provider: Provider, base_url: str, take: Take) -> _Told:
    place = urlsplit(base_url)
    host, secure = place.hostname or "", place.scheme == "https"
    port = place.port or (443 if secure else 80)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return _Told("warn", f"{provider.name}: the name {host} cannot be looked up", "check the network", offline=True)
    if (wait_s := take(host, provider)) > 0:
        return _Told("ok", f"{provider.name}: not asked, its budget allows the next call in {wait_s:.0f} s")
    began = time.monotonic()
    try:
        status = _status(host, port, secure, place.path or "/")
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason
        return _Told("warn", f"{provider.name}: the connection to {host} is not trusted ({why})", "check the clock")
    except (OSError, http.client.HTTPException) as error:
        why = "it is silent" if isinstance(error, TimeoutError) else (getattr(error, "strerror", "") or str(error))
        return _Told("warn", f"{provider.name}: {host} does not answer ({why})", "its feeds wait until it does")
    took = f"{host} answers in {1000 * (time.monotonic() - began):.0f} ms"
    if status == http.client.TOO_MANY_REQUESTS:
        return _Told("warn", f"{provider.name}: {took}, and asks us to wait (429)", "its feeds come back by themselves")
    if status >= http.client.INTERNAL_SERVER_ERROR:
        return _Told("warn", f"{provider.name}: {took}, in trouble ({status})", "its feeds come back by themselves")
    return _Told("ok", f"{provider.name}: {took}")


def _status(host: str, port: int, secure: bool, path: str) -> int:
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(host, port, timeout=_PATIENCE_S - 1)
    try:
        connection.request("HEAD", path, headers={"User-Agent": _AGENT})
        return connection.getresponse().status
    finally:
        connection.close()


def _silent(provider: Provider) -> _Told:
    return _Told("warn", f"{provider.name}: no answer within {_PATIENCE_S:.0f} s", "its feeds wait until it answers")
