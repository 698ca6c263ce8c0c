"""The log: topics on disk, consumers with offsets, outputs and offsets in one transaction, dead letters."""

from .embedded import open_log
from .port import Letter, Log, NewRecord, Record, TopicInfo, Txn

__all__ = ["Letter", "Log", "NewRecord", "Record", "TopicInfo", "Txn", "open_log"]
