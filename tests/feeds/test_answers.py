# ruff: noqa: E501
"""What is no data says what it is and what to do; what is data is recognised and read alike, however it is wrapped."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import zipfile

import pytest
from payloads import sample, samples

from carbon254.cli.printing import choose
from carbon254.errors import NothingYet, PayloadRefused
from carbon254.feeds import candidates, explained, feed, feeds

PROVIDERS = sorted({found.package.rsplit(".", 1)[-1] for found in feeds().values()})
OASIS = (
    '<?xml version="1.0" encoding="UTF-8"?><m:OASISReport xmlns:m="http://www.caiso.com/soa/OASISReport_v1.xsd">'
    "<m:MessagePayload><m:RTO><m:name>CAISO</m:name><m:ERROR><m:ERR_CODE>{}</m:ERR_CODE><m:ERR_DESC>{}</m:ERR_DESC>"
    "</m:ERROR></m:RTO></m:MessagePayload></m:OASISReport>"
)
AZURE = '<?xml version="1.0" encoding="utf-8"?><Error><Code>{}</Code><Message>The specified blob does not exist.</Message></Error>'
KEYLESS = {"statusCode": 401, "message": "Access denied due to missing subscription key."}
PROBLEM = {
    "type": "https://api.weather.gov/problems/NotFound",
    "title": "Not Found",
    "status": 404,
    "detail": "No such point",
}


def zipped(name: str, data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, data)
    return sink.getvalue()


ERRORS = [
    ("INVALID_REQUEST.xml", OASIS.format(1001, "Invalid Parameters of the given report name").encode(), "OASIS refused.*1001.*check"),
    ("x.xml", OASIS.format(1004, "The date range exceeds 31 days").encode("utf-16"), "OASIS refused.*1004"),
    ("ercot.json", json.dumps(KEYLESS).encode(), "missing subscription key .401.*refused the key: set"),
    ("pjm.json", b'[{"field": "startRow", "message": "Invalid value"}]', "startRow|Invalid value"),
    ("pjm.json", b'{"errors": [{"field": "rowCount", "message": "must be at most 50000"}]}', "must be at most 50000"),
    ("429.html", b"<html><body><p>CAISO Acceptable Use Policy Violation. Please retry your request after 5 seconds.</p></body></html>", "HTTP 429, too many calls.*retry"),
    ("eia.json", b'{"error":"Not found.","code":404}', "Not found .404.*check what was asked"),
    ("eia.json", b'{"error":{"code":"API_KEY_MISSING","message":"An API key is required"}}', "API_KEY_MISSING.*refused the key"),
    ("isone.html", b"<!DOCTYPE html><html><head><title>401 Unauthorized</title></head><body>no</body></html>", "web page.*401.*the key"),
    ("nws.json", json.dumps(PROBLEM).encode(), "Not Found.*No such point .404"),
    ("page.html", b"\xef\xbb\xbf\n  <HTML><script>var a = 1;</script><h1>502 Bad Gateway</h1>", "web page.*502.*ask again later"),
    ("s3.xml", AZURE.format("AccessDenied").encode(), "AccessDenied.*refused the key"),
    ("book.xls", b"\xd0\xcf\x11\xe0" + bytes(100), "Excel workbook: save it as CSV"),
    ("noise.bin", bytes(range(256)), "no feed knows this file; name one with --feed"),
]  # fmt: skip
EMPTY = [
    ("x.xml", OASIS.format(1000, "No data returned for the specified selection").encode(), "1000.*asked again"),
    ("x.csv", AZURE.format("BlobNotFound").encode(), "not published this report yet .BlobNotFound"),
    ("x.csv", AZURE.format("BlobNotFound").encode("utf-8-sig"), "not published this report yet"),
    ("x.json", b'{"links":[],"items":[],"searchSpecification":{},"totalRows":0}', "PJM has no rows"),
    ("x.json", b'{"_meta":{"totalRecords":0},"fields":[],"data":[]}', "ERCOT has no rows"),
    ("x.json", b'{"response":{"total":"0","frequency":"daily","data":[]},"apiVersion":"2.1.8"}', "EIA has no rows"),
    ("x.csv", b"", "the file is empty"),
    ("x.csv", b"\xef\xbb\xbf \r\n", "the file is empty"),
]


@pytest.mark.parametrize(("name", "data", "said"), ERRORS, ids=lambda value: value if isinstance(value, str) else "")
def test_an_error_body_says_what_it_is_without_a_feed_being_named(name: str, data: bytes, said: str) -> None:
    for called, copy in ((name, data), (f"{name}.gz", gzip.compress(data)), ("x.zip", zipped(name, data))):
        assert candidates(called, copy) == []
        told = explained(called, copy)
        with pytest.raises(PayloadRefused, match=said):
            raise told
        assert not isinstance(told, NothingYet)
        with pytest.raises(PayloadRefused, match=said):
            choose(called, copy, None)


@pytest.mark.parametrize(("name", "data", "said"), EMPTY)
def test_an_empty_answer_is_unpublished_without_a_feed_being_named(name: str, data: bytes, said: str) -> None:
    for called, copy in ((name, data), ("x.zip", zipped(name, data))):
        with pytest.raises(NothingYet, match=said):
            choose(called, copy, None)


@pytest.mark.parametrize("topic", sorted(set(feeds()) - {"market.ticks"}))
def test_a_page_and_an_error_are_told_at_every_feed_that_is_named(topic: str) -> None:
    for data, said in (
        (b"<html><body>503 Service Unavailable</body></html>", "web page.*503"),
        (json.dumps(KEYLESS).encode(), "missing subscription key"),
        (b"", "the file is empty"),
    ):
        with pytest.raises(PayloadRefused, match=said):
            list(feed(topic).read("answer", data))


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "ticks"])
def test_a_header_without_rows_is_unpublished(provider: str) -> None:
    for name in samples(provider):
        data = sample(provider, name)
        head = data.split(b"\n")
        if not name.endswith(".csv") or len(head) < 2:
            continue
        cut = next(at for at, line in enumerate(head) if line.count(b",") > 3) + 1
        found = candidates(name, data)
        # A report that tells how many lines it has tells it also where there are none; without that it was cut.
        told = [re.sub(rb"\d+", b"0", line) for line in head if re.match(rb'"?T"?,', line)]
        cut = next((at for at, line in enumerate(head) if re.match(rb'"?D"?,', line)), cut) if told else cut
        empty = b"\n".join([*head[:cut], *told]) + b"\n"
        assert all(feed(topic).unpublished(name, empty) for topic in found), name
        assert not any(feed(topic).unpublished(name, data) for topic in found), name


def wrapped(name: str, data: bytes, dice: random.Random) -> list[tuple[str, bytes]]:
    """The same payload under a mark, after blanks, in other widths, lines and wrappings."""
    copies = [data, b"\xef\xbb\xbf" + data]
    if name.endswith((".json", ".csv", ".ndjson")):
        copies += [data.decode().encode(form) for form in ("utf-16", "utf-16-le", "utf-32")]
    if name.endswith(".json"):
        value = json.loads(data)
        copies += [b" \r\n\t" + data, data.replace(b"\n", b"\r\n")]
        copies += [json.dumps(value, indent=2).encode(), json.dumps(value, separators=(",", ":")).encode()]
        copies.append(b"\xef\xbb\xbf\r\n" + json.dumps(value, indent="\t").encode())
    made = [(name, copy) for copy in copies]
    made += [(f"{name}.gz", gzip.compress(copy)) for copy in copies[:2]]
    made += [(f"{name}.zip", zipped(name, copy)) for copy in copies[:2]]
    ending = name.rpartition(".")[2]
    return [*made, (f"{dice.randrange(10**6)}.{ending}", data)]


def read(topic: str, name: str, data: bytes) -> list[tuple[int, int]]:
    return [(rows.frame.height, rows.rejects.height) for rows in feed(topic).read(name, data)]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_whatever_is_recognised_is_read_and_read_alike(provider: str) -> None:
    for name in samples(provider):
        data = sample(provider, name)
        if not data.strip():
            continue
        topics = candidates(name, data)
        assert topics, name
        for called, copy in wrapped(name, data, random.Random(name)):
            found = candidates(called, copy)
            assert set(topics) <= set(found), (called, copy[:80])
            good = 0
            for topic in found:
                try:
                    rows = read(topic, called, copy)
                except PayloadRefused as refusal:
                    assert "ingest them there" in str(refusal) or "belong to" in str(refusal), (called, topic, refusal)
                    continue
                good += 1
                if topic in topics:
                    assert rows == read(topic, name, data), (called, topic)
            assert good, (called, copy[:80])


AMBIGUOUS = [
    ("spp", "DA-LMP-SL-202511020100.csv", "file.csv", "", ("iso.rt.lmp.spp", "iso.da.lmp.spp")),
    ("isone", "da_hourlylmp_20261101.json", "file.json", "", ("iso.da.lmp.isone", "iso.rt.lmp.isone")),
    ("nyiso", "20251102damlbmp_zone.csv", "file.csv", "", ("iso.da.lmp.nyiso", "iso.rth.lmp.nyiso")),
    ("miso", "20251102_da_expost_lmp.csv", "file.csv", "Day Ahead", ("iso.da.lmp.miso", "iso.rth.lmp.miso")),
]


@pytest.mark.parametrize(("provider", "name", "called", "title", "topics"), AMBIGUOUS)
def test_a_file_that_does_not_say_its_feed_is_refused_and_lists_them(
    provider: str, name: str, called: str, title: str, topics: tuple[str, ...]
) -> None:
    data = sample(provider, name)
    data = data.replace(data.split(b"\n", 1)[0], b"Prices", 1) if title else data
    with pytest.raises(PayloadRefused, match="name one with --feed") as refusal:
        choose(called, data, None)
    assert all(topic in str(refusal.value) for topic in topics)
    for topic in topics:
        assert sum(rows for rows, _ in read(topic, called, data)), topic
