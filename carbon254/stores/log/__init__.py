"""The log: topics on disk, consumers with offsets, outputs and offsets in one transaction, dead letters."""

from .embedded import open_log
from .identity import identity_of, renew
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
    "identity_of",
    "open_log",
    "records_of",
    "renew",
]
