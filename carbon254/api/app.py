"""The HTTP face of a node: every route, guarded, with errors as one JSON sentence that says what to do next."""

from __future__ import annotations

from importlib.metadata import version

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from carbon254.disk import disk_trouble
from carbon254.errors import (
    Carbon254Error,
    DiskFull,
    DiskTrouble,
    SeveralRuns,
    TransientError,
    UnknownName,
    WrongSpan,
)

from . import ladders, live, names, prices, pushed, receipts, series, sql, state
from .board import Board
from .docs import mount_docs
from .emulated import EmulatedMark
from .guard import Guard
from .rooms import Rooms
from .turns import Turns

_ABOUT = (
    "Market prices live, by SQL, and as they were known at any past moment. "
    "Times are ISO 8601 in UTC unless `tz` asks for another zone; intervals are `[start, end)`; prices are USD/MWh."
)


def create_app(rooms: Rooms) -> FastAPI:
    """The application over these rooms. It answers on loopback names only, and needs no key there."""
    app = FastAPI(
        title="carbon254",
        version=version("carbon254"),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(names.only_known_parameters)],
    )
    board = Board(rooms)
    for router in (
        prices.router(rooms, board),
        series.router(rooms),
        ladders.router(rooms),
        live.router(rooms, board),
        names.router(rooms),
        sql.router(rooms),
        receipts.router(rooms),
        pushed.router(rooms),
        state.router(rooms),
    ):
        app.include_router(router)
    mount_docs(app)
    if rooms.emulated:
        app.add_middleware(EmulatedMark)
    app.add_middleware(Turns, allowed=rooms.allowed)
    app.add_middleware(Guard)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Carbon254Error, _failed)
    app.add_exception_handler(Exception, _broken)
    return app


def create_service(rooms: Rooms) -> FastAPI:
    """The face of a service that only carries: health, readiness and metrics."""
    app = FastAPI(title="carbon254", version=version("carbon254"), docs_url=None, redoc_url=None)
    app.include_router(state.standing(rooms))
    app.add_middleware(Guard)
    app.add_exception_handler(Carbon254Error, _failed)
    app.add_exception_handler(Exception, _broken)
    return app


def _sentence(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)


def _not_understood(_: Request, error: Exception) -> JSONResponse:
    """A parameter or body that does not fit: names it, and what it should be."""
    assert isinstance(error, RequestValidationError)
    found = [f"{' '.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
    return _sentence(422, f"{'; '.join(found)} (what each route takes is at /docs)")


def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and error.detail == "Not Found":
        return _sentence(404, f"there is nothing at {request.url.path}; every route is at /docs")
    answer = _sentence(error.status_code, error.detail)
    answer.headers.update(error.headers or {})
    return answer


def _failed(_: Request, error: Exception) -> JSONResponse:
    """What we raise on purpose: the same call may go through later (503), or never will (400); what was asked for is
    not there or not one thing (422); the disk is full (507)."""
    if isinstance(error, UnknownName | WrongSpan | SeveralRuns):
        return _sentence(422, str(error))
    if isinstance(error, DiskFull):
        return _sentence(507, str(error))
    return _sentence(503 if isinstance(error, TransientError | DiskTrouble) else 400, str(error))


def _broken(request: Request, error: Exception) -> JSONResponse:
    if trouble := disk_trouble(error, "the workspace"):
        structlog.get_logger().error("the disk refuses", path=request.url.path, reason=str(trouble))
        return _failed(request, trouble)
    structlog.get_logger().error("a request failed", path=request.url.path, exc_info=error)
    return _sentence(500, f"the node failed at this request ({type(error).__name__}); its log says more: c254 logs")
