"""Receipts over HTTP: beside an answer in a header and a JSON field, and verified again by a route of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from carbon254.proof.receipt import Receipt, receipt_of

from .answers import Answer, Format, most_rows, table_answer, with_fields
from .asked import MOST_ROWS
from .rooms import Rooms

HEADER = "X-Receipt"
WithReceipt = Annotated[bool, Query(description="Give a receipt that `/v1/receipts/verify` proves later")]


def with_receipt(answer: Answer, receipt: Receipt) -> Answer:
    """The answer with its receipt: in the header, and for JSON whole in the field `receipt`."""
    return with_fields(answer, {HEADER: receipt.to_header()}, {"receipt": receipt.to_json().strip().encode()})


def receipted(rooms: Rooms, statement: str, form: Format, zone: str, limit: int | None) -> Answer:
    """A statement of our own that has an order and no LIMIT, answered with a receipt."""
    most = most_rows(form, limit)
    limits = replace(rooms.hot.limits, max_rows=MOST_ROWS + 1)
    table, receipt = rooms.notary.answer(f"{statement} LIMIT {most + 1}", limits=limits)
    return with_receipt(table_answer(table, form, zone, most, limits.answer_bytes), receipt)


def router(rooms: Rooms) -> APIRouter:
    """The route, over these rooms."""
    routes = APIRouter(prefix="/v1", tags=["receipts"])

    @routes.post("/receipts/verify", summary="Derive an answer again from its receipt")
    def verify(receipt: Annotated[dict[str, Any], Body(description="The receipt as it was given")]) -> dict[str, Any]:
        """`equal` says whether the same rows come out of the same payloads, whatever came since; `differs` says where
        they do not. A receipt that was edited answers 400.
        """
        verdict = rooms.notary.verify(receipt_of(json.dumps(receipt)))
        told = {"equal": verdict.equal, "differs": verdict.differs, "notes": verdict.notes}
        return told | {"rows": verdict.rows, "payloads": verdict.payloads}

    return routes
