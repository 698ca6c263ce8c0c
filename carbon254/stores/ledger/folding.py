"""Many parts of a partition as one row, without forgetting any of them.

Pushed feeds bring thousands of payloads a market day. Beyond `FOLD_AT` parts of a partition they become one row: sums,
bounds, the union of the cells, a digest that does not depend on order, and the parts' names as eight bytes each, so
that noting one of them again still changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

FOLD_AT = 512
_MODULUS = 1 << 256

Cells = dict[str, int]


def digest_of(payloads: Iterable[str], start: str = "") -> str:
    """64 hexadecimal digits over a set of names, whatever their order; `start` is the digest of the names before."""
    total = int(start or "0", 16)
    for payload in payloads:
        total += int.from_bytes(hashlib.sha256(payload.encode()).digest())
    return f"{total % _MODULUS:064x}"


def members_of(payloads: Iterable[str]) -> np.ndarray:
    """The names as sorted numbers of 64 bits."""
    short = [int.from_bytes(hashlib.sha256(payload.encode()).digest()[:8]) for payload in payloads]
    return np.unique(np.array(short, dtype=np.uint64))


def among(payloads: Sequence[str], members: bytes) -> set[str]:
    """Those of the names that are members."""
    held = np.frombuffer(members, dtype=np.uint64)
    return {payload for payload in payloads if _holds(held, payload)}


def _holds(held: np.ndarray, payload: str) -> bool:
    (number,) = members_of([payload])
    at = int(np.searchsorted(held, number))
    return at < len(held) and held[at] == number


def cells_of(texts: Iterable[str]) -> Cells:
    """Union of stored cells: set of places → periods as bits."""
    found: Cells = {}
    for text in texts:
        for name, periods in json.loads(text) if text else ():
            found[name] = found.get(name, 0) | int(periods, 16)
    return found


def cells_text(cells: Cells) -> str:
    """Cells as they are stored; empty for none."""
    return json.dumps([[name, f"{periods:x}"] for name, periods in sorted(cells.items())]) if cells else ""


def folded(parts: Sequence[Any], before: Any | None) -> dict[str, Any]:
    """The values of the one row that stands for `parts` (rows of the table) and the fold before them."""
    names = [part.payload for part in parts]
    members = members_of(names)
    row = {
        "payloads": len(parts),
        "rows": sum(part.rows for part in parts),
        "watermark": max(part.watermark for part in parts),
        "first_received": min(part.received_at for part in parts),
        "last_received": max(part.received_at for part in parts),
        "digest": digest_of(names, before.digest if before else ""),
        "cells": cells_text(cells_of([*(part.cells for part in parts), before.cells if before else ""])),
    }
    if before is not None:
        members = np.union1d(members, np.frombuffer(before.members, dtype=np.uint64))
        row["payloads"] += before.payloads
        row["rows"] += before.rows
        row["watermark"] = max(row["watermark"], before.watermark)
        row["first_received"] = min(row["first_received"], before.first_received)
        row["last_received"] = max(row["last_received"], before.last_received)
    return row | {"members": members.tobytes()}
