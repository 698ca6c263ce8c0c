"""Records of ISO-NE's web services v1.1, in JSON or XML: `HourlyLmps.HourlyLmp[]` and `FiveMinLmps.FiveMinLmp[]`.

JSON and XML say the same: an attribute is `@LocId` beside `$`, the text, in JSON. A single record is an object instead
of a list, the outer collection may be missing, and an empty collection is an empty text or element. XML has the
namespace http://WEBSERV.iso-ne.com, with or without a prefix.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire import json, xml

KINDS = ("HourlyLmp", "FiveMinLmp")
_SPACE = b"\xef\xbb\xbf \t\r\n"
_HEAD = re.compile(rb'\{\s*"(HourlyLmp|FiveMinLmp)s?"|<(?:\w+:)?(HourlyLmp|FiveMinLmp)s?[\s/>]')


def kind_of(head: bytes) -> str:
    """HourlyLmp or FiveMinLmp, by the first key or element; empty for anything else."""
    body = head.lstrip(_SPACE)
    if body.startswith(b"<?"):
        body = body.partition(b"?>")[2].lstrip(_SPACE)
    while body.startswith(b"<!--"):
        body = body.partition(b"-->")[2].lstrip(_SPACE)
    found = _HEAD.match(body)
    return (found[1] or found[2]).decode() if found else ""


def read(data: bytes) -> tuple[str, list[Any]]:
    """(kind, records) of an answer. Raises PayloadRefused for anything else, NothingYet for an empty collection."""
    return _of_xml(data) if data.lstrip(_SPACE).startswith(b"<") else _of_json(data)


def _of_json(data: bytes) -> tuple[str, list[Any]]:
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
            return kind, [layer]
        if isinstance(layer, list):
            return kind, layer
    said = orjson.dumps(answer).decode()[:200]
    raise PayloadRefused(f"not an ISO-NE price answer (no HourlyLmp, no FiveMinLmp): {said}")


def _of_xml(data: bytes) -> tuple[str, list[Any]]:
    kind = kind_of(data[:65_536])
    if not kind:
        said = " ".join(data[:200].decode("utf-8", "replace").split())
        raise PayloadRefused(f"neither HourlyLmps nor FiveMinLmps in XML: {said}")
    records = [_record(element) for element in xml.elements(data, {kind})]
    if not records:
        raise _none()
    return kind, records


def _record(element: xml.Element) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for part in element.parts:
        marks = {f"@{xml.local(name)}": value for name, value in part.attributes.items()}
        record[part.name] = {**marks, "$": part.text} if marks else part.text
    return record


def _none() -> NothingYet:
    return NothingYet("ISO-NE has no records for this request yet; it will be asked again")
