"""The journal of decisions: what people decided about data, beside the raw payloads, to be decided alike again."""

from .bucket import BucketJournal
from .folder import FolderJournal
from .opening import open_decisions
from .port import Decision, Journal

__all__ = ["BucketJournal", "Decision", "FolderJournal", "Journal", "open_decisions"]
