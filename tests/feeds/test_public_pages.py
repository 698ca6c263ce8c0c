"""A public site that answers a program with a page, or not at all: told with what to do, and nothing is taken in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from loopback import NOW, Script, Server, says
from payloads import sample

from carbon254.clock import ManualClock
from carbon254.errors import WrongQuestion
from carbon254.feeds.budget import open_budget
from carbon254.feeds.http import Fetcher
from carbon254.ingest import Inbox
from carbon254.pipeline import Fetched, fetch
from carbon254.stores.log import open_log, records_of
from carbon254.stores.raw import open_raw
from carbon254.telemetry import Metrics

DA = "iso.da.lmp.isone"
KEYS = {"ISONE_API_USERNAME": "somebody", "ISONE_API_PASSWORD": "secret"}
PAGE = b"<!DOCTYPE html><html><head><title>x</title></head><body><p>Please enable cookies</p></body></html>"


@pytest.fixture
def site(server: Server, tmp_path: Path) -> Iterator[tuple[Server, Fetcher, Inbox]]:
    fetcher = Fetcher({"isone": server.url}, KEYS, ManualClock(NOW), open_budget(tmp_path / "b.db"), 5, attempts=1)
    log = open_log(tmp_path / "log.db")
    yield server, fetcher, Inbox(open_raw(tmp_path / "raw"), log, Metrics())
    fetcher.close()
    log.close()


def asked(site: tuple[Server, Fetcher, Inbox], script: Script) -> Fetched:
    server, fetcher, inbox = site
    server.scripts = [script]
    [found] = fetch(fetcher, inbox, DA, NOW, NOW + timedelta(hours=1), public=True)
    return found


@pytest.mark.parametrize("status", [200, 403])
def test_a_page_instead_of_a_public_file_is_told_with_what_to_do(
    site: tuple[Server, Fetcher, Inbox], status: int
) -> None:
    found = asked(site, says(status, PAGE, Content_Type="text/html"))
    assert found.state == "failed" and found.taken is None
    assert "Please enable cookies" in found.error and "--file" in found.error and "browser" in found.error
    assert not list(records_of(site[2]._log, f"raw.{DA}"))


def test_a_public_file_is_taken_in_and_no_key_was_sent(site: tuple[Server, Fetcher, Inbox]) -> None:
    found = asked(site, says(200, sample("isone", "WW_DALMP_ISO_20261101.csv")))
    assert found.state == "new" and found.request.name.startswith("WW_DALMP_ISO_")
    [(path, headers)] = site[0].calls
    assert path.startswith("/static-transform/csv/histRpts/da-lmp/WW_DALMP_ISO_")
    assert not {"authorization", "cookie"} & {name.lower() for name in headers}


def test_a_file_that_is_not_out_yet_is_unpublished(site: tuple[Server, Fetcher, Inbox]) -> None:
    assert asked(site, says(404, b"")).state == "unpublished"
    assert asked(site, says(200, b"No data exists for this period.")).state == "unpublished"


def test_a_feed_without_public_files_names_those_that_have_them(site: tuple[Server, Fetcher, Inbox]) -> None:
    with pytest.raises(WrongQuestion, match=r"no public files .* iso\.da\.lmp\.isone, iso\.rt\.lmp\.isone"):
        list(fetch(site[1], site[2], "iso.da.lmp.pjm", NOW, NOW + timedelta(hours=1), public=True))
