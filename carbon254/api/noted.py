"""Answers with what must be said beside them: why there are no rows, or which days have not reached the rung."""

from __future__ import annotations

import orjson
import pyarrow as pa
from fastapi import Response

from .answers import Format, query_answer
from .receipts import receipted
from .rooms import Rooms
from .runs import told_or_refused
from .vintages import Question

HEADER = "X-Note"
# 299 is a lasting warning of no particular kind.
WARNING = "Warning"


def answered(
    rooms: Rooms, question: Question, form: Format, zone: str, limit: int | None, receipt: bool = False
) -> Response:
    """The question's answer; its note is in the header, and for JSON in the field `note`.

    Raises SeveralRuns where the node is strict and rows of several market runs answer.
    """
    mixed = told_or_refused(question.several(rooms.hot.query), rooms.strict)
    answer = (receipted if receipt else _plain)(rooms, question.statement, form, zone, limit)
    return beside(rooms, answer, question.note(rooms.hot.query, _rows(form, answer)), form, mixed)


def beside(rooms: Rooms, answer: Response, note: str, form: Format, mixed: str = "") -> Response:
    """The answer with what must be said beside it, and that the data are emulated where they are."""
    noted = with_note(answer, note, form, mixed)
    return with_field(noted, b'"emulated":true') if rooms.emulated and form is Format.json else noted


def with_note(answer: Response, note: str, form: Format, mixed: str = "") -> Response:
    """The answer with a note, and with a warning of what it mixes; as it is where there is neither."""
    note = "; ".join(filter(None, [mixed, note]))
    if not note:
        return answer
    if mixed:
        answer.headers[WARNING] = f'299 carbon254 "{_plain_text(mixed)}"'
    answer.headers[HEADER] = _plain_text(note)
    if form is not Format.json:
        return answer
    return with_field(answer, b'"note":' + orjson.dumps(note))


def with_field(answer: Response, field: bytes) -> Response:
    """A JSON answer with one field more."""
    kept = ("x-", WARNING.lower())
    headers = {name: value for name, value in answer.headers.items() if name.lower().startswith(kept)}
    body = bytes(answer.body)[:-1] + b"," + field + b"}"
    return Response(body, answer.status_code, media_type="application/json", headers=headers)


def _plain(rooms: Rooms, statement: str, form: Format, zone: str, limit: int | None) -> Response:
    return query_answer(rooms.hot, statement, form, zone, limit)


def _plain_text(note: str) -> str:
    """A note as a header may hold it."""
    return note.replace("…", "...").replace('"', "'").encode("ascii", "replace").decode()


def _rows(form: Format, answer: Response) -> int:
    """Whether there is any row: in CSV one line more than the header."""
    if form is Format.json:
        return 0 if bytes(answer.body).startswith(b'{"count":0,') else 1
    if form is Format.csv:
        return bytes(answer.body).count(b"\n") - 1
    with pa.ipc.open_stream(bytes(answer.body)) as stream:
        return sum(batch.num_rows for batch in stream)
