"""The ledger: states, watermarks and checksums of each feed and partition, leases, builds and the audit trail."""

from .clickhouse import ClickHouseLedger, open_history
from .completeness import Completeness, completeness
from .ledger import Ledger, open_ledger
from .port import (
    Act,
    Arrivals,
    Build,
    Capability,
    Change,
    Entry,
    IllegalTransition,
    Lease,
    LeaseLost,
    LedgerStore,
    Noted,
    NotOffered,
)
from .shipping import ship

__all__ = [
    "Act",
    "Arrivals",
    "Build",
    "Capability",
    "Change",
    "ClickHouseLedger",
    "Completeness",
    "Entry",
    "IllegalTransition",
    "Lease",
    "LeaseLost",
    "Ledger",
    "LedgerStore",
    "NotOffered",
    "Noted",
    "completeness",
    "open_history",
    "open_ledger",
    "ship",
]
