"""Making a good payload partly or wholly unreadable, the same way every time.

Knows where each provider keeps its rows: the first line of a CSV that names a price, or the list inside a JSON answer.
Zips are opened, changed and packed again.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable
from typing import Any

import orjson

from .noise import key

_WORD = "unavailable"
_NO_TIME = "99/99/0000 00:00"
# Headers of prices and of the stamps beside them, as the providers print them.
_PRICES = ("LMP", "MW", "LBMP ($/MWHr)", "total_lmp_da", "total_lmp_rt", "HE 1", "PRC", "VALUE")
_STAMPS = ("GMTIntervalEnd", "INTERVALSTARTTIME_GMT", "Time Stamp", "datetime_beginning_utc")
_JSON_PRICES = ("LmpTotal", "total_lmp_da", "total_lmp_rt", "value", "LMP", "temperature", "lmp", "lmp_ex_post")
_JSON_STAMPS = ("BeginDate", "datetime_beginning_utc", "period", "startTime")


def zip_bytes(name: str, data: bytes) -> bytes:
    """A zip of one member without a moment of creation in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 1)
    return out.getvalue()


def wrong_columns(body: bytes) -> bytes:
    """The payload with its price column renamed."""
    return _inside(body, _rename_csv, _rename_json)


def bad_rows(body: bytes, count: int, seed: int) -> bytes:
    """The payload with `count` of its price rows made unreadable: a word for a price, an impossible stamp, too few
    cells, in turn. A payload with fewer rows has them all spoiled."""
    return _inside(body, lambda text: _spoil_csv(text, count, seed), lambda tree: _spoil_json(tree, count, seed))


def _inside(body: bytes, on_csv: Callable[[str], str], on_json: Callable[[Any], Any]) -> bytes:
    if body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            name = archive.namelist()[0]
            return zip_bytes(name, _inside(archive.read(name), on_csv, on_json))
    if body[:1] in (b"{", b"["):
        return orjson.dumps(on_json(orjson.loads(body)))
    return on_csv(body.decode()).encode()


def _header(lines: list[str]) -> tuple[int, list[str]]:
    """The number of the header line and its cells; -1 where there is none."""
    for number, line in enumerate(lines[:8]):
        cells = next(csv.reader([line.rstrip("\r")]), [])
        if any(cell in _PRICES for cell in cells):
            return number, cells
    return -1, []


def _rename_csv(text: str) -> str:
    lines = text.split("\n")
    number, cells = _header(lines)
    if number < 0:
        return text
    price = next(cell for cell in cells if cell in _PRICES)
    lines[number] = re.sub(rf'(^|,|"){re.escape(price)}(?=$|,|"|\r)', rf"\1v2_{price}", lines[number], count=1)
    return "\n".join(lines)


def _spoil_csv(text: str, count: int, seed: int) -> str:
    lines = text.split("\n")
    number, cells = _header(lines)
    if number < 0:
        return text
    wanted = [index for index in range(number + 1, len(lines)) if lines[index] and _is_price_row(cells, lines[index])]
    for turn, index in enumerate(_drawn(wanted, count, seed)):
        lines[index] = _spoil_line(lines[index], cells, turn)
    return "\n".join(lines)


def _is_price_row(header: list[str], line: str) -> bool:
    """True for rows whose loss leaves the others standing, so that one bad row is one reject.

    Where components have rows of their own, the loss rows: without its LMP row a node has no price at all. Rows of
    another market's area never count.
    """
    for column, loss in (("LMP_TYPE", "MCL"), ("Value", "MLC")):
        if column in header:
            return next(csv.reader([line]))[header.index(column)] == loss
    return ",SWPW," not in line


def _spoil_line(line: str, header: list[str], turn: int) -> str:
    tail = "\r" if line.endswith("\r") else ""
    cells = line.rstrip("\r").split(",")
    price = next(index for index, name in enumerate(header) if name in _PRICES)
    stamp = next((index for index, name in enumerate(header) if name in _STAMPS), None)
    kinds = ("word", "stamp", "short") if stamp is not None else ("word", "short")
    kind = kinds[turn % len(kinds)]
    if kind == "word":
        cells[price] = _WORD
    elif kind == "stamp" and stamp is not None:
        cells[stamp] = _NO_TIME
    else:
        cells = cells[:-2]
    return ",".join(cells) + tail


def _rows(tree: Any) -> list[Any]:
    """The list of rows inside a JSON answer; empty where there is none."""
    if isinstance(tree, list):
        return tree
    for path in (
        ("items",), ("data",), ("response", "data"), ("properties", "periods"), ("HourlyLmps", "HourlyLmp"),
        ("FiveMinLmps", "FiveMinLmp"), ("LMPData", "FiveMinLMP", "PricingNode"),
    ):  # fmt: skip
        found = tree
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        if isinstance(found, dict):
            found = [found]
        if isinstance(found, list):
            return found
    return []


def _rename_json(tree: Any) -> Any:
    if isinstance(tree, dict) and isinstance(tree.get("fields"), list):
        for entry in tree["fields"]:
            if "rice" in entry["name"]:
                entry["name"] = f"v2_{entry['name']}"
        return tree
    if isinstance(tree, dict) and len(tree) == 1:
        # A bare collection: its own name changes with a new edition of the service.
        tree = {f"v2_{name}": rows for name, rows in tree.items()}
    for row in _rows(tree):
        for name in [name for name in row if name in _JSON_PRICES]:
            row[f"v2_{name}"] = row.pop(name)
    return tree


def _spoil_json(tree: Any, count: int, seed: int) -> Any:
    rows = _rows(tree)
    for turn, index in enumerate(_drawn(list(range(len(rows))), count, seed)):
        row = rows[index]
        if isinstance(row, list):
            _spoil_list(row, turn)
        else:
            _spoil_object(row, turn)
    return tree


def _spoil_list(row: list[Any], turn: int) -> None:
    if turn % 3 == 2:
        del row[-2:]
    elif turn % 3 == 1:
        row[0] = _NO_TIME
    else:
        position = max(index for index, cell in enumerate(row) if type(cell) in (int, float))
        row[position] = _WORD


def _spoil_object(row: dict[str, Any], turn: int) -> None:
    price = next((name for name in row if name in _JSON_PRICES), None)
    stamp = next((name for name in row if name in _JSON_STAMPS), None)
    if stamp is not None and turn % 2:
        row[stamp] = _NO_TIME
    elif price is not None:
        row[price] = _WORD


def _drawn(among: list[int], count: int, seed: int) -> list[int]:
    """`count` of them, drawn by hash, in file order."""
    return sorted(sorted(among, key=lambda index: key("spoil", seed, index))[:count])
