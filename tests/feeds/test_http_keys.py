"""Credentials: where they travel, where they never do, and that nothing says them."""

from __future__ import annotations

import logging
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import ASK, KEYED, SPP, Server, says, serving

from carbon254.clock import ManualClock
from carbon254.errors import FetchFailed, TransientError
from carbon254.feeds.budget import open_budget
from carbon254.feeds.http import Fetcher
from carbon254.model import Access, Provider

BASIC = b64encode(b"Aladdin:open sesame").decode()


def provider_of(kind: str) -> Provider:
    names = ("KEYED_USER", "KEYED_PASSWORD") if kind == "basic" else ("KEYED_API_KEY",)
    return replace(KEYED, access=Access(kind, names, "X-Key" if kind == "header" else "api_key"))


def carried(call: tuple[str, dict[str, str]]) -> list[str]:
    """The kinds of credential that a call brought along."""
    path, headers = call
    said = {name.lower(): value for name, value in headers.items()}
    sent = {
        "query": "s3cret" in path,
        "header": said.get("x-key") == "s3cret/key",
        "basic": said.get("authorization") == f"Basic {BASIC}",
    }
    assert (said.get("authorization") is None) is not sent["basic"]
    return [kind for kind, found in sent.items() if found]


KINDS = pytest.mark.parametrize("kind", ["query", "header", "basic"])


@KINDS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_credential_stays_within_its_origin(keyed: Fetcher, server: Server, kind: str, status: int) -> None:
    with serving() as other:
        server.scripts = [says(status, Location="/nearer?a=1"), says(status, Location=f"{other.url}/elsewhere")]
        other.scripts = [says(status, Location="/deeper"), says(200, b"there")]
        assert keyed.get(provider_of(kind), ASK).data == b"there"
        assert [carried(call) for call in server.calls] == [[kind], [kind]]
        assert [carried(call) for call in other.calls] == [[], []]


@KINDS
def test_a_credential_once_dropped_stays_dropped(keyed: Fetcher, server: Server, kind: str) -> None:
    with serving() as other:
        server.scripts = [says(302, Location=f"{other.url}/elsewhere"), says(200, b"back")]
        other.scripts = [says(302, Location=f"{server.url}/back")]
        assert keyed.get(provider_of(kind), ASK).data == b"back"
    assert [carried(call) for call in server.calls] == [[kind], []]


@KINDS
def test_the_same_machine_under_another_name_is_another_origin(keyed: Fetcher, server: Server, kind: str) -> None:
    server.scripts = [says(302, Location=f"http://localhost:{server.server_port}/file"), says(200, b"there")]
    assert keyed.get(provider_of(kind), ASK).data == b"there"
    assert [carried(call) for call in server.calls] == [[kind], []]


@KINDS
def test_the_origin_is_the_same_however_it_is_written(keyed: Fetcher, server: Server, kind: str) -> None:
    server.scripts = [says(302, Location=f"HTTP://127.0.0.1:{server.server_port}/file"), says(200, b"there")]
    assert keyed.get(provider_of(kind), ASK).data == b"there"
    assert [carried(call) for call in server.calls] == [[kind], [kind]]


@pytest.mark.parametrize(
    "said", ["api_key=s3cret%2fkey", "api_key=s3cret/key", "next=%2Ffile%3Fapi_key%3Ds3cret%252Fkey"]
)
def test_a_key_that_the_host_copies_into_its_redirect_is_taken_out(keyed: Fetcher, server: Server, said: str) -> None:
    with serving() as other:
        server.scripts = [says(302, Location=f"{other.url}/elsewhere?{said}&span=2025-07-01")]
        assert keyed.get(KEYED, ASK).data == b"ok"
        assert [call[0] for call in other.calls] == ["/elsewhere?span=2025-07-01"]


def test_a_redirect_loop_is_left_after_five(keyed: Fetcher, server: Server) -> None:
    with serving() as other:
        server.scripts = [says(302, Location=f"{other.url}/there")]
        other.scripts = [says(302, Location=f"{server.url}/back")]
        with pytest.raises(FetchFailed, match="redirects without end") as failed:
            keyed.get(KEYED, ASK)
        assert len(server.calls) + len(other.calls) == 6
    assert "s3cret" not in str(failed.value)


@KINDS
def test_the_clients_log_does_not_say_it(
    keyed: Fetcher, server: Server, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        server.scripts = [says(302, Location="/nearer"), says(500), says(200, b"ok")]
        keyed.get(provider_of(kind), ASK)
    assert "/nearer" in caplog.text
    assert not [word for word in ("s3cret", "open sesame", BASIC) if word in caplog.text]


@pytest.mark.parametrize("value", ["s3cr\u00e9t", "s3cret\nHost: other"])
def test_a_key_that_no_header_may_carry_names_the_variable_and_not_the_key(
    server: Server, clock: ManualClock, tmp_path: Path, value: str
) -> None:
    made = Fetcher({"keyed": server.url}, {"KEYED_API_KEY": value}, clock, open_budget(tmp_path / "b.db"))
    with pytest.raises(FetchFailed, match="KEYED_API_KEY") as failed:
        made.get(provider_of("header"), ASK)
    assert "s3cr" not in str(failed.value) and server.calls == []
    made.close()


def test_the_end_of_a_line_is_no_part_of_a_key(server: Server, clock: ManualClock, tmp_path: Path) -> None:
    made = Fetcher({"keyed": server.url}, {"KEYED_API_KEY": "s3cret/key\n"}, clock, open_budget(tmp_path / "b.db"))
    assert made.get(provider_of("header"), ASK).data == b"ok"
    assert carried(server.calls[0]) == ["header"]
    made.close()


def test_a_refused_key_names_the_variable_and_where_to_get_one(fetcher: Fetcher, server: Server) -> None:
    server.scripts = [says(401, b"no")]
    with pytest.raises(FetchFailed, match=r"KEYED_API_KEY.*keyed\.invalid/register"):
        fetcher.get(KEYED, ASK)
    assert len(server.calls) == 1


def test_a_missing_key_is_said_before_anybody_is_called(server: Server, clock: ManualClock, tmp_path: Path) -> None:
    real = replace(KEYED, base_url=server.url)
    made = Fetcher({}, {}, clock, open_budget(tmp_path / "b.db"))
    with pytest.raises(FetchFailed, match=r"KEYED_API_KEY.*keyed\.invalid/register"):
        made.get(real, ASK)
    assert server.calls == []
    made.close()


def test_a_key_travels_and_is_never_kept(server: Server, clock: ManualClock, tmp_path: Path) -> None:
    secrets = {"KEYED_API_KEY": "s3cret"}
    made = Fetcher({"keyed": server.url}, secrets, clock, open_budget(tmp_path / "b.db"))
    server.scripts = [says(200, b"ok", ETag='"kept-validator"')]
    answer = made.get(KEYED, ASK)
    made.remember(answer)
    assert "api_key=s3cret" in server.calls[0][0]
    assert "s3cret" not in answer.url
    # What was just written is in the write-ahead log beside the file.
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("b.db*"))
    assert b"kept-validator" in kept and b"s3cret" not in kept
    made.close()


def test_a_stand_in_is_called_without_the_key_that_is_missing(fetcher: Fetcher, server: Server) -> None:
    assert fetcher.get(KEYED, ASK).data == b"ok"
    assert "api_key" not in server.calls[0][0]


@pytest.mark.parametrize("kind", ["query", "header", "basic"])
def test_every_kind_of_key_travels_as_the_card_says_and_is_in_no_address(
    server: Server, clock: ManualClock, tmp_path: Path, kind: str
) -> None:
    names = ("KEYED_USER", "KEYED_KEY") if kind == "basic" else ("KEYED_KEY",)
    provider = replace(KEYED, access=Access(kind, names, "x-key", "https://keyed.invalid/register"))
    secrets = {"KEYED_USER": "Aladdin", "KEYED_KEY": "opensesame"}
    made = Fetcher({"keyed": server.url}, secrets, clock, open_budget(tmp_path / "b.db"), attempts=1)
    answer = made.get(provider, ASK)
    path, headers = server.calls[0]
    sent = {
        "query": "x-key=opensesame" in path,
        "header": headers.get("x-key") == "opensesame",
        "basic": headers.get("Authorization") == "Basic QWxhZGRpbjpvcGVuc2VzYW1l",
    }
    assert [one for one, found in sent.items() if found] == [kind]
    assert "opensesame" not in repr(answer)
    server.scripts = [says(500)]
    with pytest.raises(TransientError, match="500") as failed:
        made.get(provider, ASK)
    assert "opensesame" not in str(failed.value)
    made.close()


@pytest.mark.parametrize("echo", [b"key s3cret/key is bad", b"/file?api_key=s3cret%2Fkey is bad"])
def test_a_key_that_the_provider_repeats_is_not_passed_on(keyed: Fetcher, server: Server, echo: bytes) -> None:
    server.scripts = [says(400, echo)]
    with pytest.raises(FetchFailed, match=r"\*\*\* is bad") as failed:
        keyed.get(KEYED, ASK)
    assert "s3cret" not in str(failed.value)


def test_a_redirect_leads_to_http_only(fetcher: Fetcher, server: Server) -> None:
    server.scripts = [says(302, Location="ftp://files.invalid/a")]
    with pytest.raises(FetchFailed, match=r"ftp://files\.invalid"):
        fetcher.get(SPP, ASK)
    assert len(server.calls) == 1


def test_five_redirects_are_followed(fetcher: Fetcher, server: Server) -> None:
    server.scripts = [*(says(302, Location=f"/{n}") for n in range(5)), says(200, b"there")]
    assert fetcher.get(SPP, ASK).data == b"there"
