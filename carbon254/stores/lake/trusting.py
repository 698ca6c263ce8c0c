"""A REST catalog and an S3 store whose certificates an authority of one's own signed.

The library's file access trusts the system's authorities alone, and its catalog those of `REQUESTS_CA_BUNDLE`, whatever
else it is told. Here each trusts the file that was named for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyarrow.fs import FileSystem, S3FileSystem
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.io import FileIO
from pyiceberg.typedef import EMPTY_DICT, Properties
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from .noting import Digests, NotingFileIO
from .rest import CATALOG_CA, STORE_CA

_GIVEN = {
    "endpoint_override": "s3.endpoint",
    "access_key": "s3.access-key-id",
    "secret_key": "s3.secret-access-key",
    "session_token": "s3.session-token",
    "region": "s3.region",
}


def rest_catalog(url: str, properties: Mapping[str, str], digests: Digests) -> RestCatalog:
    """The REST catalog at a URL; `properties` go to it as they are. Digests of what is written are noted."""
    return _Catalog("carbon254", digests, **{**properties, "uri": url})


class TrustingFileIO(NotingFileIO):
    """The library's own file access, with the authorities that the property `STORE_CA` names."""

    def _initialize_s3_fs(self, netloc: str | None) -> FileSystem:
        if STORE_CA not in self.properties:
            return super()._initialize_s3_fs(netloc)
        given = {option: self.properties.get(name) for option, name in _GIVEN.items()}
        return S3FileSystem(**given, tls_ca_file_path=self.properties[STORE_CA])


class _Catalog(RestCatalog):
    def __init__(self, name: str, digests: Digests, **properties: str) -> None:
        self._digests = digests
        super().__init__(name, **properties)

    def _load_file_io(self, properties: Properties = EMPTY_DICT, location: str | None = None) -> FileIO:
        found = super()._load_file_io(properties, location)
        if isinstance(found, NotingFileIO):
            found.digests = self._digests
        return found

    def _config_headers(self, session: Session) -> None:
        # The first thing done with a new session: the next may already ask for a token.
        super()._config_headers(session)
        if trusted := self.properties.get(CATALOG_CA):
            session.mount("https://", _Trusting(trusted))


class _Trusting(HTTPAdapter):
    def __init__(self, trusted: str) -> None:
        super().__init__()
        self._trusted = trusted

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        return super().send(request, *args, **{**options, "verify": self._trusted})
