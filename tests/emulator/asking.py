"""A small client that asks the emulator what a feed's own `fetch.py` asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from urllib.parse import urlsplit

import httpx2
import polars as pl

from carbon254.calendars import market_day_span
from carbon254.emulator import Emulator
from carbon254.feeds.catalogue import Feed, feed
from carbon254.feeds.contract import Payload, Request, Rows
from carbon254.wire.archive import unpack


class Desk:
    """Asks the emulator as the feeds would."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.client = httpx2.Client(timeout=20)

    def get(self, topic: str, request: Request) -> httpx2.Response:
        provider = feed(topic).stream.provider
        headers = dict(provider.headers)
        return self.client.get(
            self.emulator.base_url(provider.id) + urlsplit(request.path).path,
            params=dict(request.params),
            headers=headers,
        )

    def first(self, topic: str, day: date) -> httpx2.Response:
        """The answer to the first request of a market day."""
        return self.get(topic, self.requests(topic, day)[0])

    def requests(self, topic: str, day: date) -> list[Request]:
        found = feed(topic)
        return list(found.requests(*market_day_span(day, found.stream.clock)))

    def pages(self, topic: str, request: Request) -> Iterator[tuple[Request, httpx2.Response]]:
        following: Request | None = request
        while following:
            answer = self.get(topic, following)
            answer.raise_for_status()
            yield following, answer
            following = feed(topic).next_page(following, answer.content)

    def rows(self, topic: str, day: date) -> tuple[pl.DataFrame, int]:
        """(parsed rows, number of rejects) of a market day."""
        frames, rejected = [], 0
        for request in self.requests(topic, day):
            for page, answer in self.pages(topic, request):
                for rows in parsed(feed(topic), page.name, answer.content):
                    frames.append(rows.frame)
                    rejected += rows.rejects.height
        return pl.concat(frames), rejected


def parsed(found: Feed, name: str, data: bytes) -> Iterator[Rows]:
    for inner, content in unpack(name, data):
        yield from found.parse(Payload(content, inner, found.stream))
