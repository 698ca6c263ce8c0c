"""How every feed stands, as its running node tells it."""

from __future__ import annotations

from carbon254.errors import Carbon254Error

from .asking import ask
from .console import out, tell

HEADS = ("feed", "batches", "rows", "watermark", "open letters")
_FIELDS = ("topic", "payloads", "rows", "watermark", "open_letters")


def told_by(url: str, as_json: bool = False) -> bool:
    """Print how every feed stands, from its node; whether it answered."""
    try:
        found = ask(url, "/v1/feeds")
    except Carbon254Error:
        return False
    feeds = sorted(
        (one for one in found["feeds"] if one["payloads"] or one["open_letters"]), key=lambda one: one["topic"]
    )
    tell(HEADS, [[one[name] for name in _FIELDS] for one in feeds], as_json)
    if not as_json:
        lags = ", ".join(f"{name} {lag:,}" for name, lag in found["lag"].items())
        out.print(f"{found['lag_unit']} to carry: {lags}", highlight=False)
    return True
