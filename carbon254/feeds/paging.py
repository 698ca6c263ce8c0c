"""Answers in pages: walked by what came, until all that was announced is there.

A page may hold fewer rows than were asked for, so the next one begins where this one ended. What does not add up is no
answer: rows that were announced and did not come, a total that changes while the pages are read (a row inserted
meanwhile shifts the others: one would be read twice and another never), a page that comes again, pages without end. The
walk is then made again from its first page, a few times with growing pauses, and fails after that; nothing of it is
taken in. Pages of a whole walk are one payload, an archive of them as they came: where one page ends says nothing.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from carbon254.errors import FetchFailed, NotPublished, ShortAnswer

from .contract import Counted, Request
from .http import MAX_BYTES, Answer

WALKS = 3
MAX_PAGES = 1_000
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Paged(Protocol):
    """What of a feed reads pages."""

    def counted(self, data: bytes) -> Counted | None: ...
    def next_page(self, request: Request, data: bytes) -> Request | None: ...


@dataclass(frozen=True, slots=True)
class Walked:
    """A whole answer under its name; `answer` is its first page with the data of all, `pages` how many there were."""

    name: str
    answer: Answer
    pages: int = 1


def walk(get: Callable[[Request], Answer], feed: Paged, first: Request, pause: Callable[[int], None]) -> Walked:
    """The whole answer to a request. `pause(n)` waits before the walk is made again after its n-th failure.

    Raises ShortAnswer where pages do not add up, whatever `get` raises, and FetchFailed for an answer that is too long.
    """
    for tried in range(WALKS - 1):
        try:
            return _walk(get, feed, first)
        except ShortAnswer:
            pause(tried)
    return _walk(get, feed, first)


def _walk(get: Callable[[Request], Answer], feed: Paged, first: Request) -> Walked:
    pages: list[tuple[str, Answer]] = []
    seen: set[bytes] = set()
    taken, size, announced = 0, 0, None
    request: Request | None = first
    while request is not None:
        answer = _page(get, request, len(pages))
        pages.append((request.name or request.path.rsplit("/", 1)[-1], answer))
        found = None if answer.not_modified else feed.counted(answer.data)
        if found is None and len(pages) > 1:
            raise ShortAnswer(f"{_told(first)}: page {len(pages)} is not a page of rows as the ones before it")
        if found is not None:
            if len(pages) > 1 and found.announced != announced:
                raise ShortAnswer(
                    f"{_told(first)}: {announced or 0:,} rows were announced, and {found.announced or 0:,} on page "
                    f"{len(pages)}: they changed while they were read"
                )
            taken, size, announced = taken + found.given, size + len(answer.data), found.announced
            if announced is not None and taken > announced:
                raise ShortAnswer(f"{_told(first)}: {taken:,} rows came where {announced:,} were announced")
        following = None if answer.not_modified else feed.next_page(request, answer.data)
        _refuse_again(first, answer, seen, len(pages))
        if following is not None:
            _refuse_endless(first, found, len(pages))
        if size > MAX_BYTES:
            raise FetchFailed(f"{_told(first)}: the pages exceed {MAX_BYTES:,} bytes together; ask for a shorter span")
        request = following
    if announced is not None and taken != announced:
        raise ShortAnswer(f"{_told(first)}: {taken:,} of {announced:,} rows came")
    return Walked(*pages[0]) if len(pages) == 1 else _joined(first, pages)


def _page(get: Callable[[Request], Answer], request: Request, before: int) -> Answer:
    try:
        return get(request)
    except NotPublished as error:
        if not before:
            raise
        raise ShortAnswer(f"page {before + 1} was announced and is not there: {error}") from error


def _refuse_again(first: Request, answer: Answer, seen: set[bytes], count: int) -> None:
    """Raise ShortAnswer for a page that came before: the server gives the same one whatever it is asked for."""
    digest = hashlib.sha256(answer.data).digest()
    if digest in seen:
        raise ShortAnswer(f"{_told(first)}: page {count} is an earlier page again")
    seen.add(digest)


def _refuse_endless(first: Request, found: Counted | None, count: int) -> None:
    """Raise ShortAnswer where what follows would never end."""
    if found is not None and not found.given:
        raise ShortAnswer(f"{_told(first)}: page {count} has no rows, and more are announced")
    if count >= MAX_PAGES:
        raise ShortAnswer(f"{_told(first)}: {MAX_PAGES:,} pages came and more are announced")


def _joined(first: Request, pages: list[tuple[str, Answer]]) -> Walked:
    """One archive of the pages as they came; equal pages make equal bytes."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        stem, dot, ending = pages[0][0].rpartition(".")
        for number, (_, answer) in enumerate(pages, 1):
            # Their names sort as the pages do: members are read in the order of names.
            archive.writestr(zipfile.ZipInfo(f"{stem}-p{number:04d}{dot}{ending}", _EPOCH), answer.data)
    name = f"{stem or ending}.zip"
    # Arrived when its last page had: only then it was an answer.
    return Walked(name, replace(pages[0][1], data=sink.getvalue(), received_at=pages[-1][1].received_at), len(pages))


def _told(request: Request) -> str:
    return f"{request.path} ({request.subject})"
