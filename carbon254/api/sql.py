"""One read-only SQL statement, answered as JSON, CSV or Arrow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Annotated

import pyarrow as pa
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from .answers import Answer, Format, sql_answer
from .compared import misspelt
from .folding import folded
from .noted import with_note
from .receipts import with_receipt
from .rooms import Rooms
from .runs import told_or_refused
from .turns import within

_LONGEST = 1 << 20


class Question(BaseModel):
    """What to run, and how to write the answer."""

    model_config = ConfigDict(extra="forbid")

    sql: Annotated[str, Field(min_length=1, max_length=_LONGEST // 4, description="One SELECT, ClickHouse dialect")]
    format: Format = Format.json
    seconds: Annotated[
        float | None,
        Field(gt=0, le=3600, description="Give up after so many seconds; the node's own limit is never more"),
    ] = None
    receipt: Annotated[bool, Field(description="Give a receipt that can be verified later")] = False


def router(rooms: Rooms) -> APIRouter:
    """The route, over these rooms."""
    routes = APIRouter(prefix="/v1", tags=["sql"])

    @routes.post("/sql", summary="Run one read-only statement", max_body_size=_LONGEST)
    def run(question: Question) -> Response:
        """The ClickHouse dialect over the datasets of `/v1/datasets`. Times in JSON and CSV are UTC; NaN is null.

        JSON holds at most 10,000 rows and says so where there are more; Arrow and CSV hold every row the engine gives.
        A statement that is refused, takes longer than 10 s or answers more than 256 MB answers 400 with the reason; one
        that comes while too many others run answers 429 with `Retry-After`. Both limits are settings of the node. A
        mean that goes over several market runs is told in `note`, `X-Note` and `Warning`; a node with C254_STRICT=1
        answers 422.
        """
        first: list[pa.RecordBatch] = []
        with within(question.seconds):
            answer = answered(question, first)
            try:
                # After the engine has taken it: what is read closer is a statement that readers may run.
                mixed = told_or_refused(folded(rooms.hot.query, question.sql), rooms.strict)
                note = misspelt(rooms.names.settle, question.sql, pa.Table.from_batches(first)) if first else ""
            except BaseException:
                answer.spool.close()
                raise
        return with_note(answer, note, mixed).response()

    def answered(question: Question, first: list[pa.RecordBatch]) -> Answer:
        started, most = time.perf_counter(), rooms.hot.limits.answer_bytes
        if question.receipt:
            table, receipt = rooms.notary.answer(question.sql)
            batches = table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
            return with_receipt(sql_answer(_keeping(batches, first), question.format, most, started), receipt)
        with rooms.hot.stream(question.sql) as batches:
            return sql_answer(_keeping(batches, first), question.format, most, started)

    return routes


def _keeping(batches: Iterable[pa.RecordBatch], first: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches; `first` gets their first two rows, which tell an answer that is as good as empty."""
    for batch in batches:
        kept = sum(one.num_rows for one in first)
        if kept < 2:
            first.append(batch.slice(0, 2 - kept))
        yield batch
