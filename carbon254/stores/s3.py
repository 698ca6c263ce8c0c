"""An S3 client, made one way by all who keep objects there, and what its errors say.

Credentials and region come from where AWS tools find them (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, …).
"""

from __future__ import annotations

import os
from typing import Any

from carbon254.errors import SettingsError

ENDPOINT = "C254_S3_ENDPOINT"


def s3_client(endpoint: str, setting: str) -> Any:
    """A client of Amazon's S3, or of the service at `endpoint`. Raises SettingsError; `setting` is what asks for it."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise SettingsError(f"{setting} needs the S3 client: pip install 'carbon254[s3]'") from None
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"max_attempts": 3, "mode": "standard"},
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    try:
        session = boto3.Session()
        # The client itself reads only one of the two names that other tools know the region by.
        region = session.region_name or os.environ.get("AWS_REGION") or "us-east-1"
        return session.client("s3", region_name=region, endpoint_url=endpoint or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"{ENDPOINT} or an AWS_… setting cannot work: {error}") from None


def code_of(error: Any) -> str:
    """The service's own word for what it refused; empty where it had none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_silent(error: Exception) -> bool:
    """Whether nobody answered, and not somebody who refused."""
    return type(error).__name__.endswith(("ConnectionError", "TimeoutError"))
