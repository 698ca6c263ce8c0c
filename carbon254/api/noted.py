"""Answers with what must be said beside them: why there are no rows, or which days have not reached the rung."""

from __future__ import annotations

import orjson
from fastapi import Response

from .answers import Answer, Format, query_answer, with_fields
from .receipts import receipted
from .rooms import Rooms
from .vintages import Question

HEADER = "X-Note"


def answered(
    rooms: Rooms, question: Question, form: Format, zone: str, limit: int | None, receipt: bool = False
) -> Response:
    """The question's answer; its note is in the header, and for JSON in the field `note`."""
    if receipt:
        answer = receipted(rooms, question.statement, form, zone, limit)
    else:
        answer = query_answer(rooms.hot, question.statement, form, zone, limit)
    try:
        return with_note(answer, question.note(rooms.hot.query, answer.rows)).response()
    except BaseException:
        answer.spool.close()
        raise


def with_note(answer: Answer, note: str) -> Answer:
    """The answer with a note; as it is where there is none."""
    if not note:
        return answer
    return with_fields(answer, {HEADER: note.encode("ascii", "replace").decode()}, {"note": orjson.dumps(note)})
