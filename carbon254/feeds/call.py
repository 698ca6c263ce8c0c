"""One call and the credentials it carries.

A credential is added last, stays within the origin (scheme, host, port) it was meant for, and is never said: not in a
stored address, not in an error, not in the client's log. Once a redirect has left the origin, the credential is gone
for the rest of the way, also where a later redirect leads back.
"""

from __future__ import annotations

import logging
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, quote_plus

import httpx2 as httpx

from carbon254.errors import FetchFailed
from carbon254.model import Access

_MASK = "***"


@dataclass(frozen=True, slots=True)
class Call:
    """An address, its headers, and the credentials that `access` says how to send (none of them may be empty)."""

    url: httpx.URL
    headers: Mapping[str, str]
    access: Access = field(default_factory=Access)
    credentials: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    def signed(self) -> tuple[httpx.URL, dict[str, str], httpx.Auth | None]:
        """What goes over the wire: the address, headers and sign-in, credentials included."""
        url, headers = self.url, dict(self.headers)
        if not self.credentials:
            return url, headers, None
        key, name = self.credentials[0], self.access.name
        if self.access.kind == "header":
            return url, headers | {name: key}, None
        if self.access.kind == "query":
            # A redirect within the origin may have brought the key along already.
            return url if name in url.params else url.copy_merge_params({name: key}), headers, None
        basic = self.access.kind == "basic" and len(self.credentials) > 1
        return url, headers, httpx.BasicAuth(*self.credentials[:2]) if basic else None

    def redirected(self, url: httpx.URL, public: str) -> Call:
        """The call that a redirect leads to; another origin gets no credential.

        Raises FetchFailed where it leads away from http(s), or from https to http.
        """
        downgrade = self.url.scheme == "https" and url.scheme != "https"
        if url.scheme not in ("http", "https") or downgrade:
            raise FetchFailed(f"{public} redirects to {url.scheme}://{url.host}, which is not followed")
        if url.origin == self.url.origin:
            return replace(self, url=url)
        # A host may copy our query into the address it sends us to.
        for name in [name for name, value in url.params.multi_items() if self.scrub(value) != value]:
            url = url.copy_remove_param(name)
        return replace(self, url=bare(url), access=Access(), credentials=())

    def scrub(self, text: str) -> str:
        """Text from outside without our credentials, in whichever spelling."""
        return scrubbed(text, self.secrets)


def with_credentials(call: Call, access: Access, values: Sequence[str]) -> Call:
    """The call with its credentials; without any where one is missing.

    Raises FetchFailed for a key that no header may carry; the message does not say the key.
    """
    found = tuple(value.strip() for value in values)
    if access.kind == "none" or not found or not all(found):
        return replace(call, secrets=spellings(found))
    if access.kind == "header" and not all(value.isascii() and value.isprintable() for value in found):
        raise FetchFailed(f"{access.env[0]} holds a character that no header may carry; set it to the key alone")
    return replace(call, access=access, credentials=found, secrets=spellings(found))


def spellings(values: Sequence[str]) -> tuple[str, ...]:
    """Each way a credential may be written in an address, a header or a message; longest first."""
    written = {write(value) for value in values if value for write in (str, quote, quote_plus, _quoted)}
    if len(values) > 1 and all(values):
        written.add(b64encode(":".join(values[:2]).encode()).decode())
    return tuple(sorted(written, key=lambda text: (-len(text), text)))


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret masked; percent signs may be followed by either case."""
    for secret in secrets:
        text = re.sub(re.escape(secret), _MASK, text, flags=re.IGNORECASE)
    return text


def bare(url: httpx.URL) -> httpx.URL:
    """The address without a user and password in it."""
    return url.copy_with(username="", password="") if url.userinfo else url


class Mask(logging.Filter):
    """Takes credentials out of what the HTTP client logs: it names each address it calls, the query included."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these from now on."""
        self._secrets.update(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes, masked."""
        said = record.getMessage()
        masked = scrubbed(said, sorted(self._secrets, key=len, reverse=True))
        if masked != said:
            record.msg, record.args = masked, ()
        return True


def _quoted(value: str) -> str:
    return quote(value, safe="")
