"""What a REST catalog and the S3 store below it are told: the warehouse, credentials, and where the files lie.

Certificates are always checked. Credentials of the store come from where AWS tools find them, or from the catalog.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pyiceberg.exceptions import ForbiddenError, OAuthError, RESTError, UnauthorizedError

from carbon254.errors import SettingsError

NAME = "C254_LAKE_URL"
CATALOG_CA, STORE_CA = "c254.catalog.ca", "c254.s3.ca"
# Named, not imported: what speaks to a REST catalog is loaded where there is one.
_FILES = f"{__package__}.trusting.TrustingFileIO"


def rest_properties(
    warehouse: str = "", endpoint: str = "", credential: str = "", token: str = "", ca: Path | None = None
) -> Mapping[str, str]:
    """Properties of the catalog; what is empty is left to the catalog's own configuration.

    `ca` is a file of certificates to trust at the catalog; what to trust at the store is in AWS_CA_BUNDLE.

    Raises SettingsError where the warehouse or a credential is not written as one.
    """
    if warehouse.startswith("s3://") and "@" in warehouse:
        raise SettingsError(
            "C254_LAKE_WAREHOUSE: write s3://bucket/prefix; credentials go to AWS_ACCESS_KEY_ID and its kin"
        )
    if credential and ":" not in credential:
        raise SettingsError(
            "C254_LAKE_CREDENTIAL is not written as client:secret; for a bearer token set C254_LAKE_TOKEN"
        )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ("us-east-1" if endpoint else "")
    given = {
        "warehouse": warehouse,
        "credential": credential,
        "token": token,
        "s3.endpoint": endpoint,
        "s3.region": region,
        CATALOG_CA: str(ca or ""),
        STORE_CA: _trusted(os.environ.get("AWS_CA_BUNDLE", "")),
        "py-io-impl": _FILES,
    }
    return {name: value for name, value in given.items() if value}


def _trusted(bundle: str) -> str:
    if bundle and not Path(bundle).is_file():
        raise SettingsError(f"AWS_CA_BUNDLE={bundle}: there is no such file")
    return bundle


def trouble(url: str, error: Exception) -> str:
    """One line for a catalog that could not be opened: the setting, and what to do."""
    place = url.rsplit("@", 1)[-1]
    if isinstance(error, UnauthorizedError | ForbiddenError | OAuthError):
        return f"{NAME}: the catalog at {place} refuses these credentials: set C254_LAKE_CREDENTIAL or C254_LAKE_TOKEN"
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:160].replace(url, place)
    if isinstance(error, RESTError):
        return f"{NAME}: what answers at {place} is no Iceberg REST catalog, or has no such warehouse ({said})"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"{NAME}: the certificate of {place} is not trusted: name its authority in C254_LAKE_CA"
    return f"{NAME}: the catalog at {place} does not answer ({said}): start it or change {NAME}"
