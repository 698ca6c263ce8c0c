"""A CSV as other programs write it: headers and stamps respelt, columns moved, lines ended otherwise."""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Callable, Sequence
from datetime import datetime

Table = list[list[str]]
_STAMP = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d{2})(?::(\d{2}))?( [AP]M)?$")
_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})$")


def table(data: bytes, skip: int = 0) -> tuple[list[str], Table]:
    """(lines before the header, cells of the header and of every line)."""
    lines = data.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    return lines[:skip], [row for row in csv.reader(lines[skip:]) if row]


def written(before: Sequence[str], rows: Table, end: str = "\n", quote: bool = False) -> bytes:
    sink = io.StringIO()
    csv.writer(sink, lineterminator=end, quoting=csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL).writerows(rows)
    return ("".join(line + end for line in before) + sink.getvalue()).encode()


def respelt(name: str, dice: random.Random) -> str:
    """A column's name in another spelling."""
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^A-Za-z\d\s_]+", name) or [name]
    joined = dice.choice(["_", " ", "", "  "]).join(parts)
    cased: Callable[[str], str] = dice.choice([str.upper, str.lower, str.title, lambda text: text])
    return dice.choice(["{}", " {} ", "{}   ", "\u00a0{}"]).format(cased(joined))


def restamped(cell: str, dice: random.Random) -> str:
    """A stamp in another spelling; what is none stays."""
    if found := _DAY.match(cell):
        return _day(int(found[1]), int(found[2]), found[3], dice)
    found = _STAMP.match(cell)
    if not found:
        return cell
    hour, minute, second = int(found[4]), found[5], found[6] or "00"
    if found[7]:
        hour = hour % 12 + (12 if "P" in found[7] else 0)
    day = _day(int(found[1]), int(found[2]), found[3], dice)
    seconds = f":{second}" if second != "00" or dice.random() < 0.5 else ""
    if dice.random() < 0.3:
        half = dice.choice([" AM", "am", " Am"]) if hour < 12 else dice.choice([" PM", "pm"])
        return f"{day} {hour % 12 or 12}:{minute}{seconds}{half}"
    clock = dice.choice([f"{hour}:{minute}", f"{hour:02d}:{minute}"]) + seconds
    return f"{day}{dice.choice(['T', ' ', '  '])}{clock}"


def _day(month: int, day: int, year: str, dice: random.Random) -> str:
    plain, padded = f"{month}/{day}", f"{month:02d}/{day:02d}"
    return dice.choice([f"{plain}/{year}", f"{padded}/{year}", f"{year}-{month:02d}-{day:02d}", f"{plain}/{year[2:]}"])


def isostamped(cell: str, dice: random.Random) -> str:
    """An instant with an offset, as OASIS prints it, in another spelling."""
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        return cell
    form = dice.choice(
        ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S+0000", "%Y-%m-%dT%H:%M-00:00", "%Y/%m/%d %H:%M:%S.000Z"]
    )
    return moment.strftime(form)


def rewritten(
    data: bytes, dice: random.Random, skip: int = 0, stamp: Callable[[str, random.Random], str] = restamped
) -> bytes:
    """`data` with the same rows in the same order, spelt otherwise."""
    before, rows = table(data, skip)
    order = list(range(len(rows[0])))
    dice.shuffle(order)
    header = [respelt(rows[0][at], dice) for at in order]
    lines = [[stamp(row[at], dice) for at in order] for row in rows[1:]]
    if dice.random() < 0.5:
        header, lines = [*header, "Remark"], [[*row, "x"] for row in lines]
    if dice.random() < 0.3:
        header, lines = [*header, ""], [[*row, ""] for row in lines]
    end = dice.choice(["\n", "\r\n", "\r"])
    made = written(before, [header, *lines], end, dice.random() < 0.5)
    made += end.encode() * dice.randrange(3)
    if not skip and dice.random() < 0.3:
        made = b"sep=,\n" + made if end != "\r" else made
    return made.decode().encode(dice.choice(["utf-8", "utf-8-sig", "utf-16"]))
