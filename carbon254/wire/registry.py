"""A schema registry over HTTP, by Confluent's interface (Apicurio's is at `/apis/ccompat/v7`), and its wire format.

A message is a zero byte, the schema's id in four bytes (big-endian), and the Avro body. A subject is the topic's name
with `-value`; a new version has to be readable by readers of the old one (BACKWARD), and the registry refuses others.
"""

from __future__ import annotations

import json
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx2 as httpx

from carbon254.errors import PermanentError, SettingsError, TransientError

_TYPE = "application/vnd.schemaregistry.v1+json"
_TIMEOUT_S = 10.0
_HEAD = struct.Struct(">bI")
_INCOMPATIBLE = 409


class SchemaRefused(PermanentError):
    """The registry refuses a schema, because readers of the version before could not read it."""


class SchemaRegistry:
    """Registers schemas and remembers their ids. A user and password may stand in the URL; they are in no error.

    `ca` is a file of certificates to trust instead of the system's.
    """

    def __init__(self, url: str, ca: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError("C254_SCHEMA_REGISTRY is no address; write http(s)://host/apis/ccompat/v7")
        host = parts.netloc.rpartition("@")[2]
        self._url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        user = (parts.username, parts.password or "") if parts.username else None
        trusted = ssl.create_default_context(cafile=ca)
        self._http = httpx.Client(timeout=_TIMEOUT_S, auth=user, headers={"content-type": _TYPE}, verify=trusted)
        self._ids: dict[str, int] = {}

    def ensure(self, topic: str, schema: Mapping[str, Any]) -> tuple[int, bool]:
        """(the schema's id, whether it is new to the registry), with BACKWARD asked of the subject.

        Raises SchemaRefused where readers of the version before could not read it, TransientError where the registry
        does not answer.
        """
        subject, body = quote(f"{topic}-value", safe=""), {"schema": json.dumps(schema)}
        known = self._call("POST", f"/subjects/{subject}", body)
        if known.status_code == httpx.codes.OK:
            found = int(known.json()["id"])
            self._ids[topic] = found
            return found, False
        answer = self._call("POST", f"/subjects/{subject}/versions", body)
        if answer.status_code == _INCOMPATIBLE:
            raise SchemaRefused(f"the schema of {topic} would break its readers: {_told(answer)}")
        if answer.status_code >= 400:
            raise SettingsError(f"C254_SCHEMA_REGISTRY={self._url}: {answer.status_code} {_told(answer)}")
        self._call("PUT", f"/config/{subject}", {"compatibility": "BACKWARD"})
        self._ids[topic] = int(answer.json()["id"])
        return self._ids[topic], True

    def id(self, topic: str, schema: Mapping[str, Any]) -> int:
        """The schema's id, asked for once."""
        return self._ids[topic] if topic in self._ids else self.ensure(topic, schema)[0]

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def _call(self, method: str, path: str, body: Mapping[str, Any]) -> httpx.Response:
        try:
            answer = self._http.request(method, self._url + path, json=dict(body))
        except httpx.HTTPError as error:
            if "certificate" in str(error).lower():
                raise SettingsError(
                    f"C254_SCHEMA_REGISTRY={self._url}: its certificate is not trusted; name its authority in "
                    "C254_SCHEMA_REGISTRY_CA"
                ) from None
            raise TransientError(f"C254_SCHEMA_REGISTRY={self._url} does not answer: {error}") from None
        if answer.status_code in (401, 403):
            raise SettingsError(f"C254_SCHEMA_REGISTRY={self._url} refused the user; put user:password@ into the URL")
        if answer.status_code >= 500:
            raise TransientError(f"C254_SCHEMA_REGISTRY={self._url} failed: {answer.status_code} {_told(answer)}")
        return answer


def frame(schema_id: int) -> bytes:
    """What stands before the body of a message of this schema."""
    return _HEAD.pack(0, schema_id)


def unframe(message: bytes) -> tuple[int, bytes]:
    """(schema id, body) of a message. Raises ValueError where it has no such head."""
    if len(message) < _HEAD.size or message[0]:
        raise ValueError("the message does not begin with a schema id")
    return _HEAD.unpack_from(message)[1], message[_HEAD.size :]


def _told(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("message", ""))[:300]
    except ValueError:
        return ""
