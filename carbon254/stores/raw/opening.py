"""The archive that a place names: a folder, or `s3://bucket/prefix`."""

from __future__ import annotations

from pathlib import Path

from carbon254.errors import SettingsError

from .archive import FolderArchive, RawArchive
from .s3 import S3Archive


def open_raw(place: str | Path, endpoint: str = "") -> RawArchive:
    """Open the archive, made where there is none; what a crash left in it is removed.

    `endpoint` is an S3 service other than Amazon's. Raises SettingsError where the place cannot be one.
    """
    text = str(place)
    if isinstance(place, str) and "://" in text and not text.startswith("s3://"):
        raise SettingsError(f"C254_RAW_URL={text.split('://')[0]}://…: write s3://bucket/prefix, or leave it empty")
    archive = S3Archive(text, endpoint) if text.startswith("s3://") else FolderArchive(Path(place))
    archive.sweep()
    return archive
