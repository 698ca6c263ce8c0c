"""A receipt: what an answer said, of which data, known when, in which units and under which licence.

It is JSON that stands alone. `id` is the SHA-256 of everything else in it, so that a receipt that was edited is told
apart from data that changed. It proves what this workspace answered; it is no signature.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from carbon254.errors import PermanentError

from .merkle import root_of
from .rows import RowsHash

FORMAT = "c254.receipt/2"
_OLDER = "c254.receipt/1"
# A header holds about 8 KiB; the hashes of single rows do not fit and are left out there.
_HEADER_BYTES = 7_000


class ReceiptChanged(PermanentError):
    """A receipt that is not as it was issued, or that is no receipt."""


@dataclass(frozen=True, slots=True)
class FeedVersion:
    """A feed's data: its first `payloads` arrivals, the last of them received at a moment (ISO 8601, UTC) with this
    SHA-256, with their root; its code."""

    received_at: str
    sha256: str
    payloads: int
    root: str
    code: str


@dataclass(frozen=True, slots=True)
class OlderVersion:
    """The same as receipts of the first format tell it: the last payload by its place in the raw log of then."""

    offset: int
    payloads: int
    root: str
    code: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """See the module. Moments are ISO 8601 in UTC; `quality` is None where no score exists yet."""

    query: str
    datasets: tuple[str, ...]
    known_at: str
    issued_at: str
    feeds: Mapping[str, FeedVersion | OlderVersion]
    root: str
    rows: RowsHash
    units: Mapping[str, str] = field(default_factory=dict)
    licences: Mapping[str, str] = field(default_factory=dict)
    quality: float | None = None
    format: str = FORMAT
    id: str = ""

    def to_json(self) -> str:
        """The receipt as it is kept in a file."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def to_header(self) -> str:
        """The receipt in one line of plain characters, without the hashes of single rows."""
        short = sealed(replace(self, rows=replace(self.rows, each=())))
        packed = base64.urlsafe_b64encode(zlib.compress(short.to_json().encode())).decode()
        return packed if len(packed) <= _HEADER_BYTES else f"too long: ask for format=json; id {self.id}"

    def check(self) -> None:
        """Raise ReceiptChanged where it is not as it was issued."""
        if self.id != _id(self):
            raise ReceiptChanged(
                "the receipt itself was changed after it was issued: its id does not match what it says"
            )


def sealed(receipt: Receipt) -> Receipt:
    """The receipt with its id."""
    return replace(receipt, id=_id(receipt))


def receipt_of(text: str) -> Receipt:
    """A receipt from its JSON or its header line. Raises ReceiptChanged with what is wrong."""
    try:
        raw = json.loads(text if text.lstrip().startswith("{") else zlib.decompress(base64.urlsafe_b64decode(text)))
        if raw.get("format") not in (FORMAT, _OLDER):
            raise ReceiptChanged(f"its format is {raw.get('format')!r}, and this version reads {FORMAT!r}")
        found = Receipt(**{name: _read(name, raw[name]) for name in (one.name for one in fields(Receipt))})
    except ReceiptChanged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise ReceiptChanged(
            f"this is not a receipt ({type(error).__name__}: {error}); write one with --receipt"
        ) from None
    found.check()
    return found


def root_over(feeds: Mapping[str, FeedVersion | OlderVersion]) -> str:
    """One root over the feeds' versions, in the order of their names."""
    return root_of([json.dumps([name, *asdict(feeds[name]).values()]).encode() for name in sorted(feeds)]).hex()


def _id(receipt: Receipt) -> str:
    told = {name: value for name, value in asdict(receipt).items() if name != "id"}
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read(name: str, value: Any) -> Any:
    if name == "feeds":
        return {feed: _version(version) for feed, version in value.items()}
    if name == "rows":
        return RowsHash(**{**value, "each": tuple(value["each"])})
    return tuple(value) if name == "datasets" else value


def _version(told: Mapping[str, Any]) -> FeedVersion | OlderVersion:
    return OlderVersion(**told) if "offset" in told else FeedVersion(**told)


def strangers(rows: Sequence[str], others: Sequence[str], most: int = 5) -> list[int]:
    """Places (from 1) of the first few rows, by their hashes, that are not among `others`."""
    left = Counter(others)
    found = []
    for at, row in enumerate(rows, start=1):
        left[row] -= 1
        if left[row] < 0:
            found.append(at)
    return found[:most]
