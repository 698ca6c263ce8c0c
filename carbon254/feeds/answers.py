"""What an answer is that holds no rows: an error page, an error document, an empty file, a file of another kind.

Providers answer with these under HTTP 200 as well, and people save them to disk. Each is told by its bytes, said in a
sentence with the next step, and is either a refusal or, where nothing is published yet, `NothingYet`. What only one
provider says is told by its own folder (`explain`).
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from carbon254.errors import NothingYet, PayloadRefused
from carbon254.wire.text import utf8_head
from carbon254.wire.xml import Element, elements

_TAG = re.compile(rb"<(script|style)\b.*?(</\1\s*>|\Z)|<!--.*?-->|<[^>]*>", re.I | re.S)
_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body)\b", re.I)
_BINARY = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: save it as CSV"),
    (b"%PDF", "a PDF document: take the provider's CSV or JSON instead"),
    (b"PAR1", "a Parquet file: export it as CSV"),
    (b"SQLite format 3", "a SQLite database: export its rows as CSV"),
)
_UNPUBLISHED = ("BlobNotFound", "NoSuchKey", "ResourceNotFound")
_ADVICE = (
    (re.compile(r"\b429\b|too many|throttl|rate.?limit|quota|acceptable use", re.I),
     "too many calls: wait, then ask again"),
    (re.compile(r"\b40[13]\b|unauthori[sz]ed|forbidden|denied|api.?key|subscription key|credential", re.I),
     "the provider refused the key: set the one that `c254 feeds list` names, then ask again"),
    (re.compile(r"\b404\b|not found", re.I), "the provider knows no such address: check what was asked for"),
    (re.compile(r"\b50\d\b|internal|unavailable|gateway", re.I), "the provider is in trouble: ask again later"),
    (re.compile(r"\b400\b|invalid|bad request", re.I), "the request was wrong: check the span and the places"),
)  # fmt: skip
_LOOK, _SAID = 65_536, 200


def refuse_empty_and_pages(head: bytes) -> None:
    """Raise NothingYet for a file with nothing in it, PayloadRefused for a web page."""
    if not head.strip(b" \t\r\n"):
        raise NothingYet("the file is empty: nothing is published in it yet; it will be asked for again")
    if page := _page(head):
        raise page


def page_told(data: bytes) -> str:
    """What a web page says that came instead of data; empty for anything else."""
    page = _page(utf8_head(data[:_LOOK]))
    return str(page) if page else ""


def explain(head: bytes) -> PayloadRefused | None:
    """What these first bytes (UTF-8) are; None where they may be data of some kind."""
    try:
        refuse_empty_and_pages(head)
    except PayloadRefused as told:
        return told
    for mark, what in _BINARY:
        if head.startswith(mark):
            return PayloadRefused(what)
    body = head.lstrip()
    if body.startswith(b"<"):
        return _document(body)
    return _json(body) if body[:1] in (b"{", b"[") and len(head) < _LOOK else None


def told(what: str, code: object, words: str) -> PayloadRefused:
    """An error answer in a sentence, with what to do about it."""
    said = " ".join(words.split())[:_SAID].rstrip(". ")
    spoken = f"{what}: {said}" + (f" ({code})" if code not in (None, "") else "")
    return PayloadRefused(f"{spoken}; {step}" if (step := _step(f"{code} {words}")) else spoken)


def _step(text: str) -> str:
    return next((step for pattern, step in _ADVICE if pattern.search(text)), "")


def _page(head: bytes) -> PayloadRefused | None:
    body = head[:_LOOK].lstrip()
    if not body.startswith(b"<") or not _PAGE.search(body[:4_096]):
        return None
    words = " ".join(_TAG.sub(b" ", body).decode("utf-8", "replace").split())
    step = _step(words[:_SAID])
    what = "HTTP 429, too many calls" if "too many calls" in step else "a web page instead of data"
    return PayloadRefused(f"{what}: {words[:_SAID]}" + (f"; {step}" if step else ""))


def _document(body: bytes) -> PayloadRefused | None:
    """Azure's and S3's error document: Error with Code and Message."""
    try:
        error = next(elements(body, ("Error",)), None)
    except PayloadRefused as refusal:
        return refusal if "unsafe" in str(refusal) else None
    return _storage(error) if error is not None else None


def _storage(error: Element) -> PayloadRefused:
    cells = error.cells()
    code = cells.get("Code", "")
    if code in _UNPUBLISHED:
        return NothingYet(f"the provider has not published this report yet ({code}); it will be asked for again")
    return told("the provider's storage answered with an error", code, cells.get("Message", ""))


def _json(body: bytes) -> PayloadRefused | None:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    first = answer[0] if isinstance(answer, list) and answer else answer
    if not isinstance(first, dict):
        return None
    for key in ("error", "errors", "fault"):
        inner = first.get(key)
        inner = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(inner, dict):
            return _error({**first, **inner})
        if isinstance(inner, str):
            return _error({**first, "message": inner})
    problem = isinstance(first.get("title"), str) and {"detail", "status"} & set(first)
    return _error(first) if problem or isinstance(first.get("message", first.get("Message")), str) else None


def _error(facts: dict[str, Any]) -> PayloadRefused:
    names = ("title", "message", "Message", "detail", "faultstring", "field")
    words = ": ".join(value for name in names if isinstance(value := facts.get(name), str) and value)
    code = next(
        (facts[name] for name in ("statusCode", "status", "code") if isinstance(facts.get(name), int | str)), None
    )
    return told("the provider answered with an error", code, words)
