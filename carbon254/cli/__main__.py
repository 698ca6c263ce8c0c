"""`python -m carbon254.cli` is `c254`."""

from __future__ import annotations

from .main import app

app(prog_name="c254")
