"""Asking a running node over HTTP with the standard library alone: what a person types is answered at once.

Frames, Arrow and the stores take longer to load than a node takes to answer. What a table of plain values can hold is
told from the node's JSON; for the rest the caller takes the longer way.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from carbon254.errors import QueryRefused, TransientError
from carbon254.wire.formulas import defused
from carbon254.workspace import Workspace

_PATIENCE_S = 120.0
# Types whose JSON says everything; an answer with another one is read as Arrow.
_PLAIN = re.compile(
    r"(u?int\d+|string|large_string|string_view|bool|date32\[day\]|timestamp\[|dictionary<values=string)"
)
_FLOAT = "double"
_EXPONENT = re.compile(r"e([+-])0*(\d+)$")
_QUOTED = re.compile(r'[",\r\n]')


@dataclass(frozen=True)
class Rows:
    """A node's answer: column names, and rows of plain values; instants are aware."""

    names: list[str]
    rows: list[list[Any]]


def node_of(workspace: Path) -> str | None:
    """The URL of the node that runs a workspace; None where none does. Raises NoWorkspace where there is none."""
    running = Workspace(workspace).existing().running()
    return running.url if running else None


def ask(
    url: str, path: str, body: Mapping[str, Any] | None = None, also: Sequence[int] = (), **query: Any
) -> dict[str, Any]:
    """What a node answers, from JSON; `also` are states beside 200 that are answers.

    Raises QueryRefused with its reason, TransientError where it does not answer.
    """
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_PATIENCE_S)
    asked = urlencode({name: value for name, value in query.items() if value not in (None, "", [])}, True)
    target = f"{path}?{asked}" if asked else path
    try:
        if body is None:
            connection.request("GET", target)
        else:
            connection.request("POST", target, json.dumps(body).encode(), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        status, data = answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"the node at {url} does not answer ({type(error).__name__}); see: c254 logs") from error
    finally:
        connection.close()
    try:
        told = json.loads(data)
    except ValueError:
        told = {"detail": data.decode("utf-8", "replace")[:300]}
    if status == http.client.OK or status in also:
        return told
    reason = str(told.get("detail", told))
    if status >= http.client.INTERNAL_SERVER_ERROR or status == http.client.TOO_MANY_REQUESTS:
        raise TransientError(reason)
    raise QueryRefused(reason)


def query(url: str, statement: str) -> Rows | None:
    """A statement's answer; None where it holds more, or other types, than JSON can tell. Raises as `ask`."""
    found = ask(url, "/v1/sql", {"sql": statement})
    kinds = {column["name"]: column["type"] for column in found["columns"]}
    # What a note says of the statement, and whether it is refused for it, is for the longer way to tell.
    if found["truncated"] or found.get("note") or len(kinds) != len(found["columns"]):
        return None
    rows = found["rows"]
    for place, kind in enumerate(kinds.values()):
        if kind == _FLOAT:
            # JSON has no NaN, and so cannot tell it from a missing value.
            if any(row[place] is None for row in rows):
                return None
        elif not _PLAIN.match(kind):
            return None
        if kind.startswith("timestamp"):
            _instants(rows, place)
        elif kind.startswith("date32"):
            for row in rows:
                row[place] = None if row[place] is None else date.fromisoformat(row[place])
    return Rows(list(kinds), rows)


def told_in(rows: Rows, zone: str) -> Rows:
    """The same instants told in a zone."""
    from carbon254.calendars import zone as zone_named

    place = zone_named(zone)
    for row in rows.rows:
        for at, value in enumerate(row):
            if isinstance(value, datetime) and value.tzinfo is not None:
                row[at] = value.astimezone(place)
    return rows


def write(rows: Rows, form: str) -> None:
    """Print as CSV or as one JSON object a line, as `printing.Printer` does."""
    if form == "csv":
        lines = [",".join(map(_cell, rows.names)), *(",".join(map(_cell, row)) for row in rows.rows)]
    else:
        lines = [_object(rows.names, row) for row in rows.rows]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _instants(rows: Iterable[list[Any]], place: int) -> None:
    for row in rows:
        if row[place] is not None:
            row[place] = datetime.fromisoformat(row[place])


def _text(value: Any) -> Any:
    """Instants as ISO 8601: `Z` for UTC, an offset elsewhere, parts of a second only where there are any."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds" if value.microsecond else "seconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def _cell(value: Any) -> str:
    timed = isinstance(value, date)
    value = _text(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    text = defused(value) if isinstance(value, str) and not timed else str(value)
    return '"' + text.replace('"', '""') + '"' if not text or _QUOTED.search(text) else text


def _object(names: Sequence[str], row: Sequence[Any]) -> str:
    pairs = zip(names, row, strict=True)
    return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{_json(value)}" for name, value in pairs) + "}"


def _json(value: Any) -> str:
    return _number(value) if isinstance(value, float) else json.dumps(_text(value), ensure_ascii=False)


def _number(value: float) -> str:
    return _EXPONENT.sub(r"e\1\2", repr(value))
