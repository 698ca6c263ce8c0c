"""Polite fetching: budgets, retries, conditional requests, a circuit breaker, bounded answers.

A call waits for its host's token (also across processes and restarts), is tried again on what may pass (refused
connections, time-outs, 5xx, 429, cut-off answers) with growing pauses, honours Retry-After, and stops asking a host
that failed five times in a row until it has had a minute to heal. Certificates are always checked; no proxy is taken
from the environment. Credentials are added last and never appear in a stored address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2 as httpx
import stamina

from carbon254.clock import Clock
from carbon254.errors import CircuitOpen, FetchFailed, NotPublished, Throttled, TransientError
from carbon254.model import Provider

from .budget import Budget, Validators
from .contract import Request

MAX_BYTES = 512 << 20
_BREAKER_FAILURES = 5
_BREAKER_REST_S = 60.0
_MAX_RETRY_AFTER_S = 300.0
_DEFAULT_RETRY_AFTER_S = 5.0
_AGENT = "carbon254 (market data platform)"
_KEPT_HEADERS = ("content-type", "date", "etag", "last-modified")


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer. `url` carries no credential; `not_modified` answers have no data."""

    data: bytes
    status: int
    headers: Mapping[str, str]
    url: str
    received_at: datetime
    not_modified: bool = False


class Fetcher:
    """Fetches for every provider. `base_urls` stand in for providers' own; `secrets` by the names the cards give."""

    def __init__(
        self,
        base_urls: Mapping[str, str],
        secrets: Mapping[str, str],
        clock: Clock,
        budget: Budget,
        timeout_s: float = 30.0,
        attempts: int = 4,
        wait_initial_s: float = 0.5,
    ) -> None:
        self._base_urls, self._secrets, self._clock, self._budget = base_urls, secrets, clock, budget
        self._attempts, self._wait_initial_s = attempts, wait_initial_s
        self._client = httpx.Client(
            timeout=timeout_s,
            follow_redirects=True,
            max_redirects=5,
            trust_env=False,
            headers={"User-Agent": _AGENT, "Accept-Encoding": "gzip, deflate"},
        )

    def get(self, provider: Provider, request: Request) -> Answer:
        """The answer to a request.

        Raises NotPublished (404), FetchFailed (refused, or a key is missing), CircuitOpen, or the last TransientError.
        """
        self._check_circuit(self._host(provider, request))
        for attempt in stamina.retry_context(
            on=_again, attempts=self._attempts, timeout=None, wait_initial=self._wait_initial_s, wait_max=30.0
        ):
            with attempt:
                return self._once(provider, request)
        raise AssertionError("the retry loop ends by returning or raising")

    def remember(self, answer: Answer) -> None:
        """Ask conditionally from now on. Call it once the answer is stored, never before."""
        headers = {name.lower(): value for name, value in answer.headers.items()}
        self._budget.remember(answer.url, Validators(headers.get("etag"), headers.get("last-modified")))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _once(self, provider: Provider, request: Request) -> Answer:
        host, address = self._host(provider, request), self._address(provider, request)
        self._clock.sleep(
            self._budget.take(host, self._interval(provider), provider.burst, self._clock.now().timestamp())
        )
        public = str(httpx.URL(address, params=dict(request.params)))
        call = self._call(provider, request, address, public)
        try:
            with self._client.stream("GET", call.url, headers=call.headers, auth=call.auth) as response:
                answer = self._answer(response, public, provider)
        except httpx.TooManyRedirects as error:
            raise FetchFailed(f"{public} redirects without end") from error
        except NotPublished:
            # The provider answered as it should: there is nothing there yet.
            self._budget.note(host, True, self._clock.now().timestamp(), _BREAKER_FAILURES)
            raise
        except (httpx.TransportError, TransientError) as error:
            self._budget.note(host, False, self._clock.now().timestamp(), _BREAKER_FAILURES)
            if isinstance(error, TransientError):
                self._pause(host, error)
                raise
            raise TransientError(f"{public}: {type(error).__name__}: {error}") from error
        self._budget.note(host, True, self._clock.now().timestamp(), _BREAKER_FAILURES)
        return answer

    def _answer(self, response: httpx.Response, public: str, provider: Provider) -> Answer:
        status, received = response.status_code, self._clock.received(response.headers)
        kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        if status == httpx.codes.NOT_MODIFIED:
            return Answer(b"", status, kept, public, received, not_modified=True)
        data = self._body(response, public)
        if status == httpx.codes.OK:
            return Answer(data, status, kept, public, received)
        text = data[:200].decode("utf-8", "replace").strip()
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise Throttled(f"{public}: throttled: {text}", self._retry_after(response))
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise TransientError(f"{public}: {status}: {text}")
        if status == httpx.codes.NOT_FOUND:
            raise NotPublished(f"{public}: not published yet (404)")
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise FetchFailed(f"{public}: {status}: {text}. {_key_advice(provider)}")
        raise FetchFailed(f"{public}: {status}: {text}")

    def _body(self, response: httpx.Response, public: str) -> bytes:
        """The body, bounded. A body shorter than its declared length was cut off on the way."""
        out = bytearray()
        for chunk in response.iter_bytes():
            out += chunk
            if len(out) > MAX_BYTES:
                raise FetchFailed(f"{public}: the answer exceeds {MAX_BYTES:,} bytes; ask for a shorter span")
        declared = response.headers.get("content-length")
        if declared and response.num_bytes_downloaded < int(declared):
            raise TransientError(f"{public}: cut off after {response.num_bytes_downloaded:,} of {declared} bytes")
        return bytes(out)

    def _call(self, provider: Provider, request: Request, address: str, public: str) -> _Call:
        """The address, headers and credentials of a call."""
        params, headers = dict(request.params), dict(provider.headers)
        access, auth = provider.access, None
        credentials = [self._secrets.get(name, "") for name in access.env]
        if access.kind != "none" and not all(credentials) and provider.id not in self._base_urls:
            raise FetchFailed(f"{provider.name} needs a key. {_key_advice(provider)}")
        if access.kind == "header" and credentials[0]:
            headers[access.name] = credentials[0]
        elif access.kind == "query" and credentials[0]:
            params[access.name] = credentials[0]
        elif access.kind == "basic" and all(credentials):
            auth = httpx.BasicAuth(credentials[0], credentials[1])
        known = self._budget.validators(public)
        headers |= {"If-None-Match": known.etag} if known.etag else {}
        headers |= {"If-Modified-Since": known.modified} if known.modified else {}
        return _Call(httpx.URL(address, params=params), headers, auth)

    def _check_circuit(self, host: str) -> None:
        failures, opened = self._budget.failures(host)
        rest = (opened or 0.0) + _BREAKER_REST_S - self._clock.now().timestamp()
        if opened is not None and rest > 0:
            raise CircuitOpen(f"{host} failed {failures} times in a row; it is left alone for {rest:.0f} s more")

    def _pause(self, host: str, error: TransientError) -> None:
        if isinstance(error, Throttled):
            self._budget.pause(host, self._clock.now().timestamp() + error.retry_after_s)

    def _retry_after(self, response: httpx.Response) -> float:
        text = response.headers.get("retry-after", "")
        if text.isdigit():
            return min(float(text), _MAX_RETRY_AFTER_S)
        try:
            wait = parsedate_to_datetime(text) - self._clock.now()
        except (ValueError, TypeError):
            wait = timedelta(seconds=_DEFAULT_RETRY_AFTER_S)
        return min(max(wait.total_seconds(), 0.0), _MAX_RETRY_AFTER_S)

    def _address(self, provider: Provider, request: Request) -> str:
        """Where to call. A stand-in serves every host of the provider it stands in for."""
        url = httpx.URL(request.path)
        if not url.is_absolute_url:
            return self._base_urls.get(provider.id, provider.base_url).rstrip("/") + request.path
        return self._base_urls[provider.id].rstrip("/") + url.path if provider.id in self._base_urls else request.path

    def _host(self, provider: Provider, request: Request) -> str:
        """What the budget counts by: the host, and for a stand-in the provider it stands in for."""
        url = httpx.URL(self._address(provider, request))
        return f"{url.host}:{url.port or ''}/{provider.id}" if provider.id in self._base_urls else url.host

    def _interval(self, provider: Provider) -> float:
        """A stand-in on this machine need not be spared; it answers 429 when it wants to be."""
        return 0.0 if provider.id in self._base_urls else provider.min_interval_s


@dataclass(frozen=True, slots=True)
class _Call:
    url: httpx.URL
    headers: Mapping[str, str]
    auth: httpx.Auth | None


def _again(error: Exception) -> bool | timedelta:
    """Whether to try again, and after a throttle at once: the budget already holds the pause."""
    if isinstance(error, Throttled):
        return timedelta(0)
    return isinstance(error, TransientError) and not isinstance(error, NotPublished | CircuitOpen)


def _key_advice(provider: Provider) -> str:
    names = " and ".join(provider.access.env)
    where = f"; get one at {provider.access.where}" if provider.access.where else ""
    return f"Set {names}{where}" if names else f"See {provider.homepage}"
