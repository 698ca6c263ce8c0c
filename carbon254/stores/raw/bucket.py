"""A bucket of an S3 service: whole objects, put only if the name is free, parts with checksums the service checks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from carbon254.errors import SettingsError, TransientError
from carbon254.stores.s3 import ENDPOINT, code_of, is_silent, s3_client

NAME = "C254_RAW_URL"
# Beyond it an object goes in parts; a service takes none smaller than 5 MiB.
PART = 8 << 20
_BUSY = ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "XMinioServerNotInitialized")
_REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "403")


class Bucket:
    """Objects below a prefix. Raises TransientError where the service does not answer or refuses a write for now."""

    def __init__(self, url: str, endpoint: str = "") -> None:
        parts = urlsplit(url)
        if not parts.netloc or "@" in parts.netloc or parts.query:
            raise SettingsError(f"{NAME}: write s3://bucket/prefix; credentials go to AWS_ACCESS_KEY_ID and its kin")
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._s3 = s3_client(endpoint, NAME)
        self._check(endpoint)

    def shown(self, name: str) -> str:
        """The object's URL."""
        return f"s3://{self._bucket}/{self._key(name)}"

    def get(self, name: str) -> tuple[bytes, str] | None:
        """An object and the mark of its version, or None."""
        from botocore.exceptions import ClientError

        with self._answering():
            try:
                found = self._s3.get_object(Bucket=self._bucket, Key=self._key(name))
                return found["Body"].read(), found["ETag"]
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "404"):
                    return None
                raise

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        from botocore.exceptions import ClientError

        with self._answering():
            try:
                self._s3.head_object(Bucket=self._bucket, Key=self._key(name))
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "404"):
                    return False
                raise
        return True

    def put(self, name: str, data: bytes, over: str | None = "") -> bool:
        """Store an object; False where somebody else was first and nothing was stored.

        `over` is the mark of the version to replace, empty where the name must be free, None to replace whatever there
        is. Seen whole or not at all.
        """
        from botocore.exceptions import ClientError

        condition = {} if over is None else {"IfMatch": over} if over else {"IfNoneMatch": "*"}
        with self._answering():
            try:
                self._store(self._key(name), data, condition)
            except ClientError as error:
                if code_of(error) in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
                    return False
                raise
        return True

    def _store(self, key: str, data: bytes, condition: dict[str, str]) -> None:
        where = {"Bucket": self._bucket, "Key": key}
        if len(data) <= PART:
            self._s3.put_object(**where, Body=data, ChecksumSHA256=_sum(data), **condition)
            return
        upload = self._s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
        try:
            parts = [
                self._part(where, upload, number, data[start : start + PART])
                for number, start in enumerate(range(0, len(data), PART), start=1)
            ]
            self._s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts}, **condition)
        except BaseException:
            self._s3.abort_multipart_upload(**where, UploadId=upload)
            raise

    def _part(self, where: dict[str, str], upload: str, number: int, data: bytes) -> dict[str, Any]:
        checked = _sum(data)
        told = self._s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=data, ChecksumSHA256=checked)
        return {"PartNumber": number, "ETag": told["ETag"], "ChecksumSHA256": checked}

    def names(self) -> Iterator[str]:
        """Every object's name, in order."""
        start = f"{self._prefix}/" if self._prefix else ""
        with self._answering():
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=start):
                yield from (found["Key"].removeprefix(start) for found in page.get("Contents", ()))

    def drop(self, name: str) -> None:
        """Remove an object."""
        with self._answering():
            self._s3.delete_object(Bucket=self._bucket, Key=self._key(name))

    def abort_uploads(self, before: datetime) -> int:
        """Give up uploads in parts that began earlier and never ended; how many."""
        with self._answering():
            told = self._s3.list_multipart_uploads(Bucket=self._bucket, Prefix=self._prefix)
            left = [upload for upload in told.get("Uploads", ()) if upload["Initiated"] < before]
            for upload in left:
                self._s3.abort_multipart_upload(Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        return len(left)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _check(self, endpoint: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError, SSLError

        place = endpoint or "Amazon S3"
        try:
            self._s3.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            code = code_of(error)
            if code in ("404", "NoSuchBucket"):
                raise SettingsError(f"{NAME}: {place} has no bucket {self._bucket}: make it, or name another") from None
            if code in _REFUSED:
                raise SettingsError(
                    f"{NAME}: {place} refuses these credentials for {self._bucket}: set AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
                ) from None
            raise SettingsError(f"{NAME}: {place} answers {code} for {self._bucket}") from None
        except SSLError:
            raise SettingsError(
                f"{NAME}: the certificate of {place} is not trusted: name its authority in AWS_CA_BUNDLE"
            ) from None
        except BotoCoreError as error:
            what = f"{place} does not answer" if is_silent(error) else str(error)
            raise SettingsError(f"{NAME}: {what}: check {ENDPOINT} and the AWS_… settings") from None

    @contextmanager
    def _answering(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            if code_of(error) in _BUSY or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                raise TransientError(f"s3://{self._bucket} refuses for now: {code_of(error)}") from None
            raise TransientError(f"s3://{self._bucket} refuses: {code_of(error)}") from None
        except BotoCoreError as error:
            raise TransientError(f"s3://{self._bucket} does not answer ({type(error).__name__})") from None


def make_bucket(name: str, endpoint: str = "") -> bool:
    """Make a bucket where there is none; whether it was made. Raises SettingsError where it may not be."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = s3_client(endpoint, NAME)
    region = client.meta.region_name
    # Amazon's first region is the one that must not be named.
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        client.head_bucket(Bucket=name)
    except BotoCoreError as error:
        raise SettingsError(f"{ENDPOINT}: {_unreached(endpoint, error)}") from None
    except ClientError as error:
        if code_of(error) not in ("404", "NoSuchBucket"):
            return False
        try:
            client.create_bucket(Bucket=name, **where)
        except ClientError as refused:
            told = f"{endpoint or 'Amazon S3'} refuses to make the bucket {name} ({code_of(refused)})"
            raise SettingsError(f"{told}: make it, or name another") from None
        return True
    return False


def _unreached(endpoint: str, error: Exception) -> str:
    place = endpoint or "Amazon S3"
    return f"{place} does not answer: check it and the AWS_… settings" if is_silent(error) else str(error)


def _sum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
