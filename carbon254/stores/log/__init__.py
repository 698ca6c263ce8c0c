"""The log: topics on disk, consumers with offsets, outputs and offsets in one transaction, dead letters."""

from .embedded import open_log
from .port import Letter, Log, NewRecord, Published, Record, TopicInfo, Txn, records_of
from .soundness import check_file

__all__ = [
    "Letter",
    "Log",
    "NewRecord",
    "Published",
    "Record",
    "TopicInfo",
    "Txn",
    "check_file",
    "open_log",
    "records_of",
]
