"""The live stream and the page, over a real server on a free port."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from desk import HOUR, MINUTES_5, NOON, moving, prices, store, ticks
from serving import WAIT_S, served

from carbon254.api.rooms import Rooms


@pytest.fixture
def url(rooms: Rooms) -> Iterator[str]:
    with served(rooms) as found:
        yield found


def events(answer: httpx.Response) -> Iterator[tuple[str, object]]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_reader_gets_a_snapshot_and_then_what_changes(rooms: Rooms, url: str) -> None:
    rooms.cache.put(prices(NOON))
    with httpx.stream("GET", f"{url}/v1/stream/prices", timeout=WAIT_S) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        heard = events(answer)
        assert next(heard) == ("reset", {})
        name, rows = next(heard)
        assert name == "prices" and [row["lmp"] for row in rows] == [25.5]
        assert next(heard) == ("ticks", [])
        rooms.cache.put(prices(NOON + MINUTES_5, lmp=-3.0, flags=16))
        name, [row] = next(heard)
        assert (name, row["lmp"], row["flag_names"], row["interval_end"]) == (
            "prices",
            -3.0,
            ["retracted"],
            "2025-11-03T18:05:00Z",
        )
        rooms.cache.put_ticks(ticks(NOON))
        name, [row] = next(heard)
        assert (name, row["instrument"], row["price"]) == ("ticks", "BRN-1M", 71.35)


def test_a_reader_of_one_market_hears_of_that_market(rooms: Rooms, url: str) -> None:
    with httpx.stream("GET", f"{url}/v1/stream/prices", params={"market": "NYISO"}, timeout=WAIT_S) as answer:
        heard = events(answer)
        assert [next(heard) for _ in range(3)] == [("reset", {}), ("prices", []), ("ticks", [])]
        rooms.cache.put(prices(NOON))
        rooms.cache.put(prices(NOON, "NYISO", "RTD", names=("N.Y.C.",)))
        _, rows = next(heard)
        assert [row["market"] for row in rows] == ["NYISO"]


def test_a_slow_reader_gets_a_new_snapshot_and_never_holds_the_writer(
    rooms: Rooms, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with httpx.stream("GET", f"{url}/v1/stream/prices", timeout=WAIT_S) as answer:
        heard = events(answer)
        for _ in range(3):
            next(heard)
        [watch] = rooms.cache._watches
        watch.missed += 1
        rooms.cache.put(prices(NOON))
        assert next(heard) == ("reset", {"missed": True})
        # The snapshot may have been taken just before the price; then the price follows it.
        told = next(rows for kind, rows in heard if kind == "prices" and rows)
        assert [row["lmp"] for row in told] == [25.5]


def test_many_rows_come_in_several_events(rooms: Rooms, url: str) -> None:
    rooms.cache.put(prices(NOON, names=tuple(f"NODE_{n}" for n in range(4_500)), kind="node"))
    with httpx.stream("GET", f"{url}/v1/stream/prices", timeout=WAIT_S) as answer:
        heard = events(answer)
        assert next(heard)[0] == "reset"
        assert [len(next(heard)[1]) for _ in range(3)] == [2_000, 2_000, 500]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is not on PATH")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(url: str, browser: Any) -> Iterator[Any]:
    """A page of a browser; a script error or a refused load fails the test."""
    opened, trouble = browser.new_page(viewport={"width": 1400, "height": 900}), []
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    yield opened
    opened.close()
    assert trouble == []


def test_the_page_shows_prices_and_bars(rooms: Rooms, url: str, page: Any) -> None:
    store(rooms, "interval_prices", prices(NOON, names=("NORTH_HUB", "SOUTH_HUB"), lmp=-12.345, flags=1), "one")
    store(rooms, "interval_prices", moving(NOON - HOUR * 20, 19), "moving")
    page.goto(url)
    page.wait_for_selector("#prices-rows tr")
    assert page.locator("#prices-rows .place").all_inner_texts() == ["NORTH_HUB", "SOUTH_HUB"]
    assert page.locator("#prices-rows .lmp").first.inner_text().strip() == "−12.35"
    assert page.locator("#prices-rows .badge").all_inner_texts() == ["assumed", "assumed"]
    rooms.cache.put(prices(NOON + MINUTES_5, names=("SOUTH_HUB",), lmp=44.0))
    page.wait_for_selector("#prices-rows tr:nth-child(2) .lmp:has-text('44.00')")
    page.click("[data-clock=market]")
    page.wait_for_selector("#prices-rows tr:first-child .when b:has-text('11:55')")
    page.click("#prices-rows tr:first-child .place")
    page.wait_for_selector("#chart-plot .boxes path, #chart-plot .trace.boxes")
    plot, panel = page.locator("#chart-plot .main-svg").first.bounding_box(), page.locator("#chart").bounding_box()
    assert plot["width"] <= panel["width"]
    page.fill("#search", "south")
    page.wait_for_selector("#prices-rows tr:nth-child(2)", state="detached")
    assert page.locator("#prices-rows .place").all_inner_texts() == ["SOUTH_HUB"]


def test_the_page_says_what_to_do_next_and_when_it_is_cut_off(rooms: Rooms, url: str, page: Any) -> None:
    page.goto(url)
    page.wait_for_selector("#prices-empty:has-text('c254 demo')")
    page.wait_for_selector("#state-live:has-text('live')")
    rooms.closing.set()
    page.wait_for_selector("#banner:has-text('Connection lost')")


def test_the_api_page_lists_every_route(url: str, page: Any) -> None:
    page.goto(f"{url}/docs")
    page.wait_for_selector("#operations-sql-run_v1_sql_post, .opblock-post")
    assert page.locator(".opblock").count() >= 12
