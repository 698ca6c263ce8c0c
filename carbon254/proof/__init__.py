"""Proofs without stores: Merkle trees, canonical hashes of rows, what a partition was made of, receipts of answers."""

from .merkle import Growing, included, path_of, root_of
from .partitions import Chunks, Difference, PartitionProof, Proof, differences
from .receipt import Receipt, ReceiptChanged, receipt_of
from .rows import RowsHash, rows_hash

__all__ = [
    "Chunks",
    "Difference",
    "Growing",
    "PartitionProof",
    "Proof",
    "Receipt",
    "ReceiptChanged",
    "RowsHash",
    "differences",
    "included",
    "path_of",
    "receipt_of",
    "root_of",
    "rows_hash",
]
