"""JSON in, bounded: a byte order mark is no part of it, and a small payload cannot become a large one.

The reader refuses more than 1,024 levels and numbers beyond a double by itself. What it does not bound is how many
objects and arrays there are: eight million bytes of `{},` become half a billion.
"""

from __future__ import annotations

from typing import Any

import orjson

from carbon254.errors import PayloadRefused

from .text import utf8

_FREE_CONTAINERS, _MEAN_CONTAINER = 250_000, 16


def loads(data: bytes) -> Any:
    """The value of a JSON text. Raises PayloadRefused for anything else, and for containers that hold nothing much."""
    body = utf8(data).strip()
    if not body:
        raise PayloadRefused("the file is empty")
    if body.count(b"{") + body.count(b"[") > _FREE_CONTAINERS + len(body) // _MEAN_CONTAINER:
        raise PayloadRefused("not JSON that is read: its objects and arrays are too many for its size")
    try:
        return orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise PayloadRefused(f"not JSON: {error}") from error
