"""Pages: walked by what came, and what was announced must arrive. Every provider that answers in pages, one server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import polars as pl
import pytest
from loopback import Desk, Server, says

from carbon254.clock import ManualClock
from carbon254.errors import ShortAnswer
from carbon254.feeds import Payload, Request, feed
from carbon254.feeds.budget import open_budget
from carbon254.feeds.contract import Counted
from carbon254.feeds.http import Fetcher
from carbon254.feeds.paging import WALKS, Walked, walk
from carbon254.wire.archive import unpack

NOW = datetime(2026, 7, 2, tzinfo=UTC)
START = datetime(2026, 7, 1, 4, tzinfo=UTC)
PAGED = ["iso.rt.lmp.pjm", "iso.da.lmp.ercot", "energy.spot.eia"]
# What a test makes of the rows before a call (by its number from 1): what a server may do while it is read.
Change = Callable[[int, list[dict]], tuple[list[dict], int]]


def row(topic: str, number: int) -> dict:
    """One record of a provider, told from the others by its price."""
    if topic == "iso.rt.lmp.pjm":
        stamp = (START + timedelta(hours=number % 24)).strftime("%Y-%m-%dT%H:%M:%S")
        prices = {"total_lmp_rt": 20 + number, "system_energy_price_rt": 20 + number, "congestion_price_rt": 0}
        place = {"pnode_id": 1 + number // 24, "pnode_name": f"N{number // 24}", "type": "HUB"}
        marks = {"row_is_current": True, "version_nbr": 1}
        return {"datetime_beginning_utc": stamp, **place, **prices, "marginal_loss_price_rt": 0, **marks}
    if topic == "iso.da.lmp.ercot":
        return {
            "deliveryDate": "2026-07-01", "hourEnding": f"{number % 24 + 1:02d}:00", "settlementPoint":
            f"HB_{number // 24}", "settlementPointPrice": 20.5 + number, "DSTFlag": False,
        }  # fmt: skip
    day = (START - timedelta(days=number)).date().isoformat()
    return {"period": day, "series": "RWTC", "value": str(60 + number), "units": "$/BBL"}


@dataclass
class Pages:
    """A provider of `rows` rows that gives at most `size` a page, in the envelope of each provider."""

    topic: str
    rows: int
    size: int
    change: Change | None = None
    calls: list[str] = field(default_factory=list)

    def __call__(self, desk: Desk) -> None:
        self.calls.append(desk.path)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(desk.path).query).items()}
        rows, total = [row(self.topic, number) for number in range(self.rows)], self.rows
        if self.change is not None:
            rows, total = self.change(len(self.calls), rows)
        says(200, self.envelope(asked, rows, total))(desk)

    def envelope(self, asked: dict[str, str], rows: list[dict], total: int) -> bytes:
        if self.topic == "iso.rt.lmp.pjm":
            first, count = int(asked["startRow"]) - 1, min(self.size, int(asked["rowCount"]))
            said = {"rowCount": int(asked["rowCount"]), "startRow": first + 1}
            return orjson.dumps({"items": rows[first : first + count], "searchSpecification": said, "totalRows": total})
        if self.topic == "iso.da.lmp.ercot":
            page, size = int(asked["page"]), min(self.size, int(asked["size"]))
            names = list(row(self.topic, 0))
            data = [[one[name] for name in names] for one in rows[(page - 1) * size : page * size]]
            meta = {
                "totalRecords": total, "pageSize": size, "totalPages": -(-total // size), "currentPage": page,
            }  # fmt: skip
            return orjson.dumps({"_meta": meta, "fields": [{"name": name} for name in names], "data": data})
        first, count = int(asked["offset"]), min(self.size, int(asked["length"]))
        response = {"total": str(total), "frequency": "daily", "data": rows[first : first + count]}
        return orjson.dumps({"response": response, "request": {"params": {**asked}}, "apiVersion": "2.1.8"})


@pytest.fixture
def ask(server: Server, tmp_path: Path) -> Iterator[Callable[[Pages], Walked]]:
    """Walk a provider's answer to the first request of a day, by a fetcher whose clock is turned by hand."""
    base = dict.fromkeys(("pjm", "ercot", "eia", "isone"), server.url)
    fetcher = Fetcher(base, {}, ManualClock(NOW), open_budget(tmp_path / "budget.db"), 5, wait_initial_s=0.001)

    def walked(pages: Pages) -> Walked:
        server.scripts = [pages]
        found = feed(pages.topic)
        first = next(found.requests(START, START + timedelta(hours=24)))
        return walk(lambda one: fetcher.get(found.stream.provider, one), found, first, fetcher.pause)

    yield walked
    fetcher.close()


def prices(topic: str, walked: Walked) -> list[float]:
    """Prices of every page, in order."""
    found = feed(topic)
    frames = [
        rows.frame
        for name, data in unpack(walked.name, walked.answer.data)
        for rows in found.parse(Payload(data, name, found.stream))
    ]
    return pl.concat(frames)["price" if topic == "energy.spot.eia" else "lmp"].to_list()


def numbers(topic: str, count: int) -> list[float]:
    first = {"iso.rt.lmp.pjm": 20.0, "iso.da.lmp.ercot": 20.5, "energy.spot.eia": 60.0}[topic]
    return [first + number for number in range(count)]


@pytest.mark.parametrize("topic", PAGED)
@pytest.mark.parametrize(("rows", "size", "pages"), [(48, 25, 2), (48, 48, 1), (50, 25, 2), (51, 25, 3), (1, 1, 1)])
def test_a_server_may_give_smaller_pages_than_were_asked_for(
    ask: Callable[[Pages], Walked], topic: str, rows: int, size: int, pages: int
) -> None:
    server = Pages(topic, rows, size)
    walked = ask(server)
    assert (walked.pages, len(server.calls)) == (pages, pages)
    assert prices(topic, walked) == numbers(topic, rows)


@pytest.mark.parametrize("topic", PAGED)
def test_the_size_of_pages_changes_nothing_of_what_was_said(ask: Callable[[Pages], Walked], topic: str) -> None:
    assert len({tuple(prices(topic, ask(Pages(topic, 48, size)))) for size in (1, 7, 25, 48, 1_000)}) == 1


@pytest.mark.parametrize("topic", PAGED)
def test_rows_that_were_announced_and_do_not_come_are_a_failure(ask: Callable[[Pages], Walked], topic: str) -> None:
    server = Pages(topic, 48, 25, lambda _, rows: (rows[:25], 48))
    with pytest.raises(ShortAnswer, match=r"no rows, and more are announced|25 of 48 rows came"):
        ask(server)
    assert len(server.calls) == 2 * WALKS


@pytest.mark.parametrize("topic", PAGED)
def test_an_answer_that_is_short_once_is_asked_for_again(ask: Callable[[Pages], Walked], topic: str) -> None:
    server = Pages(topic, 48, 25, lambda call, rows: (rows[:25] if call < 3 else rows, 48))
    assert prices(topic, ask(server)) == numbers(topic, 48)


@pytest.mark.parametrize("topic", PAGED)
def test_rows_inserted_while_pages_are_read_are_neither_lost_nor_doubled(
    ask: Callable[[Pages], Walked], topic: str
) -> None:
    def inserted(call: int, rows: list[dict]) -> tuple[list[dict], int]:
        return (rows[1:], 47) if call == 1 else (rows, 48)

    assert prices(topic, ask(Pages(topic, 48, 25, inserted))) == numbers(topic, 48)


@pytest.mark.parametrize("topic", PAGED)
def test_a_total_that_changes_on_every_page_is_a_failure(ask: Callable[[Pages], Walked], topic: str) -> None:
    with pytest.raises(ShortAnswer, match="changed while they were read"):
        ask(Pages(topic, 60, 25, lambda call, rows: (rows, 50 + call)))


@pytest.mark.parametrize("topic", ["iso.rt.lmp.pjm", "energy.spot.eia"])
def test_a_server_that_always_gives_the_same_page_is_a_failure(ask: Callable[[Pages], Walked], topic: str) -> None:
    server = Pages(topic, 50, 25, lambda _, rows: (rows[:25] * 2, 50))
    server.envelope = lambda asked, rows, total: Pages.envelope(  # type: ignore[method-assign]
        server, {**asked, "startRow": "1", "offset": "0"}, rows, total
    )
    with pytest.raises(ShortAnswer, match="an earlier page again"):
        ask(server)


@pytest.mark.slow
@pytest.mark.parametrize("topic", PAGED)
def test_pages_without_end_are_a_failure(ask: Callable[[Pages], Walked], topic: str) -> None:
    endless = Pages(topic, 10, 5, lambda call, rows: ([row(topic, call)] * 10_000, 10_000))
    with pytest.raises(ShortAnswer, match=r"and more are announced|an earlier page again"):
        ask(endless)


def test_a_report_that_was_cut_is_asked_for_again_and_never_taken(ask: Callable[[Pages], Walked]) -> None:
    whole = Path(feed("iso.da.lmp.isone").package.replace(".", "/")) / "samples" / "WW_DALMP_ISO_20261101.csv"
    data = (Path(__file__).parents[2] / whole).read_bytes()
    cut, calls = data[: len(data) // 2], list[int]()

    class Report(Pages):
        def __call__(self, desk: Desk) -> None:
            calls.append(1)
            says(200, cut if len(calls) <= self.rows else data)(desk)

    assert ask(Report("iso.da.lmp.isone", 1, 0)).answer.data == data
    calls.clear()
    with pytest.raises(ShortAnswer, match="cut"):
        ask(Report("iso.da.lmp.isone", 99, 0))
    assert len(calls) == WALKS


def test_a_page_that_is_announced_and_not_there_is_a_failure() -> None:
    found = feed("iso.rt.lmp.pjm")
    first = next(found.requests(START, START + timedelta(hours=24)))

    def get(request: Request):
        from carbon254.errors import NotPublished
        from carbon254.feeds.http import Answer

        if request.page > 1:
            raise NotPublished("404")
        data = Pages(found.topic, 48, 25).envelope({"startRow": "1", "rowCount": "50"}, [row(found.topic, 0)], 48)
        return Answer(data, 200, {}, "", NOW)

    with pytest.raises(ShortAnswer, match="page 2 was announced and is not there"):
        walk(get, found, first, lambda _: None)


@pytest.mark.parametrize("topic", PAGED)
def test_a_page_says_which_of_how_many_it_is(topic: str) -> None:
    found, server = feed(topic), Pages(topic, 60, 25)
    asked = {"startRow": "26", "rowCount": "25", "page": "2", "size": "25", "offset": "25", "length": "25"}
    data = server.envelope(asked, [row(topic, number) for number in range(60)], 60)
    (rows,) = found.parse(Payload(data, "page.json", found.stream))
    assert rows.counted == Counted(25, 60, 2, 3)
    assert str(rows.counted) == "page 2 of 3: 25 of 60 rows"
    assert found.counted(data) == rows.counted
