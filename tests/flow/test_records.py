"""Every source record of every feed ends as exactly one of stored, confirmed, duplicate, rejected, held; none vanishes.

How many records a payload has is counted here by its bytes alone, without a parser of ours.
"""

from __future__ import annotations

import csv
import io
import random
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from carbon254.app import Node, open_node
from carbon254.clock import ManualClock
from carbon254.feeds import candidates
from carbon254.ingest import Arrived
from carbon254.model.arrival import arrival_number
from carbon254.settings import Settings
from carbon254.stores.ledger import Counts

FEEDS = Path(__file__).parents[2] / "carbon254" / "feeds"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
FATES = ("stored", "confirmed", "duplicate", "rejected", "held")
SAMPLES = sorted(
    path
    for path in FEEDS.glob("*/samples/*")
    if path.suffix != ".md" and not path.name.endswith(".expected.csv") and path.stat().st_size
)
# Lists of records in JSON, by the keys that lead there.
_LISTS = (
    ("items",), ("response", "data"), ("data",), ("HourlyLmps", "HourlyLmp"), ("FiveMinLmps", "FiveMinLmp"),
    ("HourlyLmp",), ("FiveMinLmp",), ("LMPData", "FiveMinLMP", "PricingNode"), ("properties", "periods"),
)  # fmt: skip
_LAYERS = ("temperature", "dewpoint", "relativeHumidity", "windSpeed", "probabilityOfPrecipitation")


def records_in(data: bytes) -> int:
    """Records of a payload by its bytes: data lines, items of its list, or elements."""
    body = data.lstrip()
    if body.startswith(b"<"):
        return len(re.findall(rb"<(?:\w+:)?(?:REPORT_DATA|HourlyLmp|FiveMinLmp)>|<(?:\w+:)?FiveMinLmp xmlns", body))
    if body[:1] in (b"{", b"["):
        return _items(body)
    return len(data_lines(data))


def data_lines(data: bytes) -> list[int]:
    """Where the data lines of a CSV file stand, from 0."""
    lines = data.decode("utf-8-sig").splitlines()
    if lines[0].lstrip('"').startswith(("C,", 'C"')):
        return [number for number, line in enumerate(lines) if line.lstrip('"')[:1] == "D"]
    heads = [number for number, line in enumerate(lines) if line.startswith("Node,Type,Value")]
    first = heads[0] if heads else next(number for number, line in enumerate(lines) if line.strip())
    return [number for number, line in enumerate(lines) if number > first and line.strip(" ,")]


def _items(body: bytes) -> int:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return sum(bool(line.strip()) for line in body.splitlines())
    if isinstance(answer, list):
        return len(answer)
    for keys in _LISTS:
        found = answer
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, (list, dict)):
            return len(found) if isinstance(found, list) else 1
    layers = answer.get("properties", {}) if isinstance(answer, dict) else {}
    if "temperature" in layers:
        return sum(len(layers[name]["values"]) for name in _LAYERS if name in layers)
    return 1


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, ManualClock]]:
    clock = ManualClock(NOW)
    with open_node(Settings(workspace=tmp_path_factory.mktemp("records") / "ws"), {}, clock) as node:
        yield node, clock


class Flow:
    """Brings payloads of one feed through the real flow and tells what became of their records."""

    def __init__(self, node: Node, clock: ManualClock, topic: str) -> None:
        self.node, self.clock, self.topic = node, clock, topic

    def bring(self, data: bytes, name: str, subject: str = "") -> Counts | None:
        """None for a payload that was skipped as known."""
        self.clock.sleep(60.0)
        taken = self.node.pipeline.inbox.take(Arrived(self.topic, data, name, self.clock.now(), subject))
        if taken.offset is None:
            return None
        for step in (self.node.pipeline.normaliser.step, self.node.pipeline.projector.step):
            while step():
                pass
        (counts,) = self.node.ledger.counts(self.topic, [arrival_number(self.topic, taken.arrival)])
        assert counts.records == sum(getattr(counts, fate) for fate in FATES), counts
        return counts


def fates(counts: Counts | None) -> dict[str, int]:
    assert counts is not None
    return {name: getattr(counts, name) for name in FATES if getattr(counts, name)}


@pytest.fixture(params=SAMPLES, ids=lambda path: f"{path.parents[1].name}-{path.name}")
def sample(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def flow(opened: tuple[Node, ManualClock], sample: Path) -> Flow:
    topic, *_ = candidates(sample.name, sample.read_bytes())
    return Flow(*opened, topic)


@pytest.mark.sampled(3)
def test_every_record_of_a_sample_is_counted_once_and_again_says_nothing_new(flow: Flow, sample: Path) -> None:
    data, count = sample.read_bytes(), records_in(sample.read_bytes())
    first = flow.bring(data, sample.name, "once")
    assert first is not None and first.records == count and first.rejected == 0, first
    assert flow.bring(data, sample.name, "once") is None
    # The same records in other bytes, under another subject: a blank after the file's end.
    again = flow.bring(data + b"\n\n", sample.name, "again")
    # What the gate holds may differ the second time, for it compares with what came before; nothing is new.
    assert again is not None and again.records == count, again
    assert (again.stored, again.rejected, again.duplicate) == (0, 0, first.duplicate), (first, again)


@pytest.mark.sampled(9)
def test_a_payload_that_lists_every_record_twice_has_as_many_duplicates(flow: Flow, sample: Path) -> None:
    data = sample.read_bytes()
    twice, count = doubled(data), records_in(data)
    if twice is None:
        pytest.skip("a record that is no member of a list cannot be listed twice")
    assert records_in(twice) == 2 * count
    found = flow.bring(twice, sample.name, "twice")
    assert found is not None and (found.records, found.rejected) == (2 * count, 0), found
    if not ordered(sample):
        assert found.duplicate + found.held >= count, found


@pytest.mark.sampled(10)
@pytest.mark.parametrize("seed", range(4))
def test_broken_records_are_rejected_and_the_others_are_not_lost(flow: Flow, sample: Path, seed: int) -> None:
    data = sample.read_bytes()
    dice = random.Random(f"{sample.name}{seed}")
    broken, count = with_broken_records(data, dice), records_in(data)
    if broken is None:
        pytest.skip("no list of records to break one of")
    found = flow.bring(broken, sample.name, f"broken {seed}")
    if found is None:
        return  # broken as before: the bytes are known
    assert found.records in (count, 1), found
    assert found.rejected >= 1, found
    if found.records == 1 < count:
        assert (found.rejected, found.letters) == (1, 1), found


@pytest.mark.sampled(16)
@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_damaged_the_counts_add_up(flow: Flow, sample: Path, seed: int) -> None:
    copy, dice = bytearray(sample.read_bytes()), random.Random(f"{sample.name} damaged {seed}")
    for _ in range(dice.randint(1, 5)):
        at = dice.randrange(len(copy))
        if dice.random() < 0.5:
            copy[at] = dice.randrange(32, 127)
        elif dice.random() < 0.5:
            del copy[at : at + dice.randint(1, 30)]
        else:
            copy[at:at] = copy[max(0, at - dice.randint(1, 80)) : at]
    flow.bring(bytes(copy), sample.name, f"damaged {seed}")


def test_an_overlapping_payload_confirms_what_was_known_and_stores_the_rest(opened: tuple[Node, ManualClock]) -> None:
    flow = Flow(*opened, "iso.rt.lmp.pjm")
    prices = "system_energy_price_rt,total_lmp_rt,congestion_price_rt,marginal_loss_price_rt"
    head = f"datetime_beginning_utc,pnode_id,pnode_name,type,{prices},row_is_current,version_nbr\n".encode()

    def lines(hours: range, price: float = 20.0) -> bytes:
        return b"".join(
            f"11/30/2026 {hour}:00:00 AM,51217,HUB A,HUB,{price},{price},0,0,True,1\n".encode() for hour in hours
        )

    assert fates(flow.bring(head + lines(range(1, 7)), "a.csv", "a")) == {"stored": 6}
    assert fates(flow.bring(head + lines(range(4, 10)), "b.csv", "b")) == {"stored": 3, "confirmed": 3}
    assert fates(flow.bring(head + lines(range(1, 4), 25.0), "c.csv", "c")) == {"stored": 3}
    # A price that goes back says something new, though it was said before; in other bytes, a blank line after the end.
    assert fates(flow.bring(head + lines(range(1, 7)) + b"\n", "d.csv", "d")) == {"stored": 3, "confirmed": 3}


def test_records_that_the_gate_holds_back_are_counted_as_held(opened: tuple[Node, ManualClock]) -> None:
    flow = Flow(*opened, "iso.rt.lmp.spp")
    lines = ["Interval,GMTIntervalEnd,Settlement Location,Pnode,LMP,MLC,MCC,MEC"]
    for number in range(20):
        energy = 20.5 if number != 7 else 99.5
        lines.append(f"12/01/2026 06:05:00,12/01/2026 12:05:00,GATE_{number},G_{number},{energy},0,0,{energy}")
    lines.append(lines[3])
    lines.append(lines[4].replace("20.5", "x", 1))
    found = flow.bring("\n".join(lines).encode(), "RTBM-LMP-SL-202612010605.csv", "held")
    assert found is not None and found.records == 22
    assert (found.duplicate, found.rejected) == (1, 1) and found.held >= 1
    assert found.stored + found.held == 20, found


def test_members_of_an_archive_and_pages_of_an_answer_count_like_one_payload(opened: tuple[Node, ManualClock]) -> None:
    flow = Flow(*opened, "iso.da.lmp.pjm")
    answer = orjson.loads((FEEDS / "pjm" / "samples" / "da_hrl_lmps_20260308.json").read_bytes())
    rows, sink = answer["items"], io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for number, (first, last) in enumerate(((0, 2), (1, len(rows))), 1):
            page = {**answer, "items": rows[first:last], "totalRows": len(rows) + 1}
            archive.writestr(f"p{number}.json", orjson.dumps(page))
    found = flow.bring(sink.getvalue(), "pages.zip", "pages")
    assert found is not None and (found.records, found.duplicate) == (len(rows) + 1, 1)


def ordered(sample: Path) -> bool:
    """Whether two equal lines of the file may be two hours, which only their order tells apart."""
    return sample.parents[1].name == "nyiso" or "lmp_5min" in sample.name


def doubled(data: bytes) -> bytes | None:
    """The payload with each record twice, one after the other list; None where it has no list."""
    body = data.lstrip()
    if body.startswith(b"<"):
        found = list(re.finditer(rb"<((?:\w+:)?(?:REPORT_DATA|HourlyLmp))>.*?</\1>", data, re.S))
        if not found:
            return None
        whole = b"".join(one[0] for one in found)
        return data[: found[-1].end()] + whole + data[found[-1].end() :]
    if body[:1] in (b"{", b"["):
        return _doubled_json(body)
    lines = data.decode("utf-8-sig").splitlines()
    mine = data_lines(data)
    out = lines[: mine[-1] + 1] + [lines[number] for number in mine] + lines[mine[-1] + 1 :]
    return "\n".join(_recounted(out)).encode() + b"\n"


def _recounted(lines: list[str]) -> list[str]:
    """A trailer counts the lines above it."""
    given = sum(line.lstrip('"')[:1] == "D" for line in lines)
    return [re.sub(r'^("?T"?,"?)\d+', rf"\g<1>{given}", line) for line in lines]


def _lists(answer: object) -> Iterator[list]:
    """The lists of records of an answer, to be changed in place."""
    if isinstance(answer, list):
        yield answer
        return
    for keys in _LISTS:
        found = answer
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, list):
            yield found
            return
    layers = answer.get("properties", {}) if isinstance(answer, dict) else {}
    for name in _LAYERS:
        if isinstance(layers.get(name), dict) and "temperature" in layers:
            yield layers[name]["values"]


def _doubled_json(body: bytes) -> bytes | None:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.rstrip() + b"\n" + body
    found = list(_lists(answer))
    for records in found:
        records += list(records)
    if isinstance(answer, dict):
        for key in ("totalRows",):
            if key in answer:
                answer[key] = 2 * answer[key]
    return orjson.dumps(answer) if found else None


def with_broken_records(data: bytes, dice: random.Random) -> bytes | None:
    """The payload with a word for a number, or a cell too few, in one to three of its records."""
    body = data.lstrip()
    if body.startswith(b"<"):
        spots = list(re.finditer(rb"<((?:\w+:)?(?:VALUE|LmpTotal))>[^<]*<", data))
        spot = dice.choice(spots)
        return data[: spot.start()] + b"<" + spot[1] + b">word<" + data[spot.end() :]
    if body[:1] in (b"{", b"["):
        return _broken_json(body, dice)
    lines = data.decode("utf-8-sig").splitlines()
    for number in dice.sample(data_lines(data), dice.randint(1, min(3, len(data_lines(data))))):
        cells = next(csv.reader([lines[number]]))
        priced = [place for place, cell in enumerate(cells) if re.fullmatch(r"-?\d*\.\d+", cell.strip())]
        if priced and dice.random() < 0.7:
            cells[dice.choice(priced)] = "word"
        else:
            del cells[-1]
        lines[number] = ",".join(f'"{cell}"' for cell in cells)
    return "\n".join(lines).encode() + b"\n"


def _broken_json(body: bytes, dice: random.Random) -> bytes | None:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        lines = body.splitlines()
        lines[dice.randrange(len(lines))] = b'{"instrument": 7}'
        return b"\n".join(lines)
    found = [records for records in _lists(answer) if records]
    if not found:
        return None
    records = dice.choice(found)
    records[dice.randrange(len(records))] = dice.choice(["word", None, [], {}])
    return orjson.dumps(answer)
