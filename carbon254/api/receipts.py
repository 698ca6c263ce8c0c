"""Receipts over HTTP: beside an answer in a header and a JSON field, and verified again by a route of their own."""

from __future__ import annotations

import json
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Body, HTTPException, Query, Response

from carbon254.proof.receipt import Receipt, receipt_of

from .answers import JSON_ROWS, Format, rows_answer
from .asked import MOST_ROWS
from .rooms import Rooms

HEADER = "X-Receipt"
WithReceipt = Annotated[bool, Query(description="Give a receipt that `/v1/receipts/verify` proves later")]


def with_receipt(answer: Response, receipt: Receipt, form: Format) -> Response:
    """The answer with its receipt: in the header, and for JSON whole in the field `receipt`."""
    answer.headers[HEADER] = receipt.to_header()
    if form is not Format.json:
        return answer
    body = bytes(answer.body)[:-1] + b',"receipt":' + receipt.to_json().strip().encode() + b"}"
    return Response(body, answer.status_code, media_type="application/json", headers={HEADER: receipt.to_header()})


def receipted(rooms: Rooms, statement: str, form: Format, zone: str, limit: int | None) -> Response:
    """A statement of our own that has an order and no LIMIT, answered with a receipt."""
    most = limit or (JSON_ROWS if form is Format.json else MOST_ROWS)
    if form is Format.json and most > 10 * JSON_ROWS:
        raise HTTPException(400, f"JSON holds at most {10 * JSON_ROWS:,} rows; take format=arrow or csv for more")
    table, receipt = rooms.notary.answer(f"{statement} LIMIT {most + 1}")
    return with_receipt(rows_answer(pl.DataFrame(table), form, zone, most), receipt, form)


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
