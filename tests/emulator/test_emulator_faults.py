"""Every kind of fault, as a client sees it."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from asking import Desk, parsed

from carbon254.emulator import Emulator, running
from carbon254.emulator.faults import KINDS, Fault
from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import feed

DAY = datetime.now(UTC).date() - timedelta(days=30)
SPP, CAISO = "iso.da.lmp.spp", "iso.da.lmp.caiso"
DAY_AHEAD = [f"iso.da.lmp.{market}" for market in ("caiso", "miso", "spp", "nyiso", "pjm", "ercot", "isone")]


@pytest.fixture(autouse=True)
def calm(emulator: Emulator) -> Iterator[None]:
    yield
    emulator.clear_faults()


@pytest.mark.parametrize("kind", ["404", "500", "503"])
def test_error_answers(emulator: Emulator, desk: Desk, kind: str) -> None:
    emulator.fault(kind, "spp", count=1)
    assert desk.first(SPP, DAY).status_code == int(kind)
    assert desk.first(SPP, DAY).status_code == 200


def test_throttling_says_how_long_and_caiso_in_html(emulator: Emulator, desk: Desk) -> None:
    emulator.fault("429", count=2, retry_after_s=3)
    for topic, media in ((SPP, "application/json"), (CAISO, "text/html")):
        answer = desk.first(topic, DAY)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
        assert answer.headers["content-type"].startswith(media)
    assert b"Please retry your request after 5 seconds" in answer.content


@pytest.mark.parametrize("kind", ["reset", "truncated", "timeout"])
def test_connections_are_cut(emulator: Emulator, desk: Desk, kind: str) -> None:
    emulator.fault(kind, "spp", count=1, seconds=0.05)
    with pytest.raises(httpx2.TransportError):
        desk.first(SPP, DAY)
    assert desk.first(SPP, DAY).status_code == 200


def test_slow_answers_come_in_the_end(emulator: Emulator, desk: Desk) -> None:
    good = desk.first(SPP, DAY).content
    emulator.fault("slow", "spp", count=1, seconds=0.3)
    begun = time.monotonic()
    assert desk.first(SPP, DAY).content == good
    assert time.monotonic() - begun >= 0.3


def test_truncated_zip(emulator: Emulator, desk: Desk) -> None:
    emulator.fault("truncated_zip", "caiso", count=1)
    broken = desk.first(CAISO, DAY).content
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(broken))
    with pytest.raises(PayloadRefused):
        list(parsed(feed(CAISO), "x.zip", broken))


@pytest.mark.parametrize("topic", DAY_AHEAD)
@pytest.mark.parametrize("kind", ["html_200", "empty_200", "wrong_columns"])
def test_bodies_that_no_parser_takes(emulator: Emulator, desk: Desk, topic: str, kind: str) -> None:
    emulator.fault(kind, feed(topic).stream.provider.id, count=1)
    answer = desk.first(topic, DAY)
    assert answer.status_code == 200
    with pytest.raises(PayloadRefused):
        list(parsed(feed(topic), desk.requests(topic, DAY)[0].name, answer.content))


@pytest.mark.parametrize("topic", DAY_AHEAD)
def test_bad_rows_become_so_many_rejects(emulator: Emulator, desk: Desk, topic: str) -> None:
    good = desk.first(topic, DAY).content
    emulator.fault("bad_rows", feed(topic).stream.provider.id, rows=4)
    bad = desk.first(topic, DAY).content
    assert bad == desk.first(topic, DAY).content != good
    rows = list(parsed(feed(topic), desk.requests(topic, DAY)[0].name, bad))
    assert sum(each.rejects.height for each in rows) == 4
    assert sum(each.frame.height for each in rows) > 0


def test_every_third_request_of_one_address(emulator: Emulator, desk: Desk) -> None:
    emulator.fault("500", "spp", every=3, match="da-lmp-by-location")
    assert [desk.first(SPP, DAY).status_code for _ in range(6)] == [200, 200, 500, 200, 200, 500]
    assert desk.first("iso.da.lmp.pjm", DAY).status_code == 200


def test_faults_over_http(emulator: Emulator, desk: Desk) -> None:
    control = f"{emulator.url}/_emulator"
    added = desk.client.post(f"{control}/faults", json={"provider": "spp", "kind": "503", "count": 1})
    assert added.json()["faults"][0]["kind"] == "503"
    assert desk.first(SPP, DAY).status_code == 503
    state = desk.client.get(control).json()
    assert state["faults"][0]["struck"] == 1
    assert state["requests"][-1]["provider"] == "spp" and state["requests"][-1]["status"] == 503
    assert state["counts"]["spp"] >= 1
    assert desk.client.delete(f"{control}/faults").json()["faults"] == []
    refused = desk.client.post(f"{control}/faults", json={"kind": "plague"})
    assert refused.status_code == 400 and "plague" in refused.json()["error"]


def test_every_kind_is_tested_here() -> None:
    """A kind added without a test makes this fail."""
    assert len(KINDS) == 13
    with pytest.raises(ValueError, match="seconds"):
        Fault("slow", seconds=3_600)


def test_strict_rates_hold_caiso_to_a_call_in_five_seconds() -> None:
    with running(seed=1, strict_rates=True) as strict:
        desk = Desk(strict)
        assert desk.first(CAISO, DAY).status_code == 200
        again = desk.first(CAISO, DAY)
        assert again.status_code == 429 and again.headers["retry-after"] == "5"
        assert desk.first(SPP, DAY).status_code == desk.first(SPP, DAY).status_code == 200
