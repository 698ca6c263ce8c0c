"""One read-only SQL statement, answered as JSON, CSV or Arrow."""

from __future__ import annotations

import time
from typing import Annotated

import pyarrow as pa
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from .answers import JSON_ROWS, Format, table_answer, table_json
from .compared import misspelt
from .folding import folded
from .noted import with_note
from .receipts import with_receipt
from .rooms import Rooms
from .runs import told_or_refused

_LONGEST = 1 << 20


class Question(BaseModel):
    """What to run, and how to write the answer."""

    model_config = ConfigDict(extra="forbid")

    sql: Annotated[str, Field(min_length=1, max_length=_LONGEST // 4, description="One SELECT, ClickHouse dialect")]
    format: Format = Format.json
    receipt: Annotated[bool, Field(description="Give a receipt that can be verified later")] = False


def router(rooms: Rooms) -> APIRouter:
    """The route, over these rooms."""
    routes = APIRouter(prefix="/v1", tags=["sql"])

    @routes.post("/sql", summary="Run one read-only statement", max_body_size=_LONGEST)
    def run(question: Question) -> Response:
        """The ClickHouse dialect over the datasets of `/v1/datasets`. Times in JSON and CSV are UTC; NaN is null.

        JSON holds at most 10,000 rows and says so where there are more; Arrow and CSV hold every row the engine gives.
        A statement that is refused answers 400 with the reason. A mean that goes over several market runs is told in
        `note`, `X-Note` and `Warning`; a node with C254_STRICT=1 answers 422.
        """
        started = time.perf_counter()
        # After the engine has taken it: what is read closer is a statement that readers may run.
        answer, table = answered(question, started)
        mixed = told_or_refused(folded(rooms.hot.query, question.sql), rooms.strict)
        return with_note(answer, misspelt(rooms.names.settle, question.sql, table), question.format, mixed)

    def answered(question: Question, started: float) -> tuple[Response, pa.Table]:
        if question.receipt:
            table, receipt = rooms.notary.answer(question.sql)
            plain = question.format is not Format.json
            answer = table_answer(table, question.format) if plain else table_json(table, JSON_ROWS, started)
            return with_receipt(answer, receipt, question.format), table
        table = rooms.hot.query(question.sql)
        if question.format is Format.json:
            return table_json(table, JSON_ROWS, started), table
        return table_answer(table, question.format), table

    return routes
