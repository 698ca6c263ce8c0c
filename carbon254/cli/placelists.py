"""Files of places: reading them row by row, and keeping as dead letters what could not be taken."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import carbon254
from carbon254.connections import open_named_log
from carbon254.engine.placing import keep_rejects
from carbon254.errors import ReferenceRefused
from carbon254.wire import csv
from carbon254.workspace import Workspace

from .console import settings_of

if TYPE_CHECKING:
    from carbon254.stores.reference import Loaded, Reference

_REJECTS = pl.Schema({"line": pl.Int64, "reason": pl.String, "raw": pl.String})


def read(name: str, data: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rows with their `line`, lines that could not be read). Raises ReferenceRefused for what is no table."""
    none = pl.DataFrame(schema=_REJECTS)
    try:
        if name.endswith((".json", ".jsonl", ".ndjson")):
            return _json(data), none
        if name.endswith(".parquet"):
            return pl.read_parquet(io.BytesIO(data)), none
    except pl.exceptions.PolarsError as error:
        raise ReferenceRefused(f"{name}: not a table: {str(error).splitlines()[0]}") from None
    return _csv(name, data)


def _json(data: bytes) -> pl.DataFrame:
    array = data.lstrip().startswith(b"[")
    return pl.read_json(io.BytesIO(data)) if array else pl.read_ndjson(io.BytesIO(data))


def _csv(name: str, data: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    names = csv.header(data)
    if not names:
        raise ReferenceRefused(f"{name} is empty; a list of places needs a header with location_id")
    blocks = list(csv.read(data, dict.fromkeys(names, pl.String)))
    frames = [block.frame for block in blocks] or [pl.DataFrame(schema=dict.fromkeys([*names], pl.String))]
    rejects = [pl.DataFrame([x.lines, x.reasons, x.raws], schema=_REJECTS) for x in blocks]
    return pl.concat(frames), pl.concat([pl.DataFrame(schema=_REJECTS), *rejects])


def keep(workspace: Path, of: str, loaded: Loaded, unread: pl.DataFrame, data: bytes) -> pl.DataFrame:
    """Keep rows of a list (`of` says which) that could not be read or taken as dead letters; returns them."""
    rejects = pl.concat([unread, loaded.rejects]).sort("line", maintain_order=True)
    log = open_named_log(settings_of(workspace), Workspace(workspace))
    try:
        payload = hashlib.sha256(data).hexdigest()
        told = replace(loaded, rejects=rejects)
        keep_rejects(log, of, told, payload, carbon254.__version__, datetime.now(UTC))
    finally:
        log.close()
    return rejects


def seed(reference: Reference, workspace: Path) -> None:
    """What the feeds list, where no node has brought it in yet."""
    from carbon254.engine.listed import seed as seed_reference
    from carbon254.pipeline import sources
    from carbon254.stores.decisions import open_decisions

    settings = settings_of(workspace)
    log = open_named_log(settings, Workspace(workspace))
    journal = open_decisions(settings.raw_at(workspace / "raw"), settings.s3_endpoint)
    try:
        seed_reference(reference, log, sources().values(), datetime.now(UTC), journal)
    finally:
        log.close()
