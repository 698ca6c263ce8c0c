"""Answers with what must be said beside them: why there are no rows, or which days have not reached the rung."""

from __future__ import annotations

import orjson
import pyarrow as pa
from fastapi import Response

from .answers import Format, query_answer
from .receipts import receipted
from .rooms import Rooms
from .vintages import Question

HEADER = "X-Note"


def answered(
    rooms: Rooms, question: Question, form: Format, zone: str, limit: int | None, receipt: bool = False
) -> Response:
    """The question's answer; its note is in the header, and for JSON in the field `note`."""
    answer = (receipted if receipt else _plain)(rooms, question.statement, form, zone, limit)
    none = form is Format.json and bytes(answer.body).startswith(b'{"count":0,')
    return with_note(answer, question.note(rooms.hot.query, 0 if none else _rows(question, form, answer)), form)


def with_note(answer: Response, note: str, form: Format) -> Response:
    """The answer with a note; as it is where there is none."""
    if not note:
        return answer
    answer.headers[HEADER] = note.encode("ascii", "replace").decode()
    if form is not Format.json:
        return answer
    headers = {name: value for name, value in answer.headers.items() if name.lower().startswith("x-")}
    body = bytes(answer.body)[:-1] + b',"note":' + orjson.dumps(note) + b"}"
    return Response(body, answer.status_code, media_type="application/json", headers=headers)


def _plain(rooms: Rooms, statement: str, form: Format, zone: str, limit: int | None) -> Response:
    return query_answer(rooms.hot, statement, form, zone, limit)


def _rows(question: Question, form: Format, answer: Response) -> int:
    """Whether there is any row: in CSV one line more than the header."""
    if form is Format.csv:
        return bytes(answer.body).count(b"\n") - 1
    if form is Format.arrow and not question.known.now:
        with pa.ipc.open_stream(bytes(answer.body)) as stream:
            return sum(batch.num_rows for batch in stream)
    return 1
