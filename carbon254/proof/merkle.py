"""Merkle trees over SHA-256, laid out as in RFC 6962 section 2.1.

A leaf is hashed behind a zero byte and a pair behind a one byte, so that no pair can pose as a leaf. The left part of a
tree holds the largest power of two of leaves below all; the tree of no leaves is the hash of nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

EMPTY = hashlib.sha256(b"").digest()


def leaf_of(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\0" + data).digest()


def pair_of(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Growing:
    """A tree that leaves are added to; it keeps one hash for each power of two, however many leaves there are."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, data: bytes) -> None:
        """Add a leaf at the right end."""
        size, found = 1, leaf_of(data)
        while self._peaks and self._peaks[-1][0] == size:
            found = pair_of(self._peaks.pop()[1], found)
            size *= 2
        self._peaks.append((size, found))
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._peaks:
            return EMPTY
        found = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            found = pair_of(peak, found)
        return found


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaves in their order."""
    tree = Growing()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def path_of(leaves: Sequence[bytes], at: int) -> list[bytes]:
    """The hashes that lead from the leaf at a place to the root, nearest first. Raises IndexError."""
    if not 0 <= at < len(leaves):
        raise IndexError(f"there is no leaf {at} among {len(leaves)}")
    if len(leaves) == 1:
        return []
    cut = _cut(len(leaves))
    if at < cut:
        return [*path_of(leaves[:cut], at), root_of(leaves[cut:])]
    return [*path_of(leaves[cut:], at - cut), root_of(leaves[:cut])]


def included(data: bytes, at: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf stands at a place of a tree of `size` leaves with this root."""
    if not 0 <= at < size:
        return False
    turns = _turns(at, size)
    if len(turns) != len(path):
        return False
    found = leaf_of(data)
    for is_left, other in zip(turns, path, strict=True):
        found = pair_of(found, other) if is_left else pair_of(other, found)
    return found == root


def _cut(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _turns(at: int, size: int) -> list[bool]:
    """From the leaf up: whether the way came from the left."""
    if size == 1:
        return []
    cut = _cut(size)
    return [*_turns(at, cut), True] if at < cut else [*_turns(at - cut, size - cut), False]
