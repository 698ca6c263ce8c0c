"""The ledger: states, watermarks and checksums of each feed and partition, leases, builds and the audit trail."""

from .clickhouse import ClickHouseLedger, open_history
from .completeness import Completeness, completeness
from .ledger import Ledger, open_ledger
from .port import (
    FATES,
    Act,
    Arrivals,
    Build,
    Capability,
    Change,
    Counts,
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
    "FATES",
    "Act",
    "Arrivals",
    "Build",
    "Capability",
    "Change",
    "ClickHouseLedger",
    "Completeness",
    "Counts",
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
