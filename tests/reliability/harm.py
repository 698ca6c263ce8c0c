"""Harm done to a file: a bit, a page, the end, another file's bytes, all of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

WAYS = ("flip", "zero", "truncate", "swap", "delete")
_PAGE = 4096


def harm(path: Path, way: str, chance: random.Random, others: Sequence[Path] = ()) -> bool:
    """Harm the file one way; whether its bytes (or its being there) changed."""
    before = path.read_bytes()
    data = bytearray(before)
    if way == "flip":
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif way == "zero":
        start = chance.randrange(0, len(data), _PAGE)
        data[start : start + _PAGE] = bytes(len(data[start : start + _PAGE]))
    elif way == "truncate":
        del data[chance.randrange(len(data)) :]
    elif way == "swap" and others:
        other = chance.choice(others)
        data[:] = other.read_bytes()
        other.write_bytes(before)
    else:
        path.unlink()
        return True
    path.write_bytes(data)
    return bytes(data) != before
