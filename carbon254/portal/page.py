"""Serving the page: plain HTML, CSS and JavaScript modules, and the chart script from the plotly package.

The page knows only the API's routes. It works with no internet and has no build step.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

_STATIC = Path(__file__).parent / "static"


def mount(app: FastAPI) -> None:
    """Serve the page at `/` and its files below `/static/portal`."""
    chart = Path(str(files("plotly") / "package_data" / "plotly.min.js"))
    app.mount("/static/portal", StaticFiles(directory=_STATIC), name="portal")

    @app.get("/", include_in_schema=False)
    def index() -> FileResponse:
        return FileResponse(_STATIC / "index.html")

    @app.get("/static/plotly.min.js", include_in_schema=False)
    def plotly() -> FileResponse:
        return FileResponse(chart, media_type="text/javascript")
