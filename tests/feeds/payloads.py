"""What the feed tests share: samples, recorded answers, and a storm of damaged copies of a sample."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from carbon254.errors import PayloadRefused
from carbon254.feeds.catalogue import feed
from carbon254.feeds.contract import Payload, Rows
from carbon254.stages.normalise import Normalised, normalise
from carbon254.wire.archive import unpack

ROOT = Path(__file__).parents[2]
FEEDS = ROOT / "carbon254" / "feeds"
RECORDED = ROOT.parent / "shared" / "recorded"


def sample(provider: str, name: str) -> bytes:
    return (FEEDS / provider / "samples" / name).read_bytes()


def samples(provider: str) -> list[str]:
    """Names of a provider's sample payloads (those with and without an expectation)."""
    found = sorted(path.name for path in (FEEDS / provider / "samples").iterdir())
    return [name for name in found if not name.endswith(".expected.csv")]


def recorded(path: str) -> tuple[str, bytes]:
    """(name, unpacked bytes) of a recorded answer; skips the test where the recordings are not there."""
    file = RECORDED / path
    if not file.is_file():
        pytest.skip("../shared/recorded is absent")
    return next(unpack(file.name, file.read_bytes()))


def parse(topic: str, data: bytes, name: str = "payload") -> Rows:
    """All rows of a payload as one batch."""
    batches = list(feed(topic).parse(Payload(data, name, feed(topic).stream)))
    return Rows(pl.concat([b.frame for b in batches]), pl.concat([b.rejects for b in batches]))


def observed(topic: str, data: bytes, name: str = "payload") -> Normalised:
    return normalise(parse(topic, data, name).frame, feed(topic).stream)


def assert_expected(provider: str, topic: str, name: str) -> None:
    """The sample parses without a reject to the rows of `<name>.expected.csv`, in the columns that file has."""
    rows = parse(topic, sample(provider, name), name)
    assert rows.rejects.is_empty(), rows.rejects
    text = sample(provider, f"{name}.expected.csv")
    wanted = pl.read_csv(text, infer_schema=False)
    found = rows.frame.select(wanted.columns)
    cast = [_read(pl.col(column), found.schema[column]).alias(column) for column in wanted.columns]
    assert found.rows() == wanted.select(cast).rows()


def _read(cell: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Datetime):
        form = "%Y-%m-%dT%H:%M:%S" if kind.time_zone is None else "%Y-%m-%dT%H:%M:%S%#z"
        moment = cell.str.replace("Z$", "+00:00") if kind.time_zone else cell
        return moment.str.to_datetime(form, time_unit="us").cast(kind)
    return cell.str.to_date() if kind == pl.Date else cell.cast(kind)


def damaged(data: bytes, count: int = 200, seed: int = 7) -> Iterator[bytes]:
    """Copies of `data` with bytes changed, cut out, doubled or cut off."""
    dice = random.Random(seed)
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(copy)) if copy else 0
            step = dice.randrange(5)
            if step == 0 and copy:
                copy[at] = dice.randrange(256)
            elif step == 1:
                del copy[at : at + dice.randint(1, 20)]
            elif step == 2:
                copy[at:at] = dice.choice(
                    [b"\x00", b'"', b",", b"\r", b"\n", b"[", b"}", b"NaN", b"1e999", b"\xff\xfe"]
                )
            elif step == 3:
                copy[at:at] = copy[at : at + dice.randint(1, 60)]
            else:
                del copy[at:]
        yield bytes(copy)


def assert_survives(provider: str, topic: str, name: str, numbers: tuple[str, ...]) -> None:
    """Damaged samples give rows or a refusal, never another error, and never a number that is not finite."""
    for copy in damaged(sample(provider, name)):
        try:
            rows = parse(topic, copy, name)
        except PayloadRefused:
            continue
        present = [column for column in numbers if column in rows.frame.columns]
        for column in present:
            assert rows.frame[column].is_finite().fill_null(True).all(), copy
