"""Answers with what must be said beside them: why there are no rows, or which days have not reached the rung."""

from __future__ import annotations

import orjson
from fastapi import Response

from .answers import Answer, Format, query_answer, with_fields
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
    if receipt:
        answer = receipted(rooms, question.statement, form, zone, limit)
    else:
        answer = query_answer(rooms.hot, question.statement, form, zone, limit)
    try:
        return beside(rooms, answer, question.note(rooms.hot.query, answer.rows), mixed).response()
    except BaseException:
        answer.spool.close()
        raise


def beside(rooms: Rooms, answer: Answer, note: str, mixed: str = "") -> Answer:
    """The answer with what must be said beside it, and that the data are emulated where they are."""
    noted = with_note(answer, note, mixed)
    return with_fields(noted, {}, {"emulated": b"true"}) if rooms.emulated else noted


def with_note(answer: Answer, note: str, mixed: str = "") -> Answer:
    """The answer with a note, and with a warning of what it mixes; as it is where there is neither."""
    note = "; ".join(filter(None, [mixed, note]))
    if not note:
        return answer
    warned = {WARNING: f'299 carbon254 "{_plain_text(mixed)}"'} if mixed else {}
    return with_fields(answer, {**warned, HEADER: _plain_text(note)}, {"note": orjson.dumps(note)})


def _plain_text(note: str) -> str:
    """A note as a header may hold it."""
    return note.replace("…", "...").replace('"', "'").encode("ascii", "replace").decode()
