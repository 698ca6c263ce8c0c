"""Rows of a list of places that could not be taken: kept as letters, resolved when the mended list comes."""

from __future__ import annotations

from datetime import datetime

from carbon254.stores.log import Letter, Log
from carbon254.stores.reference import Loaded

LISTS = "dlq.reference"
_MANY = 1_000_000


def keep_rejects(log: Log, of: str, loaded: Loaded, payload: str, version: str, received_at: datetime) -> int:
    """One letter a rejected row; letters of the list's earlier states are resolved. Returns how many are open.

    `of` says which list it is, in whatever state; `payload` is the SHA-256 of its bytes, `version` the code's.
    """
    letters = [
        Letter(None, LISTS, payload, line, reason, raw[:4_000], of, version, received_at)
        for line, reason, raw in loaded.rejects.iter_rows()
    ]
    still = {(letter.payload, letter.line, letter.reason) for letter in letters}
    mended = [
        one.id
        for one in log.letters(LISTS, "open", _MANY)
        if one.stage == of and one.id is not None and (one.payload, one.line, one.reason) not in still
    ]
    if letters or mended:
        with log.transaction() as txn:
            txn.resolve_letters(mended, "a later list")
            for letter in letters:
                txn.add_letter(letter)
    return len(letters)
