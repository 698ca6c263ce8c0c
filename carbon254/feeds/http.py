"""Polite fetching: budgets, retries, conditional requests, a circuit breaker, bounded answers.

A call waits for its host's token (also across processes and restarts), is tried again on what may pass (refused
connections, time-outs, 5xx, 408, 429, spoilt or cut-off answers) with growing pauses, honours Retry-After, and stops
asking a host that failed five times in a row until it has had a minute to heal. Certificates are always checked; no
proxy is taken from the environment. Credentials stay within their origin (`call`). Every pause goes through the clock
that was handed in, and its jitter comes from the random source that was handed in, so that a clock turned by hand
never waits and a seed replays.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2 as httpx

from carbon254.clock import Clock
from carbon254.errors import CircuitOpen, FetchFailed, NotPublished, PayloadRefused, Throttled, TransientError
from carbon254.model import Access, Provider
from carbon254.wire.inflate import TooMuch, gunzip, inflate

from .budget import Budget, Validators
from .call import Call, Mask, bare, with_credentials
from .contract import Request

MAX_BYTES = 512 << 20
MAX_SECONDS = 900.0
_MAX_REDIRECTS = 5
_MAX_WAIT_S = 30.0
_JITTER = 1.5
_BREAKER_FAILURES = 5
_BREAKER_REST_S = 60.0
_MAX_RETRY_AFTER_S = 300.0
_DEFAULT_RETRY_AFTER_S = 5.0
_SAID_BYTES = 64 << 10
_INFLATE = {"gzip": gunzip, "x-gzip": gunzip, "deflate": inflate}
_AGENT = "carbon254 (market data platform)"
BY_HAND = "Save the file with a browser and take it in with --file, or set the provider's key"
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
    """Fetches for every provider. `base_urls` stand in for providers' own; `secrets` by the names the cards give.

    `timeout_s` bounds each connect, read and write, MAX_SECONDS and MAX_BYTES a whole answer. `rng` spreads the growing
    pauses, so that many workers do not come back at once.
    """

    def __init__(
        self,
        base_urls: Mapping[str, str],
        secrets: Mapping[str, str],
        clock: Clock,
        budget: Budget,
        timeout_s: float = 30.0,
        attempts: int = 4,
        wait_initial_s: float = 0.5,
        rng: random.Random | None = None,
    ) -> None:
        self._base_urls, self._secrets, self._clock, self._budget = base_urls, secrets, clock, budget
        self._attempts, self._wait_initial_s = attempts, wait_initial_s
        self._rng = rng or random.Random()
        # Set it to be sent whole answers again, also those that did not change since.
        self.afresh = False
        self._mask = Mask()
        logging.getLogger(httpx.__name__).addFilter(self._mask)
        self._client = httpx.Client(
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": _AGENT, "Accept-Encoding": "gzip, deflate"},
        )

    def get(self, provider: Provider, request: Request) -> Answer:
        """The answer to a request.

        Raises NotPublished (404), FetchFailed (refused, or a key is missing), CircuitOpen, or the last TransientError.
        """
        trouble: TransientError | None = None
        for tried in range(self._attempts - 1):
            try:
                return self._once(provider, request)
            except NotPublished:
                raise
            except CircuitOpen as error:
                raise error from trouble
            except Throttled as error:
                # The budget holds the pause that the provider asked for: the next try waits there.
                trouble = error
            except TransientError as error:
                trouble = error
                self._clock.sleep(self._growing(tried))
        return self._once(provider, request)

    def keyed(self, provider: Provider) -> bool:
        """Whether the provider lets us in: it wants no key, we have it, or another stands in for the provider."""
        return provider.id in self._base_urls or all(self._secrets.get(name) for name in provider.access.env)

    def remember(self, answer: Answer) -> None:
        """Ask conditionally from now on. Call it once the answer is stored, never before."""
        headers = {name.lower(): value for name, value in answer.headers.items()}
        self._budget.remember(answer.url, Validators(headers.get("etag"), headers.get("last-modified")))

    def pause(self, tried: int) -> None:
        """Wait before something that failed `tried` + 1 times is tried again."""
        self._clock.sleep(self._growing(tried))

    def close(self) -> None:
        """Close the connections."""
        logging.getLogger(httpx.__name__).removeFilter(self._mask)
        self._client.close()

    def _once(self, provider: Provider, request: Request) -> Answer:
        host, (call, public) = self._host(provider, request), self._call(provider, request)
        # Before every try: a host that another call found failing is left alone by this one too.
        self._check_circuit(host)
        self._clock.sleep(self._budget.take(host, self._interval(provider), provider.burst, self._now_s()))
        try:
            with self._follow(call, public) as response:
                answer = self._answer(response, public, _advice(provider, request), call)
        except (NotPublished, FetchFailed):
            # The host is well: it answered, though not with what was asked for.
            self._note(host, True)
            raise
        except TransientError as error:
            self._note(host, False)
            if isinstance(error, Throttled):
                self._budget.pause(host, self._now_s() + error.retry_after_s)
            raise
        except httpx.RequestError as error:
            self._note(host, False)
            raise TransientError(f"{public}: {type(error).__name__}: {call.scrub(str(error))}") from error
        self._note(host, True)
        return answer

    @contextmanager
    def _follow(self, call: Call, public: str) -> Iterator[httpx.Response]:
        """The answer at the end of the redirects, of which no body is read."""
        for _ in range(_MAX_REDIRECTS + 1):
            url, headers, auth = call.signed()
            with self._client.stream("GET", url, headers=headers, auth=auth) as response:
                following = response.next_request
                if following is None:
                    yield response
                    return
            call = call.redirected(following.url, public)
        raise FetchFailed(f"{public} redirects without end")

    def _answer(self, response: httpx.Response, public: str, advice: str, call: Call) -> Answer:
        status, received = response.status_code, self._clock.received(response.headers)
        kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        if status == httpx.codes.NOT_MODIFIED:
            return Answer(b"", status, kept, public, received, not_modified=True)
        data = self._body(response, public)
        if status == httpx.codes.OK:
            return Answer(data, status, kept, public, received)
        # Masked before it is cut, so that no half of a key is left at the end.
        text = call.scrub(data[:_SAID_BYTES].decode("utf-8", "replace"))[:200].strip()
        asked_to_wait = status == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" in response.headers
        if status == httpx.codes.TOO_MANY_REQUESTS or asked_to_wait:
            raise Throttled(f"{public}: throttled ({status}): {text}", self._retry_after(response))
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
            raise TransientError(f"{public}: {status}: {text}")
        if status == httpx.codes.NOT_FOUND:
            raise NotPublished(f"{public}: not published yet (404)")
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise FetchFailed(f"{public}: {status}: {text}. {advice}")
        raise FetchFailed(f"{public}: {status}: {text}")

    def _body(self, response: httpx.Response, public: str) -> bytes:
        """The body, bounded. A body shorter than its declared length was cut off on the way."""
        out, began_s = bytearray(), self._clock.monotonic()
        for chunk in response.iter_raw():
            out += chunk
            if len(out) > MAX_BYTES:
                raise FetchFailed(f"{public}: the answer exceeds {MAX_BYTES:,} bytes; ask for a shorter span")
            if self._clock.monotonic() - began_s > MAX_SECONDS:
                raise TransientError(f"{public}: the answer was not whole after {MAX_SECONDS:,.0f} s")
        declared = response.headers.get("content-length")
        if declared and response.num_bytes_downloaded < int(declared):
            raise TransientError(f"{public}: cut off after {response.num_bytes_downloaded:,} of {declared} bytes")
        return _decoded(bytes(out), response.headers.get("content-encoding", ""), public)

    def _call(self, provider: Provider, request: Request) -> tuple[Call, str]:
        """(the call with its credentials, its address as it may be said and stored)."""
        access, address = provider.access, bare(httpx.URL(self._address(provider, request)))
        url = httpx.URL(address, params=dict(request.params))
        credentials = [self._secrets.get(name, "") for name in access.env]
        if not request.public and not self.keyed(provider):
            raise FetchFailed(f"{provider.name} needs a key. {_key_advice(provider)}")
        headers = dict(provider.headers)
        known = Validators() if self.afresh else self._budget.validators(str(url))
        headers |= {"If-None-Match": known.etag} if known.etag else {}
        headers |= {"If-Modified-Since": known.modified} if known.modified else {}
        call = with_credentials(Call(url, headers), Access() if request.public else access, credentials)
        self._mask.hide(call.secrets)
        return call, str(url)

    def _check_circuit(self, host: str) -> None:
        failures, opened = self._budget.failures(host)
        if opened is None:
            return
        since = self._now_s() - opened
        # An opening that lies far ahead was noted by a clock that has been put right since.
        if abs(since) < _BREAKER_REST_S:
            rest = _BREAKER_REST_S - since
            raise CircuitOpen(f"{host} failed {failures} times in a row; it is left alone for {rest:.0f} s more")

    def _note(self, host: str, ok: bool) -> None:
        self._budget.note(host, ok, self._now_s(), _BREAKER_FAILURES)

    def _growing(self, tried: int) -> float:
        """The pause after a failed try, in seconds: doubling, bounded, spread by up to a half."""
        return min(self._wait_initial_s * 2.0 ** min(tried, 32), _MAX_WAIT_S) * self._rng.uniform(1.0, _JITTER)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    def _retry_after(self, response: httpx.Response) -> float:
        text = response.headers.get("retry-after", "")
        if text.isascii() and text.isdigit():
            return min(float(text), _MAX_RETRY_AFTER_S)
        try:
            wait = parsedate_to_datetime(text) - self._clock.now()
        except (ValueError, TypeError, OverflowError):
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


def _decoded(data: bytes, encodings: str, public: str) -> bytes:
    """The body without its content encodings, inflated by bounded reads: a short answer may not fill memory."""
    for encoding in reversed([name.strip().lower() for name in encodings.split(",") if name.strip()]):
        if encoding == "identity" or not data:
            continue
        if encoding not in _INFLATE:
            raise FetchFailed(f"{public}: the answer is packed by {encoding}, which was not asked for")
        try:
            data = _INFLATE[encoding](data, MAX_BYTES)
        except TooMuch as error:
            raise FetchFailed(f"{public}: {error}") from error
        except PayloadRefused as error:
            raise TransientError(f"{public}: the answer was spoilt on the way: {error}") from error
    return data


def _advice(provider: Provider, request: Request) -> str:
    """What to do where the provider does not let us in."""
    return BY_HAND if request.public else _key_advice(provider)


def _key_advice(provider: Provider) -> str:
    names = " and ".join(provider.access.env)
    where = f"; get one at {provider.access.where}" if provider.access.where else ""
    return f"Set {names}{where}" if names else f"See {provider.homepage}"
