"""The state of a partition: every analyser's state by name, as bytes that any version can read or refuse."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeVar

from carbon254.errors import CorruptRecord

from .profile import Distinct, Moments, Quantiles
from .states import Cells, Peak, Prints, Sample, State, Tally

S = TypeVar("S", bound=State)
_MAGIC = b"c254q1"
_CLASSES: Mapping[str, type[Any]] = {
    kind.tag: kind for kind in (Tally, Peak, Cells, Prints, Sample, Moments, Quantiles, Distinct)
}


@dataclass(frozen=True, slots=True)
class PartitionState:
    """What is kept of the rows of a partition. The empty one is the identity of `merge`."""

    states: Mapping[str, State] = field(default_factory=dict)

    def merge(self, other: PartitionState) -> PartitionState:
        """The state of both sets of rows. Raises TypeError where one name holds two kinds of state."""
        merged = dict(self.states)
        for name, state in other.states.items():
            mine = merged.get(name)
            if mine is not None and mine.tag != state.tag:
                raise TypeError(f"{name} is {mine.tag} here and {state.tag} there: the rules differ; judge both anew")
            merged[name] = mine.merge(state) if mine is not None else state
        return PartitionState(merged)

    def get(self, name: str, kind: type[S]) -> S:
        """The state called `name`, or the identity of its kind."""
        found = self.states.get(name)
        return found if isinstance(found, kind) else kind()

    def to_bytes(self) -> bytes:
        """Compressed JSON: equal states have equal bytes."""
        plain = {name: [state.tag, state.parts()] for name, state in sorted(self.states.items())}
        return _MAGIC + zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 6)

    @classmethod
    def from_bytes(cls, data: bytes) -> PartitionState:
        """Read back. Raises CorruptRecord where the bytes are of another format or damaged."""
        if not data.startswith(_MAGIC):
            raise CorruptRecord("a quality state of another format; run `c254 quality run --again` to make it anew")
        try:
            plain = json.loads(zlib.decompress(data[len(_MAGIC) :]))
            return cls({name: _CLASSES[tag].of(parts) for name, (tag, parts) in plain.items()})
        except (zlib.error, ValueError, KeyError, TypeError) as error:
            raise CorruptRecord(
                f"a quality state cannot be read ({error}); run `c254 quality run --again` to make it anew"
            ) from error


def merged(states: Iterable[PartitionState]) -> PartitionState:
    """The state of all rows together."""
    return reduce(PartitionState.merge, states, PartitionState())
