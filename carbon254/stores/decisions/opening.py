"""The journal of decisions that stands beside a raw archive: a file beside a folder, objects in a bucket."""

from __future__ import annotations

from pathlib import Path

from .bucket import BucketJournal
from .folder import FolderJournal
from .port import Journal

_FILE = "decisions.jsonl"


def open_decisions(place: str | Path, endpoint: str = "") -> Journal:
    """The journal beside the archive at `place`, as `open_raw` takes it."""
    if str(place).startswith("s3://"):
        return BucketJournal(str(place), endpoint)
    return FolderJournal(Path(place).parent / _FILE)
