"""Records of ISO-NE's web services v1.1, in JSON or XML: `HourlyLmps.HourlyLmp[]` and `FiveMinLmps.FiveMinLmp[]`.

JSON and XML say the same: an attribute is `@LocId` beside `$`, the text, in JSON. A single record is an object instead
of a list, the outer collection may be missing, and an empty collection is an empty text or element. XML has the
namespace http://WEBSERV.iso-ne.com, with or without a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire import json, xml

KINDS = ("HourlyLmp", "FiveMinLmp")
# The place's name, id and type, when the interval begins, and the prices.
NAME, ID, TYPE, BEGIN = "Location", "Location@LocId", "Location@LocType", "BeginDate"
PRICES = ("LmpTotal", "EnergyComponent", "CongestionComponent", "LossComponent")
_SPACE = b"\xef\xbb\xbf \t\r\n"
_HEAD = re.compile(rb'\{\s*"(HourlyLmp|FiveMinLmp)s?"|<(?:\w+:)?(HourlyLmp|FiveMinLmp)s?[\s/>]')


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one kind as columns by the names above. `listed` are those of JSON, `data` the bytes they came in."""

    kind: str
    columns: Mapping[str, Sequence[Any]]
    data: bytes
    listed: Sequence[Any] | None = None

    @property
    def count(self) -> int:
        return len(self.columns[BEGIN])

    def texts(self, numbers: Sequence[int]) -> list[str]:
        """Records as JSON, by their numbers from 1, ascending. Those of XML are read once more: few are asked for."""
        if self.listed is not None:
            return [orjson.dumps(self.listed[number - 1]).decode() for number in numbers]
        wanted, found = set(numbers), []
        for number, element in enumerate(islice(xml.elements(self.data, {self.kind}), max(numbers)), start=1):
            if number in wanted:
                found.append(orjson.dumps(_record(element)).decode())
        return found


def kind_of(head: bytes) -> str:
    """HourlyLmp or FiveMinLmp, by the first key or element; empty for anything else."""
    body = head.lstrip(_SPACE)
    if body.startswith(b"<?"):
        body = body.partition(b"?>")[2].lstrip(_SPACE)
    while body.startswith(b"<!--"):
        body = body.partition(b"-->")[2].lstrip(_SPACE)
    found = _HEAD.match(body)
    return (found[1] or found[2]).decode() if found else ""


def read(data: bytes) -> Records:
    """The records of an answer. Raises PayloadRefused for anything else, NothingYet for an empty collection."""
    return _of_xml(data) if data.lstrip(_SPACE).startswith(b"<") else _of_json(data)


def _of_json(data: bytes) -> Records:
    answer = json.loads(data)
    for kind in KINDS:
        layer = answer
        for key in (f"{kind}s", kind):
            if isinstance(layer, dict) and key in layer:
                layer = layer[key]
        if layer is answer:
            continue
        if layer in ("", None, [], {}):
            raise _none()
        if isinstance(layer, dict):
            return _listed(kind, [layer], data)
        if isinstance(layer, list):
            return _listed(kind, layer, data)
    said = orjson.dumps(answer).decode()[:200]
    raise PayloadRefused(f"not an ISO-NE price answer (no HourlyLmp, no FiveMinLmp): {said}")


def _listed(kind: str, listed: list[Any], data: bytes) -> Records:
    """Records of JSON as columns. Raises PayloadRefused where none of them has a price."""
    good = [record if isinstance(record, dict) else {} for record in listed]
    if not any(PRICES[0] in record for record in good):
        raise _priceless(good[0])
    places = [place if isinstance(place := record.get(NAME), dict) else {} for record in good]
    columns: dict[str, Sequence[Any]] = {
        NAME: [_text(place.get("$")) for place in places],
        ID: [_text(place.get("@LocId")) for place in places],
        TYPE: [_text(place.get("@LocType")) for place in places],
        BEGIN: [_text(record.get(BEGIN)) for record in good],
    }
    return Records(kind, columns | {name: [record.get(name) for record in good] for name in PRICES}, data, listed)


def _of_xml(data: bytes) -> Records:
    kind = kind_of(data[:65_536])
    if not kind:
        said = " ".join(data[:200].decode("utf-8", "replace").split())
        raise PayloadRefused(f"neither HourlyLmps nor FiveMinLmps in XML: {said}")
    found = Records(kind, xml.columns(data, kind, (NAME, ID, TYPE, BEGIN, *PRICES)), data)
    if not found.count:
        raise _none()
    if all(value is None for value in found.columns[PRICES[0]]):
        raise _priceless(_record(next(xml.elements(data, {kind}))))
    return found


def _record(element: xml.Element) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for part in element.parts:
        marks = {f"@{xml.local(name)}": value for name, value in part.attributes.items()}
        record[part.name] = {**marks, "$": part.text} if marks else part.text
    return record


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int)) else None


def _priceless(record: Mapping[str, Any]) -> PayloadRefused:
    return PayloadRefused(f"{PRICES[0]} is missing; the records have {', '.join(map(str, record)) or 'nothing'}")


def _none() -> NothingYet:
    return NothingYet("ISO-NE has no records for this request yet; it will be asked again")
