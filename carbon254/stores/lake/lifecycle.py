"""The bucket's own rule for cold files: after 90 days S3 moves the lake's files to a cheaper storage class.

S3 counts from when a file was written, which is when its partition was last merged. The class must be one that is
read at once, as `STANDARD_IA`, `INTELLIGENT_TIERING` or `GLACIER_IR`: every tier of the lake stays readable. A MinIO
takes the name of a tier that its operator made. Rules of others on the bucket stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carbon254.errors import SettingsError
from carbon254.stores.s3 import code_of, s3_client

NAME, WAREHOUSE = "C254_LAKE_STORAGE_CLASS", "C254_LAKE_WAREHOUSE"
RULE = "c254-lake-cold"
COLD_DAYS = 90
_ASLEEP = ("GLACIER", "DEEP_ARCHIVE")


def with_rule(rules: Sequence[dict[str, Any]], prefix: str, storage_class: str) -> list[dict[str, Any]]:
    """The bucket's rules with ours among them, once; `prefix` ends with a slash, or is empty for the whole bucket."""
    ours = {
        "ID": RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Transitions": [{"Days": COLD_DAYS, "StorageClass": storage_class}],
    }
    return [*(rule for rule in rules if rule.get("ID") != RULE), ours]


def ensure_rule(warehouse: str, endpoint: str, storage_class: str) -> tuple[str, bool]:
    """Write the rule for `s3://bucket/prefix`; gives the place and whether it was missing.

    Raises SettingsError where the class, the warehouse or the store does not allow it.
    """
    if storage_class in _ASLEEP:
        raise SettingsError(f"{NAME}: files in {storage_class} cannot be read at once; take GLACIER_IR or STANDARD_IA")
    if not warehouse.startswith("s3://"):
        raise SettingsError(f"{NAME} is about files on S3: set {WAREHOUSE}=s3://bucket/prefix, or leave it empty")
    bucket, _, prefix = warehouse.removeprefix("s3://").strip("/").partition("/")
    client = s3_client(endpoint, NAME)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        rules = _rules(client, bucket)
        wanted = with_rule(rules, f"{prefix}/" if prefix else "", storage_class)
        missing = sorted(map(repr, map(_said, rules))) != sorted(map(repr, map(_said, wanted)))
        if missing:
            client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": wanted})
    except ClientError as error:
        code = code_of(error)
        what = f"s3://{bucket} refuses the class {storage_class!r}" if code == "InvalidStorageClass" else f"{code}"
        raise SettingsError(f"{NAME}: {what}: name one that the store has, or leave it empty") from None
    except BotoCoreError as error:
        raise SettingsError(f"{NAME}: the store of s3://{bucket} does not answer ({type(error).__name__})") from None
    return f"s3://{bucket}/{prefix}", missing


def _said(rule: dict[str, Any]) -> list[object]:
    return [rule.get("ID"), rule.get("Status"), rule.get("Filter"), rule.get("Transitions")]


def _rules(client: Any, bucket: str) -> list[dict[str, Any]]:
    from botocore.exceptions import ClientError

    try:
        return client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError as error:
        if code_of(error) == "NoSuchLifecycleConfiguration":
            return []
        raise
